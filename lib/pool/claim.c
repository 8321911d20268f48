/* SPDX-License-Identifier: MIT */
/*
 * Why it is right: pool/claim.h. Every compare-and-swap of a lane is sequentially consistent; a
 * claim is written before it with plain stores, which it publishes: a process that dies has made
 * its stores up to some point, in order.
 */
#include "pool/claim.h"

#include "os/step.h"

#define LANE_BITS   13
#define FROM_BITS   24
#define LENGTH_BITS 13
#define SERIAL_BITS 12

#define LENGTH_MOST ((UINT64_C(1) << LENGTH_BITS) - 1)
#define SERIALS     ((UINT64_C(1) << SERIAL_BITS) - 1)

/* ---- Lanes and claims as words. */

static uint64_t lane_start(uint64_t lane)
{
    return lane >> (24 + MP__LANE_MARK_BITS);
}

static uint64_t lane_end(uint64_t lane)
{
    return lane >> MP__LANE_MARK_BITS & MP__UNITS_MOST;
}

static uint64_t lane_mark(uint64_t lane)
{
    return lane & ((1u << MP__LANE_MARK_BITS) - 1);
}

static bool lane_is_empty(uint64_t lane)
{
    return lane_start(lane) >= lane_end(lane);
}

static _Atomic uint64_t *lane_of(const mp__work *w, uint64_t i)
{
    return &w->lane[i * MP__LANE_STRIDE];
}

typedef struct claim {
    enum mp__claim_state state;
    uint64_t lane, from, length;
} claim;

/* The serial number tells two equal claims on different works apart, for a helper that was held up
 * between its load and its compare-and-swap. */
static uint64_t claim_pack(claim c, uint64_t serial)
{
    uint64_t word = c.lane << FROM_BITS | c.from;
    word = word << LENGTH_BITS | c.length;
    return (word << SERIAL_BITS | (serial & SERIALS)) << 2 | (uint64_t)c.state;
}

static enum mp__claim_state claim_state(uint64_t word)
{
    return (enum mp__claim_state)(word & 3);
}

static uint64_t claim_serial(uint64_t word)
{
    return word >> 2 & SERIALS;
}

static claim claim_unpack(uint64_t word)
{
    uint64_t rest = word >> (2 + SERIAL_BITS);
    return (claim){claim_state(word), rest >> (LENGTH_BITS + FROM_BITS),
                   rest >> LENGTH_BITS & MP__UNITS_MOST, rest & LENGTH_MOST};
}

#define HOLD(word) ((word) | MP__CLAIM_HELD) /* of OWN, WANTED or HELD */

static mp__range items_of(const mp__work *w, uint64_t from, uint64_t length)
{
    uint64_t end = (from + length) * w->unit;
    return (mp__range){from * w->unit, end < w->count ? end : w->count};
}

/* ---- Taking. */

/* No claim; the slot's work is one that it had a claim on, or one that it only looks at. */
static const claim dropped = {.length = 1}, fresh = {0};

static bool was_dropped(uint64_t word)
{
    return claim_unpack(word).state == MP__CLAIM_NONE && claim_unpack(word).length != 0;
}

static void put_down(mp__slot *s)
{
    uint64_t serial = claim_serial(mp__load_relaxed(&s->claim));
    mp__store_seq(&s->claim, claim_pack(dropped, serial)); /* pairs with is_finished() */
}

/* Says what the worker is about to take. */
static void announce(mp__slot *s, const mp__work *w, claim wanted)
{
    uint64_t serial = claim_serial(mp__load_relaxed(&s->claim)) + 1;
    mp__store_release(&s->claim, claim_pack(dropped, serial)); /* all of the last one is done */
    mp__fence_compiler();
    MP_STEP("claim.take.put_down");
    mp__store_relaxed(&s->item, wanted.from * w->unit << 1);
    mp__store_relaxed(&s->attempts, 0);
    mp__fence_compiler();
    mp__store_relaxed(&s->claim, claim_pack(wanted, serial)); /* the lane's change publishes it */
    mp__fence_compiler();
    MP_STEP("claim.take.announced");
}

/* Half of what is left at most: the rest may go to others. */
static uint64_t share_of(const mp__work *w, uint64_t left, uint64_t wanted)
{
    uint64_t share = w->fixed ? 1 : wanted < left / 2 ? wanted : left / 2;
    if (share < 1)
        share = 1;
    return share < LENGTH_MOST ? share : LENGTH_MOST;
}

