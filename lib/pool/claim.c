/* SPDX-License-Identifier: MIT */
/* Why it is right: pool/claim.h. All operations on `next` and `claim` that decide something are
 * sequentially consistent; they are few per chunk. */
#include "pool/claim.h"

#define LENGTH_MOST UINT64_C(0xffff)
#define SERIALS     UINT64_C(0x3f)

static uint64_t pack_next(uint64_t start, uint64_t claimer)
{
    return start << 16 | claimer;
}

static uint64_t next_start(uint64_t next)
{
    return next >> 16;
}

static uint64_t next_claimer(uint64_t next)
{
    return next & 0xffff;
}

/* The serial number tells two claims on equal ranges of different works apart for a helper that was
 * held up between its load and its compare-and-swap. */
static uint64_t pack_claim(mp__range r, uint64_t serial, enum mp__claim_state state)
{
    return r.start << 24 | (serial & SERIALS) << 18 | (r.end - r.start) << 2 | (uint64_t)state;
}

static enum mp__claim_state claim_state(uint64_t claim)
{
    return (enum mp__claim_state)(claim & 3);
}

static uint64_t claim_serial(uint64_t claim)
{
    return claim >> 18 & SERIALS;
}

static mp__range claim_range(uint64_t claim)
{
    uint64_t start = claim >> 24;
    return (mp__range){start, start + (claim >> 2 & LENGTH_MOST)};
}

/* Before `next` is moved away from a value that carries a claimer: he gets what he has taken. */
static void help(mp__pool_control *c, mp__work *w, uint64_t next)
{
    uint64_t number = next_claimer(next);
    if (number == 0)
        return;
    mp__slot *s = &c->slot[number - 1];
    uint64_t claim = mp__load_seq(&s->claim);
    if (claim_state(claim) == MP__CLAIM_WANTED && claim_range(claim).end == next_start(next) &&
        mp__load_seq(&s->work) == w)
        mp__cas_seq(&s->claim, &claim, claim ^ (MP__CLAIM_WANTED ^ MP__CLAIM_HELD));
}

static uint64_t chunk_of(const mp__work *w, uint64_t left)
{
    uint64_t chunk = w->chunk != 0 ? w->chunk : left / w->divisor;
    if (chunk < 1)
        chunk = 1;
    if (chunk > LENGTH_MOST)
        chunk = LENGTH_MOST;
    return chunk < left ? chunk : left;
}

static void drop(mp__slot *s)
{
    uint64_t serial = claim_serial(mp__load_relaxed(&s->claim)) + 1;
    mp__store_seq(&s->claim, pack_claim((mp__range){0, 0}, serial, MP__CLAIM_NONE));
}

/* Claims a range of a work that the slot points to. False if none is left. */
static bool take_from(mp__pool_control *c, uint32_t slot, mp__work *w, mp__range *range)
{
    mp__slot *s = &c->slot[slot];
    uint64_t next = mp__load_seq(&w->next);
    bool wanted = false;
    while (next_start(next) < w->count) {
        help(c, w, next);
        range->start = next_start(next);
        range->end = range->start + chunk_of(w, w->count - range->start);
        uint64_t serial = claim_serial(mp__load_relaxed(&s->claim)) + 1;
        uint64_t claim = pack_claim(*range, serial, MP__CLAIM_WANTED);
        mp__store_relaxed(&s->item, range->start << 1);
        mp__store_relaxed(&s->attempts, 0);
        mp__store_seq(&s->claim, claim);
        wanted = true;
        if (mp__cas_seq(&w->next, &next, pack_next(range->end, slot + 1))) {
            mp__cas_seq(&s->claim, &claim, claim ^ (MP__CLAIM_WANTED ^ MP__CLAIM_HELD));
            return true;
        }
    }
    if (wanted) { /* others took this claim into account when they looked whether it is done */
        drop(s);
        mp__claim_finish(c, w);
    }
    return false;
}

void mp__claim_forget(mp__slot *s)
{
    mp__store_seq(&s->work, NULL);
}

bool mp__claim_get(const mp__slot *s, mp__range *range)
{
    uint64_t claim = mp__load_seq(&s->claim);
    *range = claim_range(claim);
    return claim_state(claim) == MP__CLAIM_HELD;
}

