/* SPDX-License-Identifier: MIT */
/* mp_interrupt(): a word of this process that the main thread's sleeps watch. */
#ifndef MPROC_OS_INTERRUPT_H
#define MPROC_OS_INTERRUPT_H

#include "base/atomic.h"

/* 1 while an interrupt is pending. */
extern _Atomic uint32_t mp__interrupt_word;

/* The word that the main thread sleeps on; NULL: none. For mp__sleep(). */
extern _Atomic(_Atomic uint32_t *) mp__interrupt_sleeper;

/* Takes a pending interrupt, in the main thread; false elsewhere. A blocking call asks once at its
 * start, and again whenever a sleep has ended. */
bool mp__interrupt_take(void);

/* Whether one is pending, for whichever thread. */
static inline bool mp__interrupt_pends(void)
{
    return __builtin_expect(mp__load_relaxed(&mp__interrupt_word) != 0, 0);
}

static inline bool mp__interrupted(void)
{
    return mp__interrupt_pends() && mp__interrupt_take();
}

#endif
