/* SPDX-License-Identifier: MIT */
/*
 * Layout. Messages lie in segments. A segment is a ring of units of 8 bytes; a record is a header
 * of one unit and the bytes, never broken at the segment's end (a filler record skips to it). While
 * messages fit, producers and consumers go round in one segment. When one does not fit, the
 * producer appends a larger segment and goes on there; consumers drain the old one, follow, and
 * free it.
 *
 * Why it is right. Producers exclude each other by put_lock, consumers by get_lock; a producer and
 * a consumer meet only in three words:
 * - tail, stored with release order by the producer after the records it covers, loaded with
 *   acquire order by the consumer: the records below are whole, and so are segment links on the way
 *   to them.
 * - head, stored with release order by the consumer after it has copied, loaded with acquire order
 *   by the producer before it writes over the room.
 * - a segment's `next`, stored with release order after `end`. A consumer looks at it only while
 *   there is a message beyond, so the producer has by then made the new segment its tail_segment.
 *
 * Who may die where.
 * - A producer before the store of tail: nothing was put. Records beyond tail are overwritten. A
 *   segment it has linked is found by the next producer through `next` (mp__ring_repair_put).
 * - A producer after it: the message is there. The wake that it owed is its user's matter.
 * - A consumer before the store of head: nothing was taken. After it: the message went with it, and
 *   if it was a block the block is lost with it.
 * - A consumer between moving head_segment on and freeing the old one: that segment is lost.
 * - With a limit of bytes: the two counters are written beside tail and head, so a death in between
 *   leaves them wrong. Whoever is told of the death sees that they are counted anew.
 * Nobody sleeps, and no block is copied, under a lock.
 */
#include "chan/ring.h"

#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define UNIT          sizeof(uint64_t)
#define FIRST_UNITS   1024u           /* 8 KiB: any inline record fits into half of it */
#define LARGEST_UNITS (1u << 20 >> 3) /* 1 MiB */

#define MOST_UNITS (1u << 30) /* 8 GiB queued: half the range in which positions differ */

enum { INLINE = 1, BLOCK = 2, FILLER = 3 };

typedef struct record {
    uint32_t kind;
    uint32_t length; /* INLINE: bytes that follow */
} record;

_Static_assert(sizeof(record) == UNIT, "a record's header is one unit");

typedef struct block_reference {
    void *block;
    uint64_t length;
} block_reference;

struct mp__ring_segment {
    uint32_t first; /* unit position at which it began */
    uint32_t units; /* a power of two */
    uint32_t end;   /* unit position at which producers left it; valid once next is set */
    uint32_t reserved;
    _Atomic(mp__ring_segment *) next;
    _Alignas(MP__CACHE_LINE) uint64_t unit[];
};

static uint64_t pack(mp__ring_position p)
{
    return (uint64_t)p.count << 32 | p.unit;
}

static record *record_at(mp__ring_segment *s, uint32_t unit)
{
    return (record *)(void *)&s->unit[(unit - s->first) & (s->units - 1)];
}

/* Units from here to where the segment's memory ends. */
static uint32_t to_border(const mp__ring_segment *s, uint32_t unit)
{
    return s->units - ((unit - s->first) & (s->units - 1));
}

static uint32_t units_of(size_t length)
{
    return 1 + (uint32_t)((length + UNIT - 1) / UNIT);
}

/* What a message counts for a limit of bytes. */
static uint64_t bytes_of(size_t length)
{
    return (uint64_t)length + UNIT;
}

static mp__ring_segment *new_segment(uint32_t units, uint32_t first)
{
    mp__ring_segment *s = mp_shared_alloc(sizeof *s + units * UNIT);
    if (s != NULL) {
        s->first = first;
        s->units = units;
        s->end = 0;
        s->reserved = 0;
        mp__store_relaxed(&s->next, NULL);
    }
    return s;
}

int mp__ring_init(mp__ring *r, uint32_t maxsize, uint64_t capacity)
{
    mp__ring_segment *s = new_segment(FIRST_UNITS, 0);
    if (s == NULL)
        return mp_shared_error();
    memset(r, 0, sizeof *r);
    r->maxsize = maxsize;
    r->capacity = capacity;
    r->head_segment = r->tail_segment = s;
    return 0;
}

void mp__ring_fini(mp__ring *r)
{
    mp__ring_message m;
    while (mp__ring_peek(r, &m)) {
        mp__ring_consume(r, &m);
        mp_shared_free(m.block);
    }
    for (mp__ring_segment *s = r->head_segment; s != NULL;) {
        mp__ring_segment *next = mp__load_relaxed(&s->next);
        mp_shared_free(s);
        s = next;
    }
}

