/* SPDX-License-Identifier: MIT */
/*
 * Layout. Messages lie in segments. A segment is a ring of units of 8 bytes; a record is a header
 * of one unit and the bytes, never broken at the segment's end (a filler record skips to it). While
 * messages fit, producers and consumers go round in one segment. When one does not fit, the
 * producer appends a larger segment and goes on there; consumers drain the old one, follow, and
 * free it.
 *
 * Why it is right. Producers exclude each other by put_lock. Consumers have no lock: one looks at
 * the record at head, copies it, and then moves head past it by a compare-and-swap. If that
 * succeeds nobody else took the message, and no producer has written over it, for they write only
 * where head has gone by; so the copy is true. If it fails the copy is thrown away. (head would
 * have to come back to the very word, after a multiple of 2^32 messages and of 2^32 units, while
 * one consumer stands still.) A producer and a consumer meet only in three words:
 * - tail, stored with release order by the producer after the records it covers, loaded with
 *   acquire order by a consumer (or by another, who passes it on in tail_seen): the records below
 *   are whole, and so are segment links on the way to them.
 * - head, changed with release order by the consumer after it has copied, loaded with acquire order
 *   by the producer before it writes over the room.
 * - a segment's `next`, stored with release order after `end`. A consumer acts on it only while
 *   there is a message beyond, so the producer has by then made the new segment its tail_segment.
 *
 * A consumer may be looking at a segment that others have left and freed, and that has become
 * something else. It reads the segment's borders, and then whether head_segment is still the word
 * that it came from (a segment is freed only after that has changed, and its tag makes the word
 * another each time): if so the borders are true. After that it reads only between them, and from a
 * header no more than that a record could be; whatever it finds there, its compare-and-swap fails.
 *
 * Who may die where.
 * - A producer before the store of tail: nothing was put. Records beyond tail are overwritten. A
 *   segment it has linked is found by the next producer through `next` (mp__ring_repair).
 * - A producer after it: the message is there. The wake that it owed is its user's matter.
 * - A consumer before the change of head: nothing was taken. After it: the message went with it,
 *   and if it was a block the block is lost with it, unless the ring's user knows better.
 * - A consumer between moving head_segment on and freeing the old one: that segment is lost.
 * - With a limit of bytes every record tells how many bytes were put before it, so what is in the
 *   ring is what tail has more than the record at head, and consumers count nothing. The sum at
 *   tail is written beside it: pending_bytes first, put_bytes after it; a death in between is told
 *   by pending_tail.
 */
#include "chan/ring.h"

#include "chan/ring_segment.h"
#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

static void init_segment(mp__ring_segment *s, uint32_t units, uint32_t first)
{
    mp__store_relaxed(&s->first, first);
    mp__store_relaxed(&s->units, units);
    mp__store_relaxed(&s->end, 0);
    mp__store_relaxed(&s->next, 0);
}

static mp__ring_segment *new_segment(uint32_t units, uint32_t first)
{
    mp__ring_segment *s = mp_shared_alloc(sizeof *s + units * MP__RING_UNIT);
    if (s != NULL)
        init_segment(s, units, first);
    return s;
}

static void begin(mp__ring *r, mp__ring_segment *s)
{
    r->pending_tail = MP__RING_NO_TAIL;
    r->tail_segment = mp__ring_distance(r, s);
    mp__store_relaxed(&r->head_segment, (uint64_t)r->tail_segment & MP__RING_DISTANCE_MASK);
}

int mp__ring_init(mp__ring *r, uint32_t maxsize, uint64_t capacity)
{
    mp__ring_segment *s = new_segment(MP__RING_FIRST_UNITS, 0);
    if (s == NULL)
        return mp_shared_error();
    memset(r, 0, sizeof *r);
    r->maxsize = maxsize;
    r->capacity = capacity;
    begin(r, s);
    return 0;
}

void mp__ring_init_fixed(mp__ring *r, size_t bytes)
{
    mp__ring_segment *s = (mp__ring_segment *)(void *)(r + 1);
    r->fixed = 1;
    init_segment(s, (uint32_t)(bytes / MP__RING_UNIT), 0);
    begin(r, s);
}

void mp__ring_fini(mp__ring *r)
{
    mp__ring_view v;
    while (mp__ring_look(r, &v))
        if (mp__ring_take(r, &v) && v.message.kind == MP__RING_BLOCK)
            mp_shared_free(v.message.block);
    int64_t distance = r->fixed ? 0 : mp__ring_distance_in(mp__load_relaxed(&r->head_segment));
    while (distance != 0) {
        mp__ring_segment *s = mp__ring_segment_at(r, distance);
        distance = mp__load_relaxed(&s->next);
        mp_shared_free(s);
    }
}

