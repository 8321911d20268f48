/* SPDX-License-Identifier: MIT */
/*
 * Why it is right: pool/claim.h. Every compare-and-swap of a lane is sequentially consistent; a
 * claim is written before it with plain stores, which it publishes: a process that dies has made
 * its stores up to some point, in order.
 */
#include "pool/claim.h"

#include "os/step.h"

/* ---- Taking. */

/* No claim; the slot's work is one that it had a claim on, or one that it only looks at. */
static const mp__claim dropped = {.length = 1}, fresh = {0};

static bool was_dropped(uint64_t word)
{
    return mp__claim_unpack(word).state == MP__CLAIM_NONE && mp__claim_unpack(word).length != 0;
}

static void put_down(mp__slot *s)
{
    uint64_t serial = mp__claim_serial(mp__load_relaxed(&s->claim));
    mp__store_seq(&s->claim, mp__claim_pack(dropped, serial)); /* pairs with is_finished() */
}

/* Says what the worker is about to take. */
static void announce(mp__slot *s, const mp__work *w, mp__claim wanted)
{
    uint64_t serial = mp__claim_serial(mp__load_relaxed(&s->claim)) + 1;
    mp__store_release(&s->claim, mp__claim_pack(dropped, serial)); /* all of the last one is done */
    mp__fence_compiler();
    MP_STEP("claim.take.put_down");
    mp__store_relaxed(&s->item, wanted.from * w->unit << 1);
    mp__store_relaxed(&s->attempts, 0);
    mp__fence_compiler();
    mp__store_relaxed(&s->claim,
                      mp__claim_pack(wanted, serial)); /* the lane's change publishes it */
    mp__fence_compiler();
    MP_STEP("claim.take.announced");
}

/* Half of what is left at most: the rest may go to others. */
static uint64_t share_of(const mp__work *w, uint64_t left, uint64_t wanted)
{
    uint64_t share = w->fixed ? 1 : wanted < left / 2 ? wanted : left / 2;
    if (share < 1)
        share = 1;
    return share < MP__CLAIM_LENGTH_MOST ? share : MP__CLAIM_LENGTH_MOST;
}

/* From the start of the slot's own lane. */
static bool take_own(const mp__work *w, mp__slot *s, uint64_t lane, uint64_t wanted,
                     mp__range *range)
{
    _Atomic uint64_t *own = mp__lane_of(w, lane);
    uint64_t now = mp__load_acquire(own);
    while (!mp__lane_is_empty(now)) {
        uint64_t from = mp__lane_start(now), length = share_of(w, mp__lane_end(now) - from, wanted);
        announce(s, w, (mp__claim){MP__CLAIM_OWN, lane, from, length});
        uint64_t next = mp__lane_pack(from + length, mp__lane_end(now), mp__lane_mark(now));
        if (mp__cas_seq(own, &now, next)) {
            MP_STEP("claim.own.taken");
            *range = mp__claim_items(w, from, length);
            return true;
        }
    }
    return false;
}

void mp__claim_help(mp__pool_control *c, const mp__work *w, uint64_t lane, uint64_t seen)
{
    if (mp__lane_mark(seen) == 0)
        return;
    mp__slot *s = &c->slot[mp__lane_mark(seen) - 1];
    uint64_t word = mp__load_seq(&s->claim);
    mp__claim its = mp__claim_unpack(word);
    if (its.state == MP__CLAIM_WANTED && its.lane == lane && its.from == mp__lane_end(seen) &&
        mp__load_seq(&s->work) == w)
        mp__cas_seq(&s->claim, &word, MP__CLAIM_HOLD(word));
}

/* From the end of somebody else's lane. */
static bool cut(mp__pool_control *c, uint32_t slot, uint64_t lane, uint64_t wanted,
                mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    const mp__work *w = mp__load_relaxed(&s->work);
    _Atomic uint64_t *other = mp__lane_of(w, lane);
    uint64_t now = mp__load_seq(other);
    while (!mp__lane_is_empty(now)) {
        mp__claim_help(c, w, lane, now);
        MP_STEP("claim.cut.helped");
        uint64_t length = share_of(w, mp__lane_end(now) - mp__lane_start(now), wanted);
        uint64_t from = mp__lane_end(now) - length;
        announce(s, w, (mp__claim){MP__CLAIM_WANTED, lane, from, length});
        uint64_t mine = mp__load_relaxed(&s->claim);
        if (mp__cas_seq(other, &now, mp__lane_pack(mp__lane_start(now), from, slot + 1))) {
            MP_STEP("claim.cut.cut_off");
            mp__cas_seq(&s->claim, &mine, MP__CLAIM_HOLD(mine)); /* unless somebody has helped */
            *range = mp__claim_items(w, from, length);
            return true;
        }
    }
    return false;
}

