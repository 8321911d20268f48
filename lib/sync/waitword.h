/* SPDX-License-Identifier: MIT */
/* Sleeping until a condition on shared memory holds, and waking who does. */
#ifndef MPROC_SYNC_WAITWORD_H
#define MPROC_SYNC_WAITWORD_H

#include "base/atomic.h"
#include "base/deadline.h"

/*
 * A waitword is a 32-bit word: bit 0 says that somebody may sleep, the rest counts wakes.
 *
 * The sleeper: ticket = arm(); looks at the condition; if it does not hold, sleep(ticket).
 * The waker: makes the condition hold; wake().
 *
 * Why no wake-up is lost: arm() is sequentially consistent and comes before the sleeper's look; the
 * waker's change comes before the fence in wake(), and that before its look at bit 0. So either the
 * waker sees the bit, or the sleeper sees the change. If the waker sees the bit it changes the
 * word, and a sleeper that is not yet asleep finds another value than its ticket.
 *
 * A waker that wakes fewer than all leaves the bit: another waker, at the same time, must see those
 * who sleep on. Only if it found fewer sleepers than it wanted does it clear the bit, and then it
 * wakes all who armed in between. One that dies after the change, and a sleeper that dies after it
 * was woken, cost the others at most MP__LOOK_AGAIN_NS: no sleep is longer, and every sleeper arms
 * anew. A dead sleeper leaves a bit that costs the next waker a call or two.
 */
typedef struct mp__waitword {
    _Atomic uint32_t word;
} mp__waitword;

#define MP__SLEEPERS 1u
#define MP__WAKE_ALL 0x7fffffff

uint32_t mp__waitword_arm(mp__waitword *w);

/* Sleeps until woken, the time to look again, or the deadline. Returns 0: look; MP_ETIMEDOUT: the
 * deadline has passed, look once more; MP_EINTR. */
int mp__waitword_sleep(mp__waitword *w, uint32_t ticket, mp__deadline until);

/* Wakes up to `most`. Cheap if nobody sleeps. */
void mp__waitword_wake(mp__waitword *w, int most);

/* The same right after mp__mutex_unlock(), whose exchange stands for the fence. */
static inline void mp__waitword_wake_unlocked(mp__waitword *w, int most)
{
    if (mp__load_seq(&w->word) & MP__SLEEPERS) /* pairs with arm() */
        mp__waitword_wake(w, most);
}

/* Looks again and again, without sleeping, as long as that has lately paid for this thread; not at
 * all where there is one processor. Returns whether `holds` has come true. */
bool mp__spin_until(bool (*holds)(void *arg), void *arg);

/* The same with so many pauses between two looks: each look takes a cache line from whoever makes
 * it come true, and so slows down one who does it again and again. */
bool mp__spin_calmly(bool (*holds)(void *arg), void *arg, uint32_t pauses);

#endif