/* ---- Producers. */

void mp__ring_repair(mp__ring *r)
{
    int64_t next = mp__load_acquire(&mp__ring_segment_at(r, r->tail_segment)->next);
    if (next != 0)
        r->tail_segment = next;
    MP_STEP("ring.repair.followed");
    mp__ring_segment *s = mp__ring_segment_at(r, r->tail_segment);
    mp__store_relaxed(&r->large, mp__load_relaxed(&s->units) > MP__RING_FIRST_UNITS);
    if (mp__load_relaxed(&r->tail) == r->pending_tail)
        r->put_bytes = r->pending_bytes;
    MP_STEP("ring.repair.counted");
    r->pending_tail = MP__RING_NO_TAIL;
}

mp__ring_batch mp__ring_put_begin(const mp__ring *r)
{
    return (mp__ring_batch){mp__ring_unpack(mp__load_relaxed(&r->tail)), r->put_bytes};
}

/* With put_lock: how many bytes are in the ring. */
static uint64_t bytes_inside(mp__ring *r)
{
    mp__ring_view v;
    do {
        if (!mp__ring_look(r, &v))
            return 0;
    } while (!mp__ring_is_current(r, &v));
    return (r->put_bytes - v.before) & MP__RING_BYTES_MASK;
}

/* Whether there is room for one more message, by count and by bytes. */
static bool within_limits(mp__ring *r, const mp__ring_batch *b, const mp__ring_message *m)
{
    if (r->maxsize != 0) {
        if (b->at.count - mp__ring_unpack(r->head_seen).count >= r->maxsize)
            r->head_seen = mp__load_acquire(&r->head); /* pairs with take() */
        if (b->at.count - mp__ring_unpack(r->head_seen).count >= r->maxsize)
            return false;
    }
    if (r->capacity == 0)
        return true;
    /* What this batch has added and not published is seen by nobody, but counts. */
    uint64_t unpublished = b->bytes - r->put_bytes;
    return bytes_inside(r) + unpublished + mp__ring_bytes(m->length) <= r->capacity;
}

/* Whether `need` units fit into the segment at this position; a filler before them counts. */
static bool fits(mp__ring *r, const mp__ring_segment *s, uint32_t unit, uint32_t need)
{
    uint32_t first = mp__load_relaxed(&s->first), units = mp__load_relaxed(&s->units);
    uint32_t border = mp__ring_to_border(first, units, unit);
    uint32_t total = need <= border ? need : border + need;
    for (int look = 0; look < 2; look++) {
        uint32_t head = mp__ring_unpack(r->head_seen).unit;
        /* Consumers may still be in an older segment: then all of this one is in use. */
        uint32_t oldest = r->fixed || (int32_t)(head - first) > 0 ? head : first;
        if (unit - oldest + total <= units)
            return true;
        r->head_seen = mp__load_acquire(&r->head); /* pairs with take() */
    }
    return false;
}

/* Leaves the segment for another one, which begins where tail stands. */
static mp__ring_segment *append_segment(mp__ring *r, mp__ring_segment *s, uint32_t unit,
                                        uint32_t units)
{
    mp__ring_segment *new = new_segment(units, unit);
    if (new == NULL)
        return NULL;
    MP_STEP("ring.append.made");
    mp__store_relaxed(&s->end, unit);
    MP_STEP("ring.append.ended");
    mp__store_release(&s->next,
                      mp__ring_distance(r, new)); /* pairs with locate(), mp__ring_repair() */
    MP_STEP("ring.append.linked");
    r->tail_segment = mp__ring_distance(r, new);
    mp__store_relaxed(&r->large, units > MP__RING_FIRST_UNITS);
    return new;
}

static void write_record(uint64_t *unit, const mp__ring_message *m, uint64_t bytes)
{
    if (m->kind == MP__RING_BLOCK) {
        mp__ring_reference reference = {m->block, m->length};
        mp__ring_set_header(unit, m->kind, sizeof reference, bytes);
        mp__ring_move(unit + 1, &reference, sizeof reference);
    } else {
        mp__ring_set_header(unit, m->kind, m->length, bytes);
        mp__ring_move(unit + 1, m->data, m->length);
    }
}

