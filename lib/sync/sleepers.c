/* SPDX-License-Identifier: MIT */
#include "sync/sleepers.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/step.h"

#include <mproc/error.h>

uint32_t mp__sleepers_join(mp__sleepers *s)
{
    mp__robust_announce_bell(mp__thread_self(), &s->word);
    uint32_t ticket = mp__or_seq(&s->word, MP__ASLEEP) | MP__ASLEEP;
    mp__fence_after_change(); /* pairs with the barrier before mp__sleepers_any() */
    return ticket;
}

int mp__sleepers_sleep(mp__sleepers *s, uint32_t ticket, mp__deadline until)
{
    if (mp__deadline_passed(until))
        return MP_ETIMEDOUT;
    if (!mp__robust_bells_ring())
        until = mp__deadline_look_again(until);
    mp__sleep_exactly(&s->word, ticket, until);
    /* The bit was cleared for all who slept; whoever did that may have died before it woke them. */
    if (!mp__sleepers_any(s))
        mp__futex_wake(&s->word, MP__SLEEPERS_ALL);
    return mp__interrupted() ? MP_EINTR : 0;
}

void mp__sleepers_wake(mp__sleepers *s, int count)
{
    if (!mp__sleepers_any(s))
        return;
    if (count < MP__SLEEPERS_ALL && mp__futex_wake(&s->word, count) >= count)
        return;
    MP_STEP("sleepers.wake.too_few");
    /* Nobody sleeps on, or all are to be woken. Who has joined and is not asleep yet finds another
     * word than its ticket; who has fallen asleep since is woken. */
    mp__and_seq(&s->word, ~MP__ASLEEP);
    MP_STEP("sleepers.wake.cleared");
    mp__futex_wake(&s->word, MP__SLEEPERS_ALL);
    MP_STEP("sleepers.wake.woken");
}
