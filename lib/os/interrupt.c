/* SPDX-License-Identifier: MIT */
#include "os/interrupt.h"

#include "os/futex.h"
#include "os/thread.h"

#include <mproc/defs.h>

_Atomic uint32_t mp__interrupt_word;

void mp_interrupt(void)
{
    /* Pairs with the exchange in mp__interrupt_take(), and with the kernel's compare in
     * futex_waitv. */
    mp__store_seq(&mp__interrupt_word, 1);
    mp__futex_wake(&mp__interrupt_word, 1);
}

bool mp__interrupt_take(void)
{
    return mp__thread_self()->is_main && mp__exchange_seq(&mp__interrupt_word, 0) == 1;
}