/* Room for a record in the ring, or why there is none. */
static int make_room(mp__ring *r, mp__ring_batch *b, uint32_t need, mp__ring_segment **out)
{
    mp__ring_segment *s = mp__ring_segment_at(r, r->tail_segment);
    *out = s;
    if (fits(r, s, b->at.unit, need))
        return 0;
    if (r->fixed)
        return MP_EFULL;
    if (b->at.unit - mp__ring_unpack(r->head_seen).unit > MP__RING_MOST_UNITS)
        return MP_ENOMEM;
    /* The new segment begins at tail; and it is the ring's user who tells others what is put. */
    if (b->at.count != mp__ring_unpack(mp__load_relaxed(&r->tail)).count)
        return MP_EFULL;
    uint32_t units = mp__load_relaxed(&s->units);
    *out = append_segment(r, s, b->at.unit, units < MP__RING_LARGEST_UNITS ? units * 2 : units);
    return *out == NULL ? mp_shared_error() : 0;
}

int mp__ring_add(mp__ring *r, mp__ring_batch *b, const mp__ring_message *m)
{
    if (!within_limits(r, b, m))
        return MP_EFULL;
    uint32_t need =
        mp__ring_units(m->kind == MP__RING_BLOCK ? sizeof(mp__ring_reference) : m->length);
    mp__ring_segment *s;
    int rc = make_room(r, b, need, &s);
    if (rc < 0)
        return rc;
    uint32_t first = mp__load_relaxed(&s->first), units = mp__load_relaxed(&s->units);
    uint32_t border = mp__ring_to_border(first, units, b->at.unit);
    if (need > border) {
        mp__ring_set_header(&s->unit[units - border], MP__RING_FILLER, 0, 0);
        MP_STEP("ring.add.filled");
        b->at.unit += border;
    }
    write_record(&s->unit[(b->at.unit - first) & (units - 1)], m, b->bytes);
    MP_STEP("ring.add.copied");
    b->at.unit += need;
    b->at.count++;
    b->bytes += mp__ring_bytes(m->length);
    return 0;
}

bool mp__ring_add_one(mp__ring *r, const void *data, size_t length, uint64_t *upto)
{
    mp__ring_position at = mp__ring_unpack(mp__load_relaxed(&r->tail));
    mp__ring_position head = mp__ring_unpack(r->head_seen);
    mp__ring_segment *s = mp__ring_segment_at(r, r->tail_segment);
    uint32_t first = mp__load_relaxed(&s->first), units = mp__load_relaxed(&s->units);
    uint32_t need = mp__ring_units(length);
    uint32_t oldest = r->fixed || (int32_t)(head.unit - first) > 0 ? head.unit : first;
    if (r->capacity != 0 || (r->maxsize != 0 && at.count - head.count >= r->maxsize) ||
        need > mp__ring_to_border(first, units, at.unit) || at.unit - oldest + need > units)
        return false;
    uint64_t *unit = &s->unit[(at.unit - first) & (units - 1)];
    mp__ring_set_header(unit, MP__RING_BYTES, length, 0);
    mp__ring_move(unit + 1, data, length);
    MP_STEP("ring.add_one.copied");
    *upto = mp__ring_pack((mp__ring_position){at.count + 1, at.unit + need});
    return true;
}

void mp__ring_publish(mp__ring *r, const mp__ring_batch *b)
{
    uint64_t tail = mp__ring_pack(b->at);
    if (r->capacity == 0) {
        mp__store_release(&r->tail, tail); /* pairs with there_is_more() */
        return;
    }
    r->pending_bytes = b->bytes;
    mp__fence_compiler(); /* a death between any two of these stores is repaired */
    MP_STEP("ring.publish.counted");
    r->pending_tail = tail;
    mp__fence_compiler();
    MP_STEP("ring.publish.announced");
    mp__store_release(&r->tail, tail); /* pairs with there_is_more() */
    MP_STEP("ring.publish.published");
    r->put_bytes = b->bytes;
    mp__fence_compiler();
    MP_STEP("ring.publish.summed");
    r->pending_tail = MP__RING_NO_TAIL;
}

void mp__ring_shrink(mp__ring *r)
{
    mp__ring_position tail = mp__ring_unpack(mp__load_relaxed(&r->tail));
    if (!mp__ring_is_large(r) || mp__ring_size(r) != 0)
        return;
    if (append_segment(r, mp__ring_segment_at(r, r->tail_segment), tail.unit,
                       MP__RING_FIRST_UNITS) == NULL)
        return;
    for (;;) { /* nothing is left before the new one, and this thread has made it the tail's */
        uint64_t word = mp__load_acquire(&r->head_segment);
        int64_t next = mp__load_acquire(&mp__ring_segment_at(r, mp__ring_distance_in(word))->next);
        if (next == 0)
            return;
        mp__ring_follow(r, word, next);
    }
}
