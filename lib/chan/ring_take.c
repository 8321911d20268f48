/* SPDX-License-Identifier: MIT */
/* Taking messages out of a ring; chan/ring.c tells the whole. */
#include "chan/ring_segment.h"
#include "os/step.h"

#include <mproc/shared.h>

/* Whether a message lies beyond head; what tail was. */
static bool there_is_more(mp__ring *r, uint64_t head, uint64_t *tail)
{
    uint64_t seen = mp__load_acquire(&r->tail_seen);
    if ((int32_t)(mp__ring_unpack(seen).count - mp__ring_unpack(head).count) <= 0) {
        uint64_t old = seen;
        seen = mp__load_acquire(&r->tail); /* pairs with mp__ring_publish() */
        /* Only from what it was: one who was stopped here must not bring back an ancient tail,
         * which positions that have wrapped around would make a future one. */
        mp__cas_release(&r->tail_seen, &old, seen);
        if ((int32_t)(mp__ring_unpack(seen).count - mp__ring_unpack(head).count) <= 0)
            return false;
    }
    *tail = seen;
    return true;
}

/* All messages of this segment were taken: moves on to the next. */
void mp__ring_follow(mp__ring *r, uint64_t word, int64_t next)
{
    uint64_t tag = (word >> MP__RING_DISTANCE_BITS) + 1;
    uint64_t new = tag << MP__RING_DISTANCE_BITS | ((uint64_t)next & MP__RING_DISTANCE_MASK);
    mp__ring_segment *old = mp__ring_segment_at(r, mp__ring_distance_in(word));
    if (!mp__cas_seq(&r->head_segment, &word, new))
        return;               /* somebody else did */
    mp__fence_after_change(); /* before it is used again; pairs with locate() */
    MP_STEP("ring.follow.moved");
    mp_shared_free(old);
    MP_STEP("ring.follow.freed");
}

/* The head, its segment and the segment's borders, if there is a message. */
static bool locate(mp__ring *r, mp__ring_view *v)
{
    for (;;) {
        uint64_t word = mp__load_acquire(&r->head_segment); /* pairs with mp__ring_follow() */
        v->from = mp__load_acquire(&r->head); /* after that: never in an older segment */
        v->after = mp__ring_unpack(v->from);
        if (!there_is_more(r, v->from, &v->tail))
            return false;
        const mp__ring_segment *s = mp__ring_segment_at(r, mp__ring_distance_in(word));
        v->segment = s;
        v->first = mp__load_relaxed(&s->first);
        v->units = mp__load_relaxed(&s->units);
        int64_t next = mp__load_acquire(&s->next); /* pairs with append_segment() */
        v->end = mp__load_relaxed(&s->end);
        mp__fence_acquire(); /* the borders before the look whether they are the segment's */
        if (mp__load_relaxed(&r->head_segment) != word)
            continue;
        if (next == 0) {
            v->end = v->after.unit + MP__RING_MOST_UNITS;
            return true;
        }
        if ((int32_t)(v->after.unit - v->end) < 0)
            return true;
        mp__ring_follow(r, word, next);
    }
}

/* Reads the record at v->after, and moves that behind it. False: it cannot be one. */
static bool read_record(mp__ring_view *v)
{
    uint32_t offset = (v->after.unit - v->first) & (v->units - 1);
    uint64_t header = mp__ring_header(&v->segment->unit[offset]);
    if (header >> MP__RING_KIND_SHIFT == MP__RING_FILLER) {
        v->after.unit += v->units - offset;
        offset = 0;
        header = mp__ring_header(&v->segment->unit[0]);
    }
    size_t length = header >> MP__RING_LENGTH_SHIFT & MP__RING_LENGTH_MASK;
    uint32_t need = mp__ring_units(length);
    if (length > MP__RING_INLINE_MOST || need > v->units - offset ||
        header >> MP__RING_KIND_SHIFT > MP__RING_BLOCK)
        return false;
    const uint64_t *bytes = &v->segment->unit[offset + 1];
    v->message = (mp__ring_message){(enum mp__ring_kind)(header >> MP__RING_KIND_SHIFT), bytes,
                                    length, NULL};
    v->before = header & MP__RING_BYTES_MASK;
    if (v->message.kind == MP__RING_BLOCK) {
        mp__ring_reference reference;
        if (length != sizeof reference)
            return false;
        mp__ring_move(&reference, bytes, sizeof reference);
        v->message.block = reference.block;
        v->message.data = reference.block->data;
        v->message.length = reference.length;
    }
    v->after.unit += need;
    v->after.count++;
    return true;
}

bool mp__ring_glance(mp__ring *r, mp__ring_view *v)
{
    uint64_t word = mp__load_acquire(&r->head_segment), tail; /* as in locate() */
    uint64_t from = mp__load_acquire(&r->head);
    if (!there_is_more(r, from, &tail))
        return false;
    const mp__ring_segment *s = mp__ring_segment_at(r, mp__ring_distance_in(word));
    mp__ring_position at = mp__ring_unpack(from);
    uint32_t units = mp__load_relaxed(&s->units);
    uint32_t offset = (at.unit - mp__load_relaxed(&s->first)) & (units - 1);
    bool left = mp__load_relaxed(&s->next) != 0;
    mp__fence_acquire();
    if (left || mp__load_relaxed(&r->head_segment) != word)
        return false;
    uint64_t header = mp__ring_header(&s->unit[offset]);
    size_t length = header >> MP__RING_LENGTH_SHIFT & MP__RING_LENGTH_MASK;
    uint32_t need = mp__ring_units(length);
    if (header >> MP__RING_KIND_SHIFT != MP__RING_BYTES || length > MP__RING_INLINE_MOST ||
        need > units - offset)
        return false;
    v->message = (mp__ring_message){MP__RING_BYTES, &s->unit[offset + 1], length, NULL};
    v->from = from;
    v->after = (mp__ring_position){at.count + 1, at.unit + need};
    return true;
}

bool mp__ring_look(mp__ring *r, mp__ring_view *v)
{
    for (;;) {
        if (!locate(r, v))
            return false;
        if (read_record(v))
            return true;
        if (mp__ring_is_current(r, v))
            return false; /* as mp__ring_is_broken() tells */
    }
}

bool mp__ring_is_broken(mp__ring *r)
{
    mp__ring_view v;
    return locate(r, &v) && !read_record(&v) && mp__ring_is_current(r, &v);
}

bool mp__ring_look_on(mp__ring *r, mp__ring_view *v)
{
    (void)r;
    if (mp__ring_unpack(v->tail).count == v->after.count || v->after.unit == v->end)
        return false;
    v->last = v->after;
    if (read_record(v))
        return true;
    mp__ring_look_back(v);
    return false;
}

void mp__ring_copy(void *to, const mp__ring_message *m)
{
    mp__ring_move(to, m->data, m->length);
}

bool mp__ring_is_current(const mp__ring *r, const mp__ring_view *v)
{
    mp__fence_acquire(); /* what was read before, before this look */
    return mp__load_relaxed(&r->head) == v->from;
}

bool mp__ring_take(mp__ring *r, const mp__ring_view *v)
{
    uint64_t from = v->from;
    /* Behind all reads of what is taken; pairs with within_limits() and fits(). */
    return mp__cas_seq(&r->head, &from, mp__ring_pack(v->after));
}
