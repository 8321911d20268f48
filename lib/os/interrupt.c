/* SPDX-License-Identifier: MIT */
#include "os/interrupt.h"

#include "os/futex.h"
#include "os/thread.h"

#include <limits.h>
#include <mproc/defs.h>

_Atomic uint32_t mp__interrupt_word;
_Atomic(_Atomic uint32_t *) mp__interrupt_sleeper;

static _Atomic uint32_t kick_bits;
static _Atomic uint32_t kicking; /* calls of mp_interrupt() that may touch a word */

void mp__interrupt_expect(_Atomic uint32_t *word, uint32_t kick)
{
    if (word != NULL)
        mp__store_relaxed(&kick_bits, kick);
    mp__store_seq(&mp__interrupt_sleeper, word); /* pairs with mp_interrupt() */
    if (word != NULL)
        return;
    mp__store_relaxed(&kick_bits, 0);
    while (mp__load_seq(&kicking) != 0) /* another thread's: a few instructions */
        mp__pause();
}

void mp__interrupt_forget(void)
{
    mp__store_relaxed(&kicking, 0);
}

void mp_interrupt(void)
{
    /* Pairs with the exchange in mp__interrupt_take(), and with the kernel's compare in
     * futex_waitv. */
    bool first = mp__exchange_seq(&mp__interrupt_word, 1) == 0;
    mp__futex_wake(&mp__interrupt_word, 1);
    /* Others who sleep there look, and sleep on. Pairs with mp__sleep(). */
    mp__add_seq(&kicking, 1);
    _Atomic uint32_t *word = mp__load_seq(&mp__interrupt_sleeper);
    if (word != NULL) {
        uint32_t kick = mp__load_relaxed(&kick_bits);
        if (kick != 0 && first)
            mp__xor_seq(word, kick);
        mp__futex_wake(word, INT_MAX);
    }
    mp__add_seq(&kicking, (uint32_t)-1);
}

bool mp__interrupt_take(void)
{
    return mp__thread_self()->is_main && mp__exchange_seq(&mp__interrupt_word, 0) == 1;
}
