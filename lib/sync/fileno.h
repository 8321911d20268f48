/* SPDX-License-Identifier: MIT */
/* Descriptors for a program's own poll(), which stand for an object in shared memory. */
#ifndef MPROC_SYNC_FILENO_H
#define MPROC_SYNC_FILENO_H

#include "sync/doorbell.h"

/* What a descriptor stands for. */
typedef struct mp__fileno_source {
    mp__doorbells *bells;
    bool (*ready)(void *object); /* whether it must be ready; may take a millisecond */
    void *object;
    int also; /* a descriptor that makes it ready, too; -1: none */
} mp__fileno_source;

/* Makes one. Returns it or a code. */
int mp__fileno_create(const mp__fileno_source *source);

/* How many there are in this process. */
extern _Atomic uint32_t mp__fileno_count;

void mp__fileno_settle_all(const mp__doorbells *bells);

/* The calling process has found that there is nothing: its descriptors for these doorbells are made
 * unready, unless there is something by now. Async-signal-safe. */
static inline void mp__fileno_settle(const mp__doorbells *bells)
{
    if (__builtin_expect(mp__load_relaxed(&mp__fileno_count) != 0, 0))
        mp__fileno_settle_all(bells);
}

/* The object is being freed by this process. */
void mp__fileno_forget(const mp__doorbells *bells);

#endif
