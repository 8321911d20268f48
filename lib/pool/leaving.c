/* SPDX-License-Identifier: MIT */
#include "pool/leaving.h"

#include "os/clock.h"
#include "os/memory.h"

#define LOOK_NS (5 * MP__NS_PER_MS)

void mp__leaving_begin(mp__leaving *l, mp__pool_control *c, uint32_t slot, size_t memory_most)
{
    *l = (mp__leaving){.control = c, .slot = slot, .memory_most = memory_most};
    if (memory_most != 0)
        l->memory_at_first = mp__memory_private();
}

/* Asking the system takes microseconds: not for every item. */
static bool is_too_big(mp__leaving *l)
{
    int64_t now = mp__now();
    if (now < l->next_look)
        return false;
    l->next_look = now + LOOK_NS;
    size_t memory = mp__memory_private();
    return memory > l->memory_at_first && memory - l->memory_at_first > l->memory_most;
}

bool mp__leaving_is_due(mp__leaving *l)
{
    if (!l->decided)
        l->decided =
            mp__leaving_is_surplus(l->control, l->slot) || (l->memory_most != 0 && is_too_big(l));
    return l->decided;
}

mp__deadline mp__leaving_idle_end(uint32_t slot, double idle_timeout)
{
    mp__deadline end;
    if (slot == 0 || !(idle_timeout > 0) || mp__deadline_in(idle_timeout, &end) < 0)
        return MP__NEVER;
    return end;
}
