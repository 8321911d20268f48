/* SPDX-License-Identifier: MIT */
/* Sleeping on words of shared memory, and waking who sleeps there. All sleeps use the monotonic
 * clock, restart after signal handlers, and leave errno alone. */
#ifndef MPROC_OS_FUTEX_H
#define MPROC_OS_FUTEX_H

#include "base/atomic.h"
#include "base/deadline.h"

/* A word, and the value at which a sleeper may go on sleeping. */
typedef struct mp__watch {
    _Atomic uint32_t *word;
    uint32_t expected;
} mp__watch;

#define MP__WATCH_MOST 127 /* the kernel takes 128, and one is for mp_interrupt() */

/* Sleeps while *word is expected. Returns 0 when woken, or when the word differs, or for no reason;
 * MP_ETIMEDOUT. mp_interrupt() does not end it. */
int mp__futex_wait(_Atomic uint32_t *word, uint32_t expected, mp__deadline until);

/* The same for the sleeps of public calls: in the main thread mp_interrupt() ends it, too; then the
 * caller finds mp__interrupted() and returns MP_EINTR. `until` is from mp__deadline_look_again():
 * an interrupt whose handler ran just before the sleep is seen at that time. */
int mp__sleep(_Atomic uint32_t *word, uint32_t expected, mp__deadline until);

/* The same without that gap, so `until` may be any; it costs the main thread somewhat more. Before
 * Linux 5.16 it sleeps 100 ms at most. */
void mp__sleep_exactly(_Atomic uint32_t *word, uint32_t expected, mp__deadline until);

/* Sleeps while all words are as expected: at most MP__WATCH_MOST. Before Linux 5.16 it sleeps on
 * the first alone, and looks again every 100 ms. Otherwise as mp__sleep(). */
int mp__sleep_any(const mp__watch *watches, int count, mp__deadline until);

/* Wakes up to `most` sleepers; returns how many it woke. Async-signal-safe. */
int mp__futex_wake(_Atomic uint32_t *word, int most);

#endif
