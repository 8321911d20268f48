/* SPDX-License-Identifier: MIT */
#include "pool/idle.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/step.h"
#include "pool/claim.h"

#include <limits.h>

static _Atomic uint64_t *word_of(mp__pool_control *c, uint32_t slot)
{
    return &c->looking[slot / 64];
}

static uint64_t bit_of(uint32_t slot)
{
    return UINT64_C(1) << slot % 64;
}

/* How many are looking. */
static uint32_t count_looking(const mp__pool_control *c)
{
    uint32_t words = (mp__load_acquire(&c->used) + 63) / 64, count = 0;
    for (uint32_t i = 0; i < words; i++)
        count += (uint32_t)__builtin_popcountll(mp__load_relaxed(&c->looking[i]));
    return count;
}

static bool is_promised(mp__pool_control *c, uint32_t slot)
{
    return (mp__load_relaxed(word_of(c, slot)) & bit_of(slot)) != 0;
}

void mp__idle_promise(mp__pool_control *c, uint32_t slot)
{
    mp__or_seq(word_of(c, slot), bit_of(slot)); /* pairs with mp__idle_wake() */
    MP_STEP("idle.promise.given");
}

/* From now on this worker does not count; it looks once more. */
static void take_back(mp__pool_control *c, uint32_t slot)
{
    if (is_promised(c, slot))
        mp__and_seq(word_of(c, slot), ~bit_of(slot));
    mp__fence_after_change();
    MP_STEP("idle.promise.taken_back");
}

/* A worker that was looking or asleep has found work. */
static void pass_on(mp__pool_control *c, uint32_t slot)
{
    take_back(c, slot);
    if (mp__claim_leaves_more(&c->slot[slot]) && count_looking(c) == 0)
        mp__waitword_wake_unlocked(&c->idle, 1);
    MP_STEP("idle.passed_on");
}

/* Looks again and again, if not enough others do. */
static bool look(mp__pool_control *c, uint32_t slot, mp__idle_find *find, void *arg)
{
    if (!is_promised(c, slot)) {
        if (count_looking(c) >= c->lookers)
            return false;
        mp__idle_promise(c, slot);
    }
    return mp__spin_until(find, arg);
}

bool mp__idle_wait(mp__pool_control *c, uint32_t slot, mp__idle_find *find, void *arg,
                   mp__deadline until)
{
    bool found = find(arg);
    if (found && !is_promised(c, slot))
        return true; /* from work to work */
    while (!found && !look(c, slot, find, arg)) {
        take_back(c, slot);
        uint32_t ticket = mp__waitword_arm(&c->idle);
        MP_STEP("idle.armed");
        enum mp__pool_phase phase = mp__pool_phase_of(c); /* before the last look */
        if (find(arg))
            break;
        if (phase >= MP__POOL_CLOSED || mp__deadline_passed(until))
            return false;
        mp__claim_forget(&c->slot[slot]);
        mp__futex_wait(&c->idle.word, ticket, until);
        MP_STEP("idle.slept");
        found = find(arg);
    }
    pass_on(c, slot);
    return true;
}

void mp__idle_wake(mp__pool_control *c, uint64_t wanted)
{
    mp__fence_seq(); /* behind what was brought; pairs with take_back() and arm() */
    uint32_t looking = count_looking(c);
    if (wanted <= looking)
        return;
    uint64_t more = wanted - looking;
    mp__waitword_wake_unlocked(&c->idle, more < INT_MAX ? (int)more : MP__WAKE_ALL);
}

void mp__idle_bury(mp__pool_control *c, uint32_t slot)
{
    mp__and_seq(word_of(c, slot), ~bit_of(slot));
    mp__idle_wake(c, 1);
}