/* From the start of the slot's own lane. */
static bool take_own(const mp__work *w, mp__slot *s, uint64_t lane, uint64_t wanted,
                     mp__range *range)
{
    _Atomic uint64_t *own = lane_of(w, lane);
    uint64_t now = mp__load_acquire(own);
    while (!lane_is_empty(now)) {
        uint64_t from = lane_start(now), length = share_of(w, lane_end(now) - from, wanted);
        announce(s, w, (claim){MP__CLAIM_OWN, lane, from, length});
        uint64_t next = mp__lane_pack(from + length, lane_end(now), lane_mark(now));
        if (mp__cas_seq(own, &now, next)) {
            MP_STEP("claim.own.taken");
            *range = items_of(w, from, length);
            return true;
        }
    }
    return false;
}

/* Before a lane's end is cut again: who has cut it last gets what it has cut off. */
static void help(mp__pool_control *c, const mp__work *w, uint64_t lane, uint64_t seen)
{
    if (lane_mark(seen) == 0)
        return;
    mp__slot *s = &c->slot[lane_mark(seen) - 1];
    uint64_t word = mp__load_seq(&s->claim);
    claim its = claim_unpack(word);
    if (its.state == MP__CLAIM_WANTED && its.lane == lane && its.from == lane_end(seen) &&
        mp__load_seq(&s->work) == w)
        mp__cas_seq(&s->claim, &word, HOLD(word));
}

