/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * The word is 0 (free), or the owner's thread id, with MP__WAITERS if somebody may sleep on it;
 * after an owner's death the kernel has left MP__OWNER_DIED, with or without MP__WAITERS, and no
 * id.
 *
 * - Taking is one compare-and-swap from a word without id, with acquire order; it pairs with the
 *   exchange in unlock, or with the kernel's store at a death. From MP__OWNER_DIED it means that
 *   the last owner died; the mark is gone then, and comes back if this owner dies as well.
 * - A sleeper has put MP__WAITERS beside the owner's id and sleeps on exactly that value. Unlock
 *   exchanges the word for 0 and wakes one sleeper if MP__WAITERS was set. Who has slept takes the
 *   lock with MP__WAITERS, since others may sleep still; at worst that costs one wake of nobody.
 * - Death of the owner: the kernel marks the word and wakes one.
 * - Death between the exchange and the wake: the node is announced meanwhile, and the kernel wakes
 *   one sleeper of an announced word that nobody owns.
 * - Death of a sleeper that was woken and has not taken the lock: the same, for it is announced
 *   while it sleeps. If meanwhile another took the lock without having slept, MP__WAITERS is lost
 *   for those who still sleep: they look again after 100 ms and set it. (The C library's own robust
 *   mutex sleeps on in that case.)
 * - Linking and unlinking: announced.
 * - Where the kernel has not marked the word of an owner that is gone (os/robust.h tells when), one
 *   who sleeps does it when it looks again.
 */
#include "os/mutex.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/probe.h"

#include <mproc/error.h>

#define SPINS_MOST 256 /* pauses before the first sleep: longer than our critical sections */

/* Between two looks. Each look takes the word's cache line from the owner, and every change of
 * owner moves all that the lock guards; an owner who is left alone goes several times faster. */
#define PAUSES 16

#define NOT_YET 2 /* no result of mp__mutex_acquire(): neither 0 nor MP_OWNERDEAD, and no error */

/* One try. Returns NOT_YET if it did not get the lock; *seen is the word then. */
static int take(mp__mutex *m, mp__thread *self, uint32_t *seen, uint32_t mark)
{
    uint32_t word = mp__load_relaxed(&m->word);
    while (mp__robust_abandoned(word)) {
        uint32_t mine = self->tid | (word & MP__WAITERS) | mark;
        if (mp__cas_acquire(&m->word, &word, mine)) {
            MP_STEP("mutex.take.taken");
            mp__robust_link(self, m);
            MP_STEP("mutex.take.linked");
            return word & MP__OWNER_DIED ? MP_OWNERDEAD : 0;
        }
    }
    *seen = word;
    return (word & MP__TID_MASK) == self->tid ? MP_EDEADLK : NOT_YET;
}

static int spin(mp__mutex *m, mp__thread *self, uint32_t *seen)
{
    uint32_t budget = mp__may_spin() ? mp__spin_budget(&self->locks) : 0;
    for (uint32_t i = 0; i < budget; i += PAUSES) {
        for (uint32_t n = 0; n < PAUSES; n++)
            mp__pause();
        if (mp__robust_abandoned(mp__load_relaxed(&m->word))) {
            int rc = take(m, self, seen, 0);
            if (rc != NOT_YET) {
                mp__spin_paid(&self->locks, i, SPINS_MOST);
                return rc;
            }
        }
    }
    if (budget > 0)
        mp__spin_failed(&self->locks, SPINS_MOST);
    return NOT_YET;
}

static int sleep_and_take(mp__mutex *m, mp__thread *self, mp__deadline until, bool interruptible)
{
    uint32_t seen = 0;
    uint32_t mark = 0;
    for (;;) {
        int rc = take(m, self, &seen, mark);
        if (rc != NOT_YET)
            return rc;
        if (!(seen & MP__WAITERS) &&
            !mp__cas_relaxed(&m->word, &seen, seen | MP__WAITERS)) /* its unlock will look */
            continue;
        MP_STEP("mutex.acquire.marked");
        MP_PROBE2(lock__contended, m, seen & MP__TID_MASK);
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        mp__deadline slice = mp__deadline_look_again(until);
        int slept = interruptible ? mp__sleep(&m->word, seen | MP__WAITERS, slice)
                                  : mp__futex_wait(&m->word, seen | MP__WAITERS, slice);
        if (slept == MP_ETIMEDOUT)
            mp__robust_reclaim(&m->word);
        mark = MP__WAITERS;
        MP_STEP("mutex.acquire.woken");
        if (interruptible && mp__interrupted()) {
            mp__futex_wake(&m->word, 1); /* what ended our sleep may have been another's wake */
            return MP_EINTR;
        }
    }
}

int mp__mutex_acquire(mp__mutex *m, mp__deadline until, bool interruptible)
{
    mp__thread *self = mp__thread_self();
    uint32_t word = 0;
    mp__robust_announce(self, m);
    int rc = take(m, self, &word, 0);
    if (rc == NOT_YET && until.ns != 0)
        rc = spin(m, self, &word);
    if (rc == NOT_YET)
        rc = until.ns == 0 ? MP_ETIMEDOUT : sleep_and_take(m, self, until, interruptible);
    mp__robust_announce(self, NULL);
    return rc;
}

bool mp__mutex_lock(mp__mutex *m)
{
    if (__builtin_expect(mp__mutex_take_free(m, mp__thread_self()), 1))
        return false;
    int rc = mp__mutex_acquire(m, MP__NEVER, false);
    if (rc == MP_EDEADLK) {
        /* Nobody takes an internal lock twice: a dead thread has left it that had this one's id. */
        mp__thread *self = mp__thread_self();
        mp__robust_announce(self, m);
        mp__robust_link(self, m);
        mp__robust_announce(self, NULL);
    }
    return rc != 0;
}

int mp__mutex_lock_briefly(mp__mutex *m)
{
    if (__builtin_expect(mp__mutex_take_free(m, mp__thread_self()), 1))
        return 0;
    int rc = mp__mutex_acquire(m, MP__AT_ONCE, false);
    if (rc == MP_ETIMEDOUT)
        rc = mp__mutex_acquire(m, mp__deadline_in_ns(MP__NS_PER_MS), false);
    return rc == MP_ETIMEDOUT ? MP_EAGAIN : rc;
}

void mp__mutex_unlock(mp__mutex *m)
{
    mp__mutex_give_up(m, mp__thread_self());
}