void mp__claim_set(mp__pool_control *c, mp__slot *s, mp__range range)
{
    mp__store_relaxed(&s->deadline, 0); /* nothing is running */
    mp__store_relaxed(&s->item, range.start << 1);
    if (range.start < range.end) {
        uint64_t serial = claim_serial(mp__load_relaxed(&s->claim)) + 1;
        mp__store_seq(&s->claim, pack_claim(range, serial, MP__CLAIM_HELD));
        return;
    }
    mp__work *w = mp__load_relaxed(&s->work);
    drop(s);
    if (next_start(mp__load_seq(&w->next)) >= w->count)
        mp__claim_finish(c, w);
}

void mp__claim_resolve(mp__pool_control *c, uint32_t slot)
{
    mp__slot *s = &c->slot[slot];
    uint64_t claim = mp__load_seq(&s->claim);
    if (claim_state(claim) != MP__CLAIM_WANTED)
        return;
    mp__work *w = mp__load_seq(&s->work);
    uint64_t next = mp__load_seq(&w->next);
    bool taken = next_claimer(next) == slot + 1 && next_start(next) == claim_range(claim).end;
    if (taken) {
        mp__cas_seq(&s->claim, &claim, claim ^ (MP__CLAIM_WANTED ^ MP__CLAIM_HELD));
        return;
    }
    /* If another has moved next on meanwhile, it has made the claim HELD before. */
    claim = mp__load_seq(&s->claim);
    if (claim_state(claim) != MP__CLAIM_WANTED)
        return;
    drop(s);
    mp__claim_finish(c, w);
}

uint64_t mp__claim_stop(mp__pool_control *c, mp__work *w, bool untouched)
{
    uint64_t next = mp__load_seq(&w->next);
    while (next_start(next) < w->count) {
        if (untouched && next_start(next) != 0)
            return w->count;
        help(c, w, next);
        if (mp__cas_seq(&w->next, &next, pack_next(w->count, 0)))
            return next_start(next);
    }
    return w->count;
}

static bool is_finished(const mp__pool_control *c, const mp__work *w)
{
    if (next_start(mp__load_seq(&w->next)) < w->count)
        return false;
    for (uint32_t i = 0; i < c->slots; i++) {
        const mp__slot *s = &c->slot[i];
        if (claim_state(mp__load_seq(&s->claim)) != MP__CLAIM_NONE && mp__load_seq(&s->work) == w)
            return false;
    }
    return true;
}

void mp__claim_finish_now(mp__work *w)
{
    uint32_t open = MP__WORK_OPEN;
    /* Who dies behind the change has rung, unless the program has just looked; see sync/event.c. */
    if (mp__doorbells_any(&w->bells))
        mp__doorbells_ring(&w->bells);
    mp__cas_seq(&w->state, &open, MP__WORK_DONE); /* publishes all output */
    mp__fence_after_change();
    mp__waitword_wake(&w->done, MP__WAKE_ALL);
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
    uint64_t start = next_start(mp__load_relaxed(&w->next));
    uint64_t left = start < w->count ? w->count - start : 0;
    for (uint32_t i = 0; i < c->slots; i++) {
        const mp__slot *s = &c->slot[i];
        mp__range r;
        uint64_t done = mp__load_relaxed(&s->item) >> 1;
        if (mp__claim_get(s, &r) && mp__load_relaxed(&s->work) == w && done < r.end)
            left += r.end - (done > r.start ? done : r.start);
    }
    return left < w->count ? left : w->count;
}

/* The first work with items to claim, which the slot then points to; NULL if there is none. */
static mp__work *find(mp__pool_control *c, mp__slot *s)
{
    for (;;) {
        mp__work *w = mp__load_seq(&c->first);
        mp__store_seq(&s->work, w); /* pairs with the program's look before it frees */
        if (mp__load_seq(&c->first) != w)
            continue;
        if (next_start(mp__load_seq(&w->next)) < w->count)
            return w;
        mp__work *following = mp__load_acquire(&w->following); /* pairs with the appending store */
        if (following == NULL)
            return NULL;
        mp__cas_seq(&c->first, &w, following);
    }
}

bool mp__claim_take(mp__pool_control *c, uint32_t slot, mp__range *range)
{
    mp__work *w;
    while ((w = find(c, &c->slot[slot])) != NULL)
        if (take_from(c, slot, w, range))
            return true;
    return false;
}

bool mp__claim_any(mp__pool_control *c)
{
    /* In this order: what is claimed in between is found by the second look. */
    mp__slot *mine = &c->slot[c->slots];
    bool any = find(c, mine) != NULL;
    mp__claim_forget(mine);
    for (uint32_t i = 0; i < c->slots && !any; i++)
        any = claim_state(mp__load_seq(&c->slot[i].claim)) != MP__CLAIM_NONE;
    return any;
}