/* Whether a work of several units may be begun: not after it was withdrawn as a whole. */
static bool begin(mp__work *w)
{
    uint32_t started = mp__load_relaxed(&w->started);
    if (w->units == 1 || started == MP__WORK_BEGUN)
        return true;
    return started == MP__WORK_FRESH &&
           (mp__cas_seq(&w->started, &started, MP__WORK_BEGUN) || started == MP__WORK_BEGUN);
}

/* Takes from the work that the slot points to; else the slot has no claim on it. */
static bool take_from(mp__pool_control *c, uint32_t slot, mp__pace *pace, mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    mp__work *w = mp__load_relaxed(&s->work);
    if (pace->order != w->order)
        *pace = (mp__pace){w->order, 1};
    uint64_t wanted = pace->units;
    if (begin(w)) {
        if (slot < w->lanes && take_own(w, s, slot, wanted, range))
            return true;
        for (uint32_t i = 1, lane = slot; i <= w->lanes; i++) {
            lane = lane + 1 < w->lanes ? lane + 1 : 0;
            if (lane != slot && cut(c, slot, lane, wanted, range))
                return true;
        }
    }
    if (mp__claim_state_of(mp__load_relaxed(&s->claim)) == MP__CLAIM_NONE)
        return false;
    /* Others took this claim into account when they looked whether the work is done. */
    put_down(s);
    MP_STEP("claim.take.gave_up");
    if (w->units > 1)
        mp__claim_finish(c, w);
    return false;
}

/* Not one that is being withdrawn. */
static bool is_open(const mp__work *w)
{
    return mp__lane_any(w) && mp__load_relaxed(&w->started) != MP__WORK_WITHDRAWN;
}

/* The first work with units to claim, which the slot then points to; NULL if there is none. */
static mp__work *find(mp__pool_control *c, mp__slot *s)
{
    uint64_t serial = mp__claim_serial(mp__load_relaxed(&s->claim));
    mp__store_release(&s->claim, mp__claim_pack(fresh, serial));
    for (;;) {
        mp__work *w = mp__load_seq(&c->first);
        mp__store_seq(&s->work, w); /* pairs with the program's look before it frees */
        MP_STEP("claim.find.pointed");
        if (mp__load_seq(&c->first) != w)
            continue;
        if (is_open(w))
            return w;
        mp__work *following = mp__load_acquire(&w->following); /* pairs with the appending store */
        if (following == NULL)
            return NULL;
        mp__cas_seq(&c->first, &w, following);
    }
}

/* What the slot took last is settled. One that is alone is done then. */
static void settled(mp__slot *s, mp__work *w)
{
    if (w->units > 1 || mp__claim_state_of(mp__load_relaxed(&s->claim)) == MP__CLAIM_NONE)
        return;
    mp__claim_finish_now(w);
    MP_STEP("claim.take.finished");
    put_down(s);
}

bool mp__claim_take(mp__pool_control *c, uint32_t slot, mp__pace *pace, mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    mp__work *w = mp__load_relaxed(&s->work);
    if (w != NULL) {
        settled(s, w);
        if (w->units > 1 && take_from(c, slot, pace, range))
            return true;
    }
    while (find(c, s) != NULL)
        if (take_from(c, slot, pace, range))
            return true;
    return false;
}

bool mp__claim_next(mp__pool_control *c, uint32_t slot, const mp__pace *pace, mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    const mp__work *w = mp__load_relaxed(&s->work);
    return slot < w->lanes && take_own(w, s, slot, pace->units, range);
}

bool mp__stroll_begin(mp__pool_control *c, uint32_t slot, mp__stroll *st)
{
    mp__slot *s = &c->slot[slot];
    const mp__work *w = mp__load_relaxed(&s->work);
    if (slot >= w->lanes || w->units == 1)
        return false;
    uint64_t serial = mp__claim_serial(mp__load_relaxed(&s->claim)) + 1;
    *st = (mp__stroll){.lane = mp__lane_of(w, slot),
                       .claim = &s->claim,
                       .item = &s->item,
                       .unit = w->unit,
                       .dropped = mp__claim_pack(dropped, serial),
                       .own = mp__claim_pack((mp__claim){MP__CLAIM_OWN, slot, 0, 1}, serial)};
    return true;
}

/* As take_own() and announce(), with all that is the same each time made ready. */
bool mp__stroll_on(const mp__stroll *st, uint64_t *item)
{
    uint64_t now = mp__load_acquire(st->lane);
    while (!mp__lane_is_empty(now)) {
        uint64_t from = mp__lane_start(now);
        *item = from * st->unit;
        mp__store_release(st->claim, st->dropped);
        mp__fence_compiler();
        MP_STEP("claim.stroll.put_down");
        mp__store_relaxed(st->item, *item << 1);
        mp__fence_compiler();
        mp__store_relaxed(st->claim,
                          st->own | from << (MP__CLAIM_LENGTH_BITS + MP__CLAIM_SERIAL_BITS + 2));
        mp__fence_compiler();
        MP_STEP("claim.stroll.announced");
        if (__builtin_expect(mp__cas_seq(st->lane, &now, now + mp__lane_pack(1, 0, 0)), 1)) {
            MP_STEP("claim.stroll.taken");
            return true;
        }
    }
    return false;
}

