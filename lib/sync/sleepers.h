/* SPDX-License-Identifier: MIT */
/* Sleeping until something is there to take, and waking exactly as many as there is something for,
 * without a timer, whoever dies. */
#ifndef MPROC_SYNC_SLEEPERS_H
#define MPROC_SYNC_SLEEPERS_H

#include "base/atomic.h"
#include "base/deadline.h"
#include "os/robust.h"

/*
 * For things that are put and taken, such as messages. The word's bit 31 says that somebody may
 * sleep; bit 30 is turned over by stir() and nobody else (a join() that did would turn it back);
 * all others are 0, so that the word can be announced as a bell (os/robust.h): the kernel wakes one
 * sleeper when the announcer dies.
 *
 * The taker: ticket = join(); looks; if there is nothing, sleep(ticket); and so on; leave() when it
 * has taken something, or gives up. It has the word announced from join() to leave(), but for locks
 * that it takes between a look that found nothing and the next join(). If it dies after it was
 * woken and before it took anything, another sleeper is woken in its place.
 *
 * The putter excludes other putters, stirs the word behind a full barrier, announces it, puts,
 * wakes as many as it put (behind a full barrier again), and takes the announcement back. If it
 * dies amidst that one is woken who looks.
 *
 * But the kernel wakes only who is asleep. Who stands between a look that found nothing and its
 * sleep must not fall asleep: if it joined before the putter came to stir, its ticket is void. If
 * it joined later it looks, after join() and before its look for things, whether a putter is at
 * work, and if so sleeps for a moment only.
 *
 * Why nobody sleeps while something is there: a taker is due from its wake, or its join(), to its
 * leave() or its sleep. While somebody sleeps and something is there, somebody is due:
 * - who puts wakes one for each thing, or finds nobody asleep (then nobody sleeps on: see wake());
 * - who is due and takes something wakes another if there is more: leave() with `more`; a putter of
 *   many that died has left all but one asleep;
 * - who is due and dies is replaced; who gives up after a wake wakes another.
 * Who takes without having joined only makes it less.
 *
 * What remains: one who is stopped (SIGSTOP) when it is due leaves its thing to those who come
 * after; others sleep on. And the word comes back to what it was after being stirred twice: if one
 * stands between join() and its sleep while two things are put, and then one who is due is killed
 * before the first falls asleep, that sleeps until the next is put. Before Linux 6.2 the kernel
 * wakes only if the word is 0: there every sleep ends after MP__LOOK_AGAIN_NS.
 */
typedef struct mp__sleepers {
    _Atomic uint32_t word;
} mp__sleepers;

#define MP__ASLEEP 0x80000000u
#define MP__TURN   0x40000000u

#define MP__SLEEPERS_ALL 0x7fffffff

/* Announces the word, and says that this thread may sleep; a full barrier. Returns the ticket. */
uint32_t mp__sleepers_join(mp__sleepers *s);

/* Sleeps until woken or the deadline, but not if all were woken since the ticket was taken. Returns
 * 0: look, and if there is nothing join again; MP_ETIMEDOUT: look once more; MP_EINTR. */
int mp__sleepers_sleep(mp__sleepers *s, uint32_t ticket, mp__deadline until);

/* Voids the tickets of those who are not asleep yet. After a full barrier. */
static inline void mp__sleepers_stir(mp__sleepers *s)
{
    if (__builtin_expect((mp__load_relaxed(&s->word) & MP__ASLEEP) != 0, 0)) /* pairs with join() */
        mp__xor_seq(&s->word, MP__TURN);
}

/* Wakes so many. */
void mp__sleepers_wake(mp__sleepers *s, int count);

/* Whether somebody may sleep. After a full barrier. */
static inline bool mp__sleepers_any(const mp__sleepers *s)
{
    return (mp__load_relaxed(&s->word) & MP__ASLEEP) != 0; /* pairs with join() */
}

/* Takes the announcement back; before that wakes another if there is something for it. Not if there
 * is nothing: who wakes in vain clears bit 31 all the same, and the next stir() does nothing. */
static inline void mp__sleepers_leave(mp__sleepers *s, bool more)
{
    if (more)
        mp__sleepers_wake(s, 1);
    mp__robust_announce(mp__thread_self(), NULL);
}

#endif