int mp__ring_prepare(mp__ring_message *m)
{
    m->block = NULL;
    if (m->length <= MP__RING_INLINE_MOST)
        return 0;
    m->block = mp_shared_alloc(m->length);
    if (m->block == NULL)
        return mp_shared_error();
    MP_STEP("ring.prepare.allocated");
    memcpy(m->block, m->data, m->length);
    return 0;
}

/* With both locks: what lies between head and tail, in bytes. */
static uint64_t count_bytes(const mp__ring *r)
{
    mp__ring_segment *s = r->head_segment;
    uint32_t unit = mp__ring_unpack(mp__load_relaxed(&r->head)).unit;
    uint32_t left = mp__ring_size(r);
    uint64_t bytes = 0;
    while (left > 0) {
        mp__ring_segment *next = mp__load_acquire(&s->next);
        if (next != NULL && unit == s->end) {
            s = next;
            continue;
        }
        const record *rec = record_at(s, unit);
        if (rec->kind == FILLER) {
            unit += to_border(s, unit);
            continue;
        }
        size_t length = rec->length;
        if (rec->kind == BLOCK)
            length = ((const block_reference *)(const void *)(rec + 1))->length;
        bytes += bytes_of(length);
        unit += units_of(rec->length);
        left--;
    }
    return bytes;
}

/* With put_lock: counts anew if somebody died counting. */
static void recount(mp__ring *r)
{
    mp__mutex_lock(&r->get_lock);
    mp__store_relaxed(&r->recount, 0);
    MP_STEP("ring.recount.unmarked");
    mp__store_relaxed(&r->got_bytes, 0);
    MP_STEP("ring.recount.got_reset");
    mp__store_relaxed(&r->put_bytes, count_bytes(r));
    MP_STEP("ring.recount.counted");
    mp__mutex_unlock(&r->get_lock);
}

void mp__ring_repair_put(mp__ring *r)
{
    mp__ring_segment *next = mp__load_acquire(&r->tail_segment->next);
    if (next != NULL)
        r->tail_segment = next;
    MP_STEP("ring.repair_put.followed");
    if (r->capacity != 0)
        recount(r);
}

void mp__ring_repair_get(mp__ring *r)
{
    mp__store_relaxed(&r->recount, 1); /* a producer who misses room will do it; it may lock both */
}

mp__ring_position mp__ring_put_begin(mp__ring *r)
{
    return mp__ring_unpack(mp__load_relaxed(&r->tail));
}

/* Whether somebody died counting. If it was the only consumer, nobody may come to get_lock to be
 * told: what is full by a wrong count may be empty. */
static bool must_recount(mp__ring *r)
{
    return mp__load_relaxed(&r->recount) ||
           (mp__load_relaxed(&r->get_lock.word) & MP__OWNER_DIED) != 0;
}

/* Whether there is room for one more message, by count and by bytes. */
static bool within_limits(mp__ring *r, mp__ring_position at, const mp__ring_message *m)
{
    if (r->maxsize != 0) {
        if (at.count - mp__ring_unpack(r->head_seen).count >= r->maxsize)
            r->head_seen = mp__load_acquire(&r->head); /* pairs with consume() */
        if (at.count - mp__ring_unpack(r->head_seen).count >= r->maxsize)
            return false;
    }
    if (r->capacity == 0)
        return true;
    for (;;) {
        /* What was got is read second-hand only in the safe direction: too little of it. */
        uint64_t in = mp__load_relaxed(&r->put_bytes) - mp__load_acquire(&r->got_bytes);
        if (in + bytes_of(m->length) <= r->capacity)
            return true;
        if (!must_recount(r))
            return false;
        mp__ring_publish(r, at); /* only what is published is counted */
        recount(r);
    }
}

/* Whether `need` units fit into the segment at this position; a filler before them counts. */
static bool fits(mp__ring *r, const mp__ring_segment *s, uint32_t unit, uint32_t need)
{
    uint32_t border = to_border(s, unit);
    uint32_t total = need <= border ? need : border + need;
    for (int look = 0; look < 2; look++) {
        uint32_t head = mp__ring_unpack(r->head_seen).unit;
        /* Consumers may still be in an older segment: then all of this one is in use. */
        uint32_t oldest = (int32_t)(head - s->first) > 0 ? head : s->first;
        if (unit - oldest + total <= s->units)
            return true;
        r->head_seen = mp__load_acquire(&r->head); /* pairs with consume() */
    }
    return false;
}

/* Leaves the segment for a larger one. What was added must be published: then the new segment
 * begins where tail stands, whoever goes on from there. */
