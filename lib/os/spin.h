/* SPDX-License-Identifier: MIT */
/* How long a thread may look again and again before it sleeps: as long as that has lately paid. */
#ifndef MPROC_OS_SPIN_H
#define MPROC_OS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A wake-up costs tens of microseconds, and a partner that is awake answers within one; but where
 * both share a processor no spin can pay. No thread knows which it is, so it learns. A spin that
 * paid is followed by one that may be a few times as long as was needed. After some that did not
 * the thread sleeps at once, and tries again after 1, 3, 7 ... 1023 waits: then for as long as a
 * partner needs to wake up, so that two that put each other to sleep come out of it.
 */
typedef struct mp__spinner {
    uint32_t budget;   /* pauses of the next spin; 0: nothing is known yet */
    uint32_t failures; /* spins in a row that did not pay */
    uint32_t skip;     /* so many waits are not to spin */
} mp__spinner;

#define MP__SPIN_LEAST 64 /* pauses, of 3 to 50 ns each */

/* How many pauses this wait may spin; 0: it sleeps at once. */
static inline uint32_t mp__spin_budget(mp__spinner *s)
{
    if (s->skip > 0) {
        s->skip--;
        return 0;
    }
    return s->budget != 0 ? s->budget : MP__SPIN_LEAST;
}

/* Learns from a spin that paid after so many pauses. */
static inline void mp__spin_paid(mp__spinner *s, uint32_t pauses, uint32_t most)
{
    uint32_t wanted = pauses < most / 4 ? pauses * 4 : most;
    s->budget = wanted > MP__SPIN_LEAST ? wanted : MP__SPIN_LEAST;
    s->failures = 0;
}

/* Learns from one that did not. */
static inline void mp__spin_failed(mp__spinner *s, uint32_t most)
{
    uint32_t more = s->failures < 12 ? ++s->failures : 12;
    s->skip = more < 3 ? 0 : (1u << (more - 2)) - 1;
    s->budget = more < 3 && s->budget < most / 4 ? s->budget * 4 : most;
}

/* The most pauses for a partner that may have to wake up first: about 50 us, measured once. */
uint32_t mp__spin_most(void);

/* Whether spinning can pay at all: it cannot on a machine with one processor. */
bool mp__may_spin(void);

#endif
