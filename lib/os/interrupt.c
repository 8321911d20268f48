/* SPDX-License-Identifier: MIT */
#include "os/interrupt.h"

#include "os/futex.h"
#include "os/thread.h"

#include <limits.h>
#include <mproc/defs.h>

_Atomic uint32_t mp__interrupt_word;
_Atomic(_Atomic uint32_t *) mp__interrupt_sleeper;

void mp_interrupt(void)
{
    /* Pairs with the exchange in mp__interrupt_take(), and with the kernel's compare in
     * futex_waitv. */
    mp__store_seq(&mp__interrupt_word, 1);
    mp__futex_wake(&mp__interrupt_word, 1);
    /* Others who sleep there look, and sleep on. Pairs with mp__sleep(). */
    _Atomic uint32_t *word = mp__load_seq(&mp__interrupt_sleeper);
    if (word != NULL)
        mp__futex_wake(word, INT_MAX);
}

bool mp__interrupt_take(void)
{
    return mp__thread_self()->is_main && mp__exchange_seq(&mp__interrupt_word, 0) == 1;
}
