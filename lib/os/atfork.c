/* SPDX-License-Identifier: MIT */
#include "os/atfork.h"

#include "base/atomic.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <mproc/error.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mp__atfork *first, *last;
static bool installed;

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
    for (mp__atfork *part = first; part != NULL; part = part->next)
        if (part->child != NULL)
            part->child();
    pthread_mutex_unlock(&lock);
}

int mp__atfork_add(mp__atfork *part)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (!installed)
        rc = pthread_atfork(prepare, parent, child);
    if (rc == 0) {
        installed = true;
        part->prev = last;
        part->next = NULL;
        if (last != NULL)
            last->next = part;
        else
            first = part;
        last = part;
    }
    pthread_mutex_unlock(&lock);
    return rc == 0 ? 0 : MP_ESYS(rc);
}
