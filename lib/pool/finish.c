/* SPDX-License-Identifier: MIT */
/* The end of a work, and how far it is; pool/claim.h tells the whole. */
#include "pool/claim.h"

#include "os/step.h"

/* Cuts off all of a lane. */
static mp__range cut_all(mp__pool_control *c, const mp__work *w, uint64_t lane)
{
    _Atomic uint64_t *word = mp__lane_of(w, lane);
    uint64_t now = mp__load_seq(word);
    while (!mp__lane_is_empty(now)) {
        mp__claim_help(c, w, lane, now);
        uint64_t start = mp__lane_start(now);
        if (mp__cas_seq(word, &now, mp__lane_pack(start, start, 0)))
            return mp__claim_items(w, start, mp__lane_end(now) - start);
    }
    return (mp__range){0, 0};
}

uint64_t mp__claim_stop(mp__pool_control *c, mp__work *w, bool untouched, const mp__verdict *why)
{
    uint32_t started = MP__WORK_FRESH;
    if (untouched && w->units > 1 && !mp__cas_seq(&w->started, &started, MP__WORK_WITHDRAWN))
        return 0; /* begun, or withdrawn before */
    uint64_t stopped = 0;
    for (uint32_t i = 0; i < w->lanes; i++) {
        mp__range range = cut_all(c, w, i);
        mp__work_fail_range(w, range.start, range.end, why);
        stopped += range.end - range.start;
    }
    if (w->units > 1)
        mp__claim_finish(c, w);
    else if (stopped > 0)
        mp__claim_finish_now(w);
    return stopped;
}

/* Whether a slot has a claim on a work. The claim before and behind its look at the work is the
 * same: or it could be on another work, and the slot only look at this one. */
static bool has_claim_on(const mp__slot *s, const mp__work *w)
{
    for (;;) {
        uint64_t word = mp__load_seq(&s->claim);
        if (mp__claim_state_of(word) == MP__CLAIM_NONE || mp__load_seq(&s->work) != w)
            return false;
        if (mp__load_seq(&s->claim) == word)
            return true;
    }
}

static bool is_finished(const mp__pool_control *c, const mp__work *w)
{
    if (mp__lane_any(w))
        return false;
    uint32_t used = mp__load_acquire(&c->used);
    for (uint32_t i = 0; i < used; i++)
        if (has_claim_on(&c->slot[i], w))
            return false;
    return true;
}

void mp__claim_finish_now(mp__work *w)
{
    uint32_t open = MP__WORK_OPEN;
    /* Who dies behind the change has rung, unless the program has just looked; see sync/event.c. */
    if (mp__doorbells_any(&w->bells))
        mp__doorbells_ring(&w->bells);
    mp__cas_seq(&w->state, &open, MP__WORK_DONE); /* publishes all output */
    MP_STEP("claim.finish.done");
    mp__fence_after_change();
    mp__waitword_wake_unlocked(&w->done, MP__WAKE_ALL);
    if (mp__doorbells_any(&w->bells))
        mp__doorbells_ring(&w->bells);
}

void mp__claim_finish(mp__pool_control *c, mp__work *w)
{
    if (is_finished(c, w))
        mp__claim_finish_now(w);
}

uint64_t mp__claim_left(const mp__pool_control *c, const mp__work *w)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < w->lanes; i++) {
        uint64_t lane = mp__load_relaxed(mp__lane_of(w, i));
        mp__range range =
            mp__claim_items(w, mp__lane_start(lane), mp__lane_end(lane) - mp__lane_start(lane));
        left += mp__lane_is_empty(lane) ? 0 : range.end - range.start;
    }
    uint32_t used = mp__load_acquire(&c->used);
    for (uint32_t i = 0; i < used; i++) {
        const mp__slot *s = &c->slot[i];
        mp__claim its = mp__claim_unpack(mp__load_seq(&s->claim));
        mp__range range = mp__claim_items(w, its.from, its.length);
        uint64_t done = mp__load_relaxed(&s->item) >> 1;
        if (its.state != MP__CLAIM_NONE && mp__load_relaxed(&s->work) == w && done < range.end)
            left += range.end - (done > range.start ? done : range.start);
    }
    return left < w->count ? left : w->count;
}