static mp__ring_segment *append_segment(mp__ring *r, mp__ring_segment *s, uint32_t unit)
{
    uint32_t units = s->units < LARGEST_UNITS ? s->units * 2 : s->units;
    mp__ring_segment *new = new_segment(units, unit);
    if (new == NULL)
        return NULL;
    MP_STEP("ring.append.made");
    s->end = unit;
    MP_STEP("ring.append.ended");
    mp__store_release(&s->next, new); /* pairs with follow() and mp__ring_repair_put() */
    MP_STEP("ring.append.linked");
    r->tail_segment = new;
    return new;
}

static void write_record(record *rec, const mp__ring_message *m)
{
    if (m->block != NULL) {
        block_reference reference = {m->block, m->length};
        *rec = (record){BLOCK, sizeof reference};
        memcpy(rec + 1, &reference, sizeof reference);
    } else {
        *rec = (record){INLINE, (uint32_t)m->length};
        if (m->length > 0)
            memcpy(rec + 1, m->data, m->length);
    }
}

int mp__ring_add(mp__ring *r, mp__ring_position *at, const mp__ring_message *m)
{
    if (!within_limits(r, *at, m))
        return MP_EFULL;
    uint32_t need = units_of(m->block != NULL ? sizeof(block_reference) : m->length);
    mp__ring_segment *s = r->tail_segment;
    if (!fits(r, s, at->unit, need)) {
        if (at->unit - mp__ring_unpack(r->head_seen).unit > MOST_UNITS)
            return MP_ENOMEM;
        mp__ring_publish(r, *at);
        s = append_segment(r, s, at->unit);
        if (s == NULL)
            return mp_shared_error();
    }
    uint32_t border = to_border(s, at->unit);
    if (need > border) {
        *record_at(s, at->unit) = (record){FILLER, 0};
        MP_STEP("ring.add.filled");
        at->unit += border;
    }
    write_record(record_at(s, at->unit), m);
    MP_STEP("ring.add.copied");
    at->unit += need;
    at->count++;
    if (r->capacity != 0)
        mp__add_relaxed(&r->put_bytes, bytes_of(m->length));
    MP_STEP("ring.add.counted");
    return 0;
}

void mp__ring_publish(mp__ring *r, mp__ring_position upto)
{
    mp__store_release(&r->tail, pack(upto)); /* pairs with mp__ring_peek() */
}

/* Moves to the next segment, once the consumers have read this one to its end. */
static mp__ring_segment *follow(mp__ring *r, mp__ring_segment *s, uint32_t unit)
{
    mp__ring_segment *next = mp__load_acquire(&s->next); /* pairs with append_segment() */
    if (next == NULL || unit != s->end)
        return s;
    r->head_segment = next;
    MP_STEP("ring.follow.moved");
    mp_shared_free(s);
    MP_STEP("ring.follow.freed");
    return next;
}

bool mp__ring_peek(mp__ring *r, mp__ring_message *m)
{
    mp__ring_position head = mp__ring_unpack(mp__load_relaxed(&r->head));
    if (mp__ring_unpack(r->tail_seen).count == head.count) {
        r->tail_seen = mp__load_acquire(&r->tail); /* pairs with mp__ring_publish() */
        if (mp__ring_unpack(r->tail_seen).count == head.count)
            return false;
    }
    mp__ring_segment *s = follow(r, r->head_segment, head.unit);
    const record *rec = record_at(s, head.unit);
    if (rec->kind == FILLER) {
        /* Only moves the position: the count, and so the message, stays. */
        head.unit += to_border(s, head.unit);
        mp__store_release(&r->head, pack(head));
        MP_STEP("ring.peek.skipped");
        rec = record_at(s, head.unit);
    }
    if (rec->kind == BLOCK) {
        block_reference reference;
        memcpy(&reference, rec + 1, sizeof reference);
        *m = (mp__ring_message){reference.block, reference.length, reference.block};
    } else {
        *m = (mp__ring_message){rec + 1, rec->length, NULL};
    }
    return true;
}

void mp__ring_consume(mp__ring *r, const mp__ring_message *m)
{
    mp__ring_position head = mp__ring_unpack(mp__load_relaxed(&r->head));
    head.unit += units_of(m->block != NULL ? sizeof(block_reference) : m->length);
    head.count++;
    mp__store_release(&r->head, pack(head)); /* pairs with within_limits() and fits() */
    MP_STEP("ring.consume.published");
    if (r->capacity != 0)
        mp__add_relaxed(&r->got_bytes, bytes_of(m->length));
}
