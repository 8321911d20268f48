/* SPDX-License-Identifier: MIT */
/* The robust mutex on which all shared state rests; mp_lock is one, too. */
#ifndef MPROC_OS_MUTEX_H
#define MPROC_OS_MUTEX_H

#include "base/deadline.h"
#include "os/futex.h"
#include "os/robust.h"
#include "os/step.h"

/* Zeroed memory is a free mutex. */
typedef mp__robust mp__mutex;

/* Takes a mutex that is free and was left in order; false: it is not, mp__mutex_acquire() will. */
static inline bool mp__mutex_take_free(mp__mutex *m, mp__thread *self)
{
    mp__robust_announce(self, m);
    uint32_t word = 0;
    bool taken = mp__cas_acquire(&m->word, &word, self->tid);
    if (taken) {
        MP_STEP("mutex.acquire.taken");
        mp__robust_link(self, m);
        MP_STEP("mutex.acquire.linked");
    }
    mp__robust_announce(self, NULL);
    return taken;
}

/* The same for a few instructions that take no other robust lock and announce nothing: the mutex
 * stays announced instead of being linked, which serves the kernel as well. */
static inline bool mp__mutex_take_lightly(mp__mutex *m, mp__thread *self)
{
    mp__robust_announce(self, m);
    uint32_t word = 0;
    if (mp__cas_acquire(&m->word, &word, self->tid)) {
        MP_STEP("mutex.take_lightly.taken");
        return true;
    }
    mp__robust_announce(self, NULL);
    return false;
}

/* From what is linked to what is announced. */
static inline void mp__mutex_hold_lightly(mp__mutex *m, mp__thread *self)
{
    mp__robust_announce(self, m);
    mp__robust_unlink(self, m);
    MP_STEP("mutex.hold_lightly.unlinked");
}

/*
 * Releases what is held lightly, in two parts, between which the caller may do what it owes to
 * others. It may announce a bell instead of the mutex before the first part: then its death rings
 * the bell, and it is for those who wait for the mutex to find it a dead one's, and themselves not
 * woken, when they look again.
 */
static inline uint32_t mp__mutex_free(mp__mutex *m)
{
    uint32_t word = mp__exchange_seq(&m->word, 0); /* as in mp__mutex_give_up() */
    MP_STEP("mutex.free.freed");
    return word;
}

static inline void mp__mutex_freed(mp__mutex *m, uint32_t word, mp__thread *self)
{
    if (__builtin_expect((word & MP__WAITERS) != 0, 0))
        mp__futex_wake(&m->word, 1);
    mp__robust_announce(self, NULL);
}

/* Acquires. Returns 0; MP_OWNERDEAD: acquired, the last owner died in it; MP_ETIMEDOUT;
 * MP_EDEADLK: this thread holds it; and if `interruptible` MP_EINTR. */
int mp__mutex_acquire(mp__mutex *m, mp__deadline until, bool interruptible);

/* Acquires as internal locks are: without limit, for they are held for a few instructions. Returns
 * whether the last owner died in it, so that the caller repairs. */
bool mp__mutex_lock(mp__mutex *m);

/* The same for tries: gives up after 1 ms, then MP_EAGAIN. Else 0 or MP_OWNERDEAD. */
int mp__mutex_lock_briefly(mp__mutex *m);

/* Releases what `self`, the calling thread, holds. */
static inline void mp__mutex_give_up(mp__mutex *m, mp__thread *self)
{
    mp__robust_announce(self, m);
    MP_STEP("mutex.release.announced");
    mp__robust_unlink(self, m);
    MP_STEP("mutex.release.unlinked");
    /* Publishes what the lock guards to the next compare-and-swap in take(), and is the full
     * barrier between a change and the look for sleepers that follows an unlock. */
    uint32_t word = mp__exchange_seq(&m->word, 0);
    MP_STEP("mutex.release.freed");
    if (__builtin_expect((word & MP__WAITERS) != 0, 0))
        mp__futex_wake(&m->word, 1);
    MP_STEP("mutex.release.woken");
    mp__robust_announce(self, NULL);
}

void mp__mutex_unlock(mp__mutex *m);

/* Whether the calling thread holds it. */
static inline bool mp__mutex_is_mine(const mp__mutex *m)
{
    uint32_t word = mp__load_relaxed(&m->word);
    return (word & MP__TID_MASK) == mp__thread_self()->tid;
}

#endif
