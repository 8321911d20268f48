/* SPDX-License-Identifier: MIT */
/* The robust mutex on which all shared state rests; mp_lock is one, too. */
#ifndef MPROC_OS_MUTEX_H
#define MPROC_OS_MUTEX_H

#include "base/deadline.h"
#include "os/robust.h"

/* Zeroed memory is a free mutex. */
typedef mp__robust mp__mutex;

/* Acquires. Returns 0; MP_OWNERDEAD: acquired, the last owner died in it; MP_ETIMEDOUT;
 * MP_EDEADLK: this thread holds it; and if `interruptible` MP_EINTR. */
int mp__mutex_acquire(mp__mutex *m, mp__deadline until, bool interruptible);

/* Acquires as internal locks are: without limit, for they are held for a few instructions. Returns
 * whether the last owner died in it, so that the caller repairs. */
bool mp__mutex_lock(mp__mutex *m);

/* The same for tries: gives up after 1 ms, then MP_EAGAIN. Else 0 or MP_OWNERDEAD. */
int mp__mutex_lock_briefly(mp__mutex *m);

void mp__mutex_unlock(mp__mutex *m);

/* Whether the calling thread holds it. */
bool mp__mutex_is_mine(const mp__mutex *m);

#endif