/* From the end of somebody else's lane. */
static bool cut(mp__pool_control *c, uint32_t slot, uint64_t lane, uint64_t wanted,
                mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    const mp__work *w = mp__load_relaxed(&s->work);
    _Atomic uint64_t *other = lane_of(w, lane);
    uint64_t now = mp__load_seq(other);
    while (!lane_is_empty(now)) {
        help(c, w, lane, now);
        MP_STEP("claim.cut.helped");
        uint64_t length = share_of(w, lane_end(now) - lane_start(now), wanted);
        uint64_t from = lane_end(now) - length;
        announce(s, w, (claim){MP__CLAIM_WANTED, lane, from, length});
        uint64_t mine = mp__load_relaxed(&s->claim);
        if (mp__cas_seq(other, &now, mp__lane_pack(lane_start(now), from, slot + 1))) {
            MP_STEP("claim.cut.cut_off");
            mp__cas_seq(&s->claim, &mine, HOLD(mine)); /* unless somebody has helped */
            *range = items_of(w, from, length);
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
    if (claim_state(mp__load_relaxed(&s->claim)) == MP__CLAIM_NONE)
        return false;
    /* Others took this claim into account when they looked whether the work is done. */
    put_down(s);
    MP_STEP("claim.take.gave_up");
    if (w->units > 1)
        mp__claim_finish(c, w);
    return false;
}

static bool has_units(const mp__work *w)
{
    for (uint32_t i = 0; i < w->lanes; i++)
        if (!lane_is_empty(mp__load_seq(lane_of(w, i))))
            return true;
    return false;
}

/* Not one that is being withdrawn. */
static bool is_open(const mp__work *w)
{
    return has_units(w) && mp__load_relaxed(&w->started) != MP__WORK_WITHDRAWN;
}

/* The first work with units to claim, which the slot then points to; NULL if there is none. */
static mp__work *find(mp__pool_control *c, mp__slot *s)
{
    uint64_t serial = claim_serial(mp__load_relaxed(&s->claim));
    mp__store_release(&s->claim, claim_pack(fresh, serial));
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
    if (w->units > 1 || claim_state(mp__load_relaxed(&s->claim)) == MP__CLAIM_NONE)
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
    uint64_t serial = claim_serial(mp__load_relaxed(&s->claim)) + 1;
    *st = (mp__stroll){.lane = lane_of(w, slot),
                       .claim = &s->claim,
                       .item = &s->item,
                       .unit = w->unit,
                       .dropped = claim_pack(dropped, serial),
                       .own = claim_pack((claim){MP__CLAIM_OWN, slot, 0, 1}, serial)};
    return true;
}

/* As take_own() and announce(), with all that is the same each time made ready. */
bool mp__stroll_on(const mp__stroll *st, uint64_t *item)
{
    uint64_t now = mp__load_acquire(st->lane);
    while (!lane_is_empty(now)) {
        uint64_t from = lane_start(now);
        *item = from * st->unit;
        mp__store_release(st->claim, st->dropped);
        mp__fence_compiler();
        MP_STEP("claim.stroll.put_down");
        mp__store_relaxed(st->item, *item << 1);
        mp__fence_compiler();
        mp__store_relaxed(st->claim, st->own | from << (LENGTH_BITS + SERIAL_BITS + 2));
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
    claim its = claim_unpack(mp__load_seq(&s->claim));
    if (its.state != MP__CLAIM_HELD)
        return false;
    *range = items_of(mp__load_relaxed(&s->work), its.from, its.length);
    uint64_t item = mp__load_acquire(&s->item) >> 1;
    if (item > range->start)
        range->start = item;
    return true;
}

/* What is left begins anywhere in its first unit, which slot->item tells. */
static claim end_of_claim(const mp__work *w, claim its, mp__range range)
{
    uint64_t from = range.start / w->unit;
    return (claim){MP__CLAIM_HELD, its.lane, from, its.from + its.length - from};
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
        claim rest = end_of_claim(w, claim_unpack(word), range);
        mp__store_seq(&s->claim, claim_pack(rest, claim_serial(word) + 1));
        return;
    }
    if (w->units == 1) {
        settled(s, w);
        return;
    }
    put_down(s);
    MP_STEP("claim.set.put_down");
    if (!has_units(w))
        mp__claim_finish(c, w);
}

/* Whether what the claim wants was taken. */
static bool was_taken(const mp__work *w, claim its, uint32_t slot)
{
    uint64_t lane = mp__load_seq(lane_of(w, its.lane));
    if (its.state == MP__CLAIM_OWN)
        return lane_start(lane) > its.from;
    return lane_mark(lane) == slot + 1 && lane_end(lane) == its.from;
}

void mp__claim_resolve(mp__pool_control *c, uint32_t slot)
{
    mp__slot *s = &c->slot[slot];
    uint64_t word = mp__load_seq(&s->claim);
    claim its = claim_unpack(word);
    mp__work *w = mp__load_seq(&s->work);
    if (its.state == MP__CLAIM_HELD)
        return;
    if (its.state == MP__CLAIM_NONE) {
        if (!was_dropped(word)) /* it may have been freed before it stood in the slot */
            mp__claim_forget(s);
        return;
    }
    if (was_taken(w, its, slot)) {
        mp__cas_seq(&s->claim, &word, HOLD(word));
        return;
    }
    /* If another has cut the lane meanwhile, he has made the claim HELD before. */
    if (claim_state(mp__load_seq(&s->claim)) == MP__CLAIM_HELD)
        return;
    put_down(s);
    if (w->units > 1)
        mp__claim_finish(c, w);
}

/* ---- The end of a work. */

/* Cuts off all of a lane. */
static mp__range cut_all(mp__pool_control *c, const mp__work *w, uint64_t lane)
{
    _Atomic uint64_t *word = lane_of(w, lane);
    uint64_t now = mp__load_seq(word);
    while (!lane_is_empty(now)) {
        help(c, w, lane, now);
        uint64_t start = lane_start(now);
        if (mp__cas_seq(word, &now, mp__lane_pack(start, start, 0)))
            return items_of(w, start, lane_end(now) - start);
    }
    return (mp__range){0, 0};
}

uint64_t mp__claim_stop(mp__pool_control *c, mp__work *w, bool untouched, int code,
                        const char *text)
{
    uint32_t started = MP__WORK_FRESH;
    if (untouched && w->units > 1 && !mp__cas_seq(&w->started, &started, MP__WORK_WITHDRAWN))
        return 0; /* begun, or withdrawn before */
    uint64_t stopped = 0;
    for (uint32_t i = 0; i < w->lanes; i++) {
        mp__range range = cut_all(c, w, i);
        mp__work_fail_range(w, range.start, range.end, code, text);
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
        if (claim_state(word) == MP__CLAIM_NONE || mp__load_seq(&s->work) != w)
            return false;
        if (mp__load_seq(&s->claim) == word)
            return true;
    }
}

static bool is_finished(const mp__pool_control *c, const mp__work *w)
{
    if (has_units(w))
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

/* ---- Looks. */

uint64_t mp__claim_left(const mp__pool_control *c, const mp__work *w)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < w->lanes; i++) {
        uint64_t lane = mp__load_relaxed(lane_of(w, i));
        mp__range range = items_of(w, lane_start(lane), lane_end(lane) - lane_start(lane));
        left += lane_is_empty(lane) ? 0 : range.end - range.start;
    }
    uint32_t used = mp__load_acquire(&c->used);
    for (uint32_t i = 0; i < used; i++) {
        const mp__slot *s = &c->slot[i];
        claim its = claim_unpack(mp__load_seq(&s->claim));
        mp__range range = items_of(w, its.from, its.length);
        uint64_t done = mp__load_relaxed(&s->item) >> 1;
        if (its.state != MP__CLAIM_NONE && mp__load_relaxed(&s->work) == w && done < range.end)
            left += range.end - (done > range.start ? done : range.start);
    }
    return left < w->count ? left : w->count;
}

bool mp__claim_any(mp__pool_control *c)
{
    /* In this order: what is claimed in between is found by the second look. */
    mp__slot *mine = &c->slot[c->slots];
    bool any = find(c, mine) != NULL;
    mp__claim_forget(mine);
    uint32_t used = mp__load_acquire(&c->used);
    for (uint32_t i = 0; i < used && !any; i++)
        any = claim_state(mp__load_seq(&c->slot[i].claim)) != MP__CLAIM_NONE;
    return any;
}
