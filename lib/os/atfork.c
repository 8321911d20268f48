/* SPDX-License-Identifier: MIT */
#include "os/atfork.h"

#include "base/atomic.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <mproc/error.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mp__atfork *first, *last;
static _Atomic bool installed;

static void prepare(void)
{
    pthread_mutex_lock(&lock);
    for (mp__atfork *part = last; part != NULL; part = part->prev)
        if (part->prepare != NULL)
            part->prepare();
}

static void parent(void)
{
    for (mp__atfork *part = first; part != NULL; part = part->next)
        if (part->parent != NULL)
            part->parent();
    pthread_mutex_unlock(&lock);
}

static void child(void)
{
    mp__thread_forget();
    mp__store_relaxed(&mp__interrupt_word, 0);
    mp__store_relaxed(&mp__interrupt_sleeper, NULL);
    for (mp__atfork *part = first; part != NULL; part = part->next)
        if (part->child != NULL)
            part->child();
    pthread_mutex_unlock(&lock);
}

static int install(void)
{
    if (mp__load_relaxed(&installed))
        return 0;
    int rc = pthread_atfork(prepare, parent, child);
    mp__store_relaxed(&installed, rc == 0);
    return rc == 0 ? 0 : MP_ESYS(rc);
}

int mp__atfork_install(void)
{
    /* Every thread asks once, perhaps inside a fork, where the lock is ours. */
    if (mp__load_relaxed(&installed))
        return 0;
    pthread_mutex_lock(&lock);
    int rc = install();
    pthread_mutex_unlock(&lock);
    return rc;
}

int mp__atfork_add(mp__atfork *part)
{
    pthread_mutex_lock(&lock);
    int rc = install();
    if (rc == 0 && !part->registered) {
        part->registered = 1;
        part->prev = last;
        part->next = NULL;
        if (last != NULL)
            last->next = part;
        else
            first = part;
        last = part;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
