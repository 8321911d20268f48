/* SPDX-License-Identifier: MIT */
/* What a condition needs to know of the recursive lock that it gives up and takes back. */
#ifndef MPROC_SYNC_RLOCK_H
#define MPROC_SYNC_RLOCK_H

#include "os/mutex.h"

#include <mproc/rlock.h>

typedef struct mp__rlock {
    mp__mutex mutex;
    _Atomic uint32_t magic;
    int depth; /* the owner's alone */
} mp__rlock;

/* NULL if it is no lock. */
mp__rlock *mp__rlock_of(const mp_rlock *lock);

#endif
