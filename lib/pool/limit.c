/* SPDX-License-Identifier: MIT */
#include "pool/limit.h"

#include "os/clock.h"

#define PAUSE_LEAST MP__NS_PER_MS /* between two rounds, however short the limits are */

mp__limit_round mp__limit_begin(int64_t shortest)
{
    int64_t now = mp__now();
    return (mp__limit_round){.now = now,
                             .next = now + (shortest > PAUSE_LEAST ? shortest : PAUSE_LEAST)};
}

/* Whether a deadline has passed; if it is still to come the round ends by then. */
static bool has_passed(mp__limit_round *round, int64_t deadline)
{
    if (deadline == 0)
        return false;
    if (deadline <= round->now)
        return true;
    int64_t least = round->now + PAUSE_LEAST;
    if (deadline < round->next)
        round->next = deadline > least ? deadline : least;
    return false;
}

enum mp__limit_verdict mp__limit_look(mp__limit_round *round, const mp__slot *s, int64_t *deadline,
                                      int64_t *warned)
{
    uint64_t item = mp__load_acquire(&s->item);
    int64_t hard = mp__load_acquire(&s->deadline);
    int64_t soft = mp__load_acquire(&s->soft);
    if (!(item & 1) || mp__load_acquire(&s->item) != item)
        return MP__LIMIT_NONE;
    if (has_passed(round, hard)) {
        *deadline = hard;
        return MP__LIMIT_HARD;
    }
    if (soft == *warned || !has_passed(round, soft))
        return MP__LIMIT_NONE;
    *deadline = *warned = soft;
    return MP__LIMIT_SOFT;
}
