/* SPDX-License-Identifier: MIT */
/* A mutex for the memory of one process, and things done once. */
#ifndef MPROC_OS_GUARD_H
#define MPROC_OS_GUARD_H

#include <pthread.h>
#include <stdbool.h>

/* Held around short changes of process-private state. Who keeps one over many calls registers with
 * os/atfork.h, so that a forked child finds it free. */
typedef pthread_mutex_t mp__guard;
#define MP__GUARD_INITIALIZER PTHREAD_MUTEX_INITIALIZER

static inline void mp__guard_init(mp__guard *g)
{
    pthread_mutex_init(g, NULL);
}

static inline void mp__guard_lock(mp__guard *g)
{
    pthread_mutex_lock(g);
}

/* Whether it was free and is taken now. Async-signal-safe. */
static inline bool mp__guard_try(mp__guard *g)
{
    return pthread_mutex_trylock(g) == 0;
}

static inline void mp__guard_unlock(mp__guard *g)
{
    pthread_mutex_unlock(g);
}

#endif
