/* SPDX-License-Identifier: MIT */
#include "sync/waitword.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <mproc/error.h>

uint32_t mp__waitword_arm(mp__waitword *w)
{
    uint32_t ticket = mp__or_seq(&w->word, MP__SLEEPERS) | MP__SLEEPERS;
    mp__fence_seq(); /* pairs with wake(): what the sleeper looks at may be no seq_cst load */
    return ticket;
}

int mp__waitword_sleep(mp__waitword *w, uint32_t ticket, mp__deadline until)
{
    if (mp__deadline_passed(until))
        return MP_ETIMEDOUT;
    mp__sleep(&w->word, ticket, mp__deadline_look_again(until));
    return mp__interrupted() ? MP_EINTR : 0;
}

void mp__waitword_wake(mp__waitword *w, int most)
{
    mp__fence_seq(); /* pairs with arm() */
    uint32_t word = mp__load_relaxed(&w->word);
    if (!(word & MP__SLEEPERS))
        return;
    uint32_t next;
    do {
        if (!(word & MP__SLEEPERS))
            return; /* another waker woke all after our change, or found nobody asleep */
        next = (most == MP__WAKE_ALL ? word & ~MP__SLEEPERS : word) + 2;
    } while (!mp__cas_seq(&w->word, &word, next));
    if (mp__futex_wake(&w->word, most) >= most || most == MP__WAKE_ALL)
        return;
    /* Nobody sleeps on. Who has armed since may have gone to sleep, seeing no change. */
    if (mp__cas_seq(&w->word, &next, next & ~MP__SLEEPERS))
        mp__futex_wake(&w->word, MP__WAKE_ALL);
}

bool mp__spin_calmly(bool (*holds)(void *arg), void *arg, uint32_t pauses)
{
    if (!mp__may_spin())
        return false;
    mp__spinner *spinner = &mp__thread_self()->waits;
    uint32_t most = mp__spin_most();
    uint32_t budget = mp__spin_budget(spinner);
    for (uint32_t i = 0; i < budget; i += pauses) {
        for (uint32_t n = 0; n < pauses; n++)
            mp__pause();
        if (holds(arg)) {
            mp__spin_paid(spinner, i, most);
            return true;
        }
    }
    if (budget > 0)
        mp__spin_failed(spinner, most);
    return false;
}

bool mp__spin_until(bool (*holds)(void *arg), void *arg)
{
    return mp__spin_calmly(holds, arg, 1);
}