bool mp__claim_leaves_more(const mp__slot *s)
{
    const mp__work *w = mp__load_relaxed(&s->work);
    /* `following` pairs with append() */
    return w == NULL || w->units > 1 || mp__load_seq(&w->following) != NULL;
}

void mp__claim_forget(mp__slot *s)
{
    mp__store_seq(&s->work, NULL);
}

/* ---- What a slot has. */

bool mp__claim_get(const mp__slot *s, mp__range *range)
{
    mp__claim its = mp__claim_unpack(mp__load_seq(&s->claim));
    if (its.state != MP__CLAIM_HELD)
        return false;
    *range = mp__claim_items(mp__load_relaxed(&s->work), its.from, its.length);
    uint64_t item = mp__load_acquire(&s->item) >> 1;
    if (item > range->start)
        range->start = item;
    return true;
}

/* What is left begins anywhere in its first unit, which slot->item tells. */
static mp__claim end_of_claim(const mp__work *w, mp__claim its, mp__range range)
{
    uint64_t from = range.start / w->unit;
    return (mp__claim){MP__CLAIM_HELD, its.lane, from, its.from + its.length - from};
}

void mp__claim_end(mp__pool_control *c, mp__slot *s)
{
    mp__work *w = mp__load_relaxed(&s->work);
    if (mp__claim_state_of(mp__load_relaxed(&s->claim)) == MP__CLAIM_NONE)
        return;
    if (w->units == 1) {
        settled(s, w);
        return;
    }
    put_down(s);
    MP_STEP("claim.end.put_down");
    if (!mp__lane_any(w))
        mp__claim_finish(c, w);
}

void mp__claim_set(mp__pool_control *c, mp__slot *s, mp__range range)
{
    mp__work *w = mp__load_relaxed(&s->work);
    uint64_t word = mp__load_relaxed(&s->claim);
    mp__store_relaxed(&s->deadline, 0); /* nothing is running */
    mp__store_relaxed(&s->soft, 0);
    mp__store_relaxed(&s->item, range.start << 1);
    mp__fence_compiler();
    MP_STEP("claim.set.item");
    if (range.start < range.end) {
        mp__claim rest = end_of_claim(w, mp__claim_unpack(word), range);
        mp__store_seq(&s->claim, mp__claim_pack(rest, mp__claim_serial(word) + 1));
        return;
    }
    mp__claim_end(c, s);
}

/* Whether what the claim wants was taken. */
static bool was_taken(const mp__work *w, mp__claim its, uint32_t slot)
{
    uint64_t lane = mp__load_seq(mp__lane_of(w, its.lane));
    if (its.state == MP__CLAIM_OWN)
        return mp__lane_start(lane) > its.from;
    return mp__lane_mark(lane) == slot + 1 && mp__lane_end(lane) == its.from;
}

void mp__claim_resolve(mp__pool_control *c, uint32_t slot)
{
    mp__slot *s = &c->slot[slot];
    uint64_t word = mp__load_seq(&s->claim);
    mp__claim its = mp__claim_unpack(word);
    mp__work *w = mp__load_seq(&s->work);
    if (its.state == MP__CLAIM_HELD)
        return;
    if (its.state == MP__CLAIM_NONE) {
        if (!was_dropped(word)) /* it may have been freed before it stood in the slot */
            mp__claim_forget(s);
        return;
    }
    if (was_taken(w, its, slot)) {
        mp__cas_seq(&s->claim, &word, MP__CLAIM_HOLD(word));
        return;
    }
    /* If another has cut the lane meanwhile, he has made the claim HELD before. */
    if (mp__claim_state_of(mp__load_seq(&s->claim)) == MP__CLAIM_HELD)
        return;
    put_down(s);
    if (w->units > 1)
        mp__claim_finish(c, w);
}

bool mp__claim_open(mp__pool_control *c)
{
    mp__slot *mine = &c->slot[c->slots];
    bool open = find(c, mine) != NULL;
    mp__claim_forget(mine);
    return open;
}

bool mp__claim_any(mp__pool_control *c)
{
    /* In this order: what is claimed in between is found by the second look. */
    bool any = mp__claim_open(c);
    uint32_t used = mp__load_acquire(&c->used);
    for (uint32_t i = 0; i < used && !any; i++)
        any = mp__claim_state_of(mp__load_seq(&c->slot[i].claim)) != MP__CLAIM_NONE;
    return any;
}
