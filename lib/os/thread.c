/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include "base/atomic.h"
#include "os/atfork.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Thread_local mp__thread mp__thread_this;

/* The thread's list head, which the C library keeps at the same place for every thread: so it is
 * found also where a filter forbids the question to those that come later. */
static struct robust_list_head *robust_list(void)
{
    static _Atomic ptrdiff_t distance; /* from pthread_self(); 0: not known */
    char *self = (char *)pthread_self();
    struct robust_list_head *head = NULL;
    size_t length = 0;
    ptrdiff_t known = mp__load_relaxed(&distance);
    if (known != 0)
        return (struct robust_list_head *)(void *)(self + known);
    if (syscall(SYS_get_robust_list, 0, &head, &length) != 0 || length != sizeof *head)
        return NULL;
    mp__store_relaxed(&distance, (char *)head - self);
    return head;
}

void mp__thread_discover(void)
{
    mp__thread *self = &mp__thread_this;
    mp__atfork_install(); /* what is cached below is wrong in a forked child */
    self->robust = robust_list();
    self->is_main = syscall(SYS_gettid) == getpid();
    self->held = 0;
    self->life = NULL;
    mp__fence_compiler(); /* for a signal handler: with the id all is there */
    self->tid = (uint32_t)syscall(SYS_gettid);
}

void mp__thread_forget(void)
{
    mp__thread_this.tid = 0;
    memset(mp__thread_this.seats, 0, sizeof mp__thread_this.seats);
}

static struct {
    pthread_once_t once;
    pthread_key_t key;
    bool made;
} room = {.once = PTHREAD_ONCE_INIT};

static void make_room_key(void)
{
    room.made = pthread_key_create(&room.key, free) == 0;
}

void *mp__thread_room(size_t size)
{
    pthread_once(&room.once, make_room_key);
    if (!room.made)
        return NULL;
    void *memory = pthread_getspecific(room.key);
    if (memory != NULL)
        return memory;
    memory = calloc(1, size);
    if (memory != NULL && pthread_setspecific(room.key, memory) != 0) {
        free(memory);
        memory = NULL;
    }
    return memory;
}

int mp__process_id(void)
{
    return (int)getpid();
}

int mp__thread_count(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink < 3)
        return 2;
    return (int)tasks.st_nlink - 2;
}
