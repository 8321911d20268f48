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

#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define UNIT          sizeof(uint64_t)
#define FIRST_UNITS   2048u           /* 16 KiB: any inline record fits into half of it */
#define LARGEST_UNITS (1u << 20 >> 3) /* 1 MiB */
#define MOST_UNITS    (1u << 30)      /* 8 GiB queued: half the range in which positions differ */

#define DISTANCE_BITS 48
#define DISTANCE_MASK ((UINT64_C(1) << DISTANCE_BITS) - 1)

#define NO_TAIL UINT64_MAX

/* A record's header: how many bytes were put before it (48 bits, which wrap around), its length in
 * the ring (13) and its kind (3). */
#define LENGTH_SHIFT 48
#define KIND_SHIFT   61
#define BYTES_MASK   ((UINT64_C(1) << LENGTH_SHIFT) - 1)
#define LENGTH_MASK  ((UINT64_C(1) << (KIND_SHIFT - LENGTH_SHIFT)) - 1)
#define FILLER       7 /* beside enum mp__ring_kind */

typedef struct block_reference {
    mp__ring_block *block;
    uint64_t length;
} block_reference;

/* All but the units is atomic, for one may read it in what is a segment no more. */
struct mp__ring_segment {
    _Atomic uint32_t first; /* unit position at which it began */
    _Atomic uint32_t units; /* a power of two */
    _Atomic uint32_t end;   /* unit position at which producers left it; valid once next is set */
    _Atomic int64_t next;   /* its distance from the ring; 0: there is none */
    _Alignas(MP__CACHE_LINE) uint64_t unit[];
};

_Static_assert(sizeof(mp__ring_segment) == MP__CACHE_LINE, "as MP__RING_FIXED_SIZE() has it");

/* ThreadSanitizer sees a consumer read what a producer may be writing; that is by design, and
 * atomic accesses say so. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(WATCHED) || defined(__SANITIZE_THREAD__)
static void copy(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        __atomic_store_n((unsigned char *)to + i,
                         __atomic_load_n((const unsigned char *)from + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}
#else
static inline void copy(void *to, const void *from, size_t length)
{
    if (length > 0)
        memcpy(to, from, length);
}
#endif

static uint64_t header_load(const uint64_t *unit)
{
    return __atomic_load_n(unit, __ATOMIC_RELAXED);
}

static void header_store(uint64_t *unit, uint32_t kind, size_t length, uint64_t bytes)
{
    uint64_t header =
        (uint64_t)kind << KIND_SHIFT | (uint64_t)length << LENGTH_SHIFT | (bytes & BYTES_MASK);
    __atomic_store_n(unit, header, __ATOMIC_RELAXED);
}

static uint64_t pack(mp__ring_position p)
{
    return (uint64_t)p.count << 32 | p.unit;
}

static mp__ring_segment *segment_at(const mp__ring *r, int64_t distance)
{
    return (mp__ring_segment *)((uintptr_t)r + (uintptr_t)distance);
}

static int64_t distance_of(const mp__ring *r, const mp__ring_segment *s)
{
    return (int64_t)((uintptr_t)s - (uintptr_t)r);
}

/* Of a head_segment. */
static int64_t distance_in(uint64_t word)
{
    return (int64_t)(word << (64 - DISTANCE_BITS)) >> (64 - DISTANCE_BITS);
}

/* Units from here to where the segment's memory ends. */
static uint32_t to_border(uint32_t first, uint32_t units, uint32_t unit)
{
    return units - ((unit - first) & (units - 1));
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

static void init_segment(mp__ring_segment *s, uint32_t units, uint32_t first)
{
    mp__store_relaxed(&s->first, first);
    mp__store_relaxed(&s->units, units);
    mp__store_relaxed(&s->end, 0);
    mp__store_relaxed(&s->next, 0);
}

static mp__ring_segment *new_segment(uint32_t units, uint32_t first)
{
    mp__ring_segment *s = mp_shared_alloc(sizeof *s + units * UNIT);
    if (s != NULL)
        init_segment(s, units, first);
    return s;
}

static void begin(mp__ring *r, mp__ring_segment *s)
{
    r->pending_tail = NO_TAIL;
    r->tail_segment = distance_of(r, s);
    mp__store_relaxed(&r->head_segment, (uint64_t)r->tail_segment & DISTANCE_MASK);
}

int mp__ring_init(mp__ring *r, uint32_t maxsize, uint64_t capacity)
{
    mp__ring_segment *s = new_segment(FIRST_UNITS, 0);
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
    init_segment(s, (uint32_t)(bytes / UNIT), 0);
    begin(r, s);
}

void mp__ring_fini(mp__ring *r)
{
    mp__ring_view v;
    while (mp__ring_look(r, &v))
        if (mp__ring_take(r, &v) && v.message.kind == MP__RING_BLOCK)
            mp_shared_free(v.message.block);
    int64_t distance = r->fixed ? 0 : distance_in(mp__load_relaxed(&r->head_segment));
    while (distance != 0) {
        mp__ring_segment *s = segment_at(r, distance);
        distance = mp__load_relaxed(&s->next);
        mp_shared_free(s);
    }
}

/* ---- Producers. */

void mp__ring_repair(mp__ring *r)
{
    int64_t next = mp__load_acquire(&segment_at(r, r->tail_segment)->next);
    if (next != 0)
        r->tail_segment = next;
    MP_STEP("ring.repair.followed");
    mp__ring_segment *s = segment_at(r, r->tail_segment);
    mp__store_relaxed(&r->large, mp__load_relaxed(&s->units) > FIRST_UNITS);
    if (mp__load_relaxed(&r->tail) == r->pending_tail)
        r->put_bytes = r->pending_bytes;
    MP_STEP("ring.repair.counted");
    r->pending_tail = NO_TAIL;
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
    return (r->put_bytes - v.before) & BYTES_MASK;
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
    return bytes_inside(r) + unpublished + bytes_of(m->length) <= r->capacity;
}

/* Whether `need` units fit into the segment at this position; a filler before them counts. */
static bool fits(mp__ring *r, const mp__ring_segment *s, uint32_t unit, uint32_t need)
{
    uint32_t first = mp__load_relaxed(&s->first), units = mp__load_relaxed(&s->units);
    uint32_t border = to_border(first, units, unit);
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

/* Leaves the segment for another one, which begins where tail stands, whoever goes on from there. */
static mp__ring_segment *append_segment(mp__ring *r, mp__ring_segment *s, uint32_t unit,
                                        uint32_t units)
{
    mp__ring_segment *new = new_segment(units, unit);
    if (new == NULL)
        return NULL;
    MP_STEP("ring.append.made");
    mp__store_relaxed(&s->end, unit);
    MP_STEP("ring.append.ended");
    mp__store_release(&s->next, distance_of(r, new)); /* pairs with locate(), mp__ring_repair() */
    MP_STEP("ring.append.linked");
    r->tail_segment = distance_of(r, new);
    mp__store_relaxed(&r->large, units > FIRST_UNITS);
    return new;
}

static void write_record(uint64_t *unit, const mp__ring_message *m, uint64_t bytes)
{
    if (m->kind == MP__RING_BLOCK) {
        block_reference reference = {m->block, m->length};
        header_store(unit, m->kind, sizeof reference, bytes);
        copy(unit + 1, &reference, sizeof reference);
    } else {
        header_store(unit, m->kind, m->length, bytes);
        copy(unit + 1, m->data, m->length);
    }
}

/* Room for a record in the ring, or why there is none. */
static int make_room(mp__ring *r, mp__ring_batch *b, uint32_t need, mp__ring_segment **out)
{
    mp__ring_segment *s = segment_at(r, r->tail_segment);
    *out = s;
    if (fits(r, s, b->at.unit, need))
        return 0;
    if (r->fixed)
        return MP_EFULL;
    if (b->at.unit - mp__ring_unpack(r->head_seen).unit > MOST_UNITS)
        return MP_ENOMEM;
    /* The new segment begins at tail; and it is the ring's user who tells others what is put. */
    if (b->at.count != mp__ring_unpack(mp__load_relaxed(&r->tail)).count)
        return MP_EFULL;
    uint32_t units = mp__load_relaxed(&s->units);
    *out = append_segment(r, s, b->at.unit, units < LARGEST_UNITS ? units * 2 : units);
    return *out == NULL ? mp_shared_error() : 0;
}

int mp__ring_add(mp__ring *r, mp__ring_batch *b, const mp__ring_message *m)
{
    if (!within_limits(r, b, m))
        return MP_EFULL;
    uint32_t need = units_of(m->kind == MP__RING_BLOCK ? sizeof(block_reference) : m->length);
    mp__ring_segment *s;
    int rc = make_room(r, b, need, &s);
    if (rc < 0)
        return rc;
    uint32_t first = mp__load_relaxed(&s->first), units = mp__load_relaxed(&s->units);
    uint32_t border = to_border(first, units, b->at.unit);
    if (need > border) {
        header_store(&s->unit[units - border], FILLER, 0, 0);
        MP_STEP("ring.add.filled");
        b->at.unit += border;
    }
    write_record(&s->unit[(b->at.unit - first) & (units - 1)], m, b->bytes);
    MP_STEP("ring.add.copied");
    b->at.unit += need;
    b->at.count++;
    b->bytes += bytes_of(m->length);
    return 0;
}

void mp__ring_publish(mp__ring *r, const mp__ring_batch *b)
{
    uint64_t tail = pack(b->at);
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
    r->pending_tail = NO_TAIL;
}

/* ---- Consumers. */

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
static void follow(mp__ring *r, uint64_t word, int64_t next)
{
    uint64_t tag = (word >> DISTANCE_BITS) + 1;
    uint64_t new = tag << DISTANCE_BITS | ((uint64_t)next & DISTANCE_MASK);
    mp__ring_segment *old = segment_at(r, distance_in(word));
    if (!mp__cas_seq(&r->head_segment, &word, new))
        return;               /* somebody else did */
    mp__fence_after_change(); /* whatever becomes of it is written after that; pairs with locate() */
    MP_STEP("ring.follow.moved");
    mp_shared_free(old);
    MP_STEP("ring.follow.freed");
}

/* The head, its segment and the segment's borders, if there is a message. */
static bool locate(mp__ring *r, mp__ring_view *v)
{
    for (;;) {
        uint64_t word = mp__load_acquire(&r->head_segment); /* pairs with follow() */
        v->from = mp__load_acquire(&r->head); /* after that: never in an older segment */
        v->after = mp__ring_unpack(v->from);
        if (!there_is_more(r, v->from, &v->tail))
            return false;
        const mp__ring_segment *s = segment_at(r, distance_in(word));
        v->segment = s;
        v->first = mp__load_relaxed(&s->first);
        v->units = mp__load_relaxed(&s->units);
        int64_t next = mp__load_acquire(&s->next); /* pairs with append_segment() */
        v->end = mp__load_relaxed(&s->end);
        mp__fence_acquire(); /* the borders before the look whether they are the segment's */
        if (mp__load_relaxed(&r->head_segment) != word)
            continue;
        if (next == 0) {
            v->end = v->after.unit + MOST_UNITS;
            return true;
        }
        if ((int32_t)(v->after.unit - v->end) < 0)
            return true;
        follow(r, word, next);
    }
}

/* Reads the record at v->after, and moves that behind it. False: it cannot be one. */
static bool read_record(mp__ring_view *v)
{
    uint32_t offset = (v->after.unit - v->first) & (v->units - 1);
    uint64_t header = header_load(&v->segment->unit[offset]);
    if (header >> KIND_SHIFT == FILLER) {
        v->after.unit += v->units - offset;
        offset = 0;
        header = header_load(&v->segment->unit[0]);
    }
    size_t length = header >> LENGTH_SHIFT & LENGTH_MASK;
    uint32_t need = units_of(length);
    if (length > MP__RING_INLINE_MOST || need > v->units - offset)
        return false;
    const uint64_t *bytes = &v->segment->unit[offset + 1];
    v->message =
        (mp__ring_message){(enum mp__ring_kind)(header >> KIND_SHIFT), bytes, length, NULL};
    v->before = header & BYTES_MASK;
    if (v->message.kind == MP__RING_BLOCK) {
        block_reference reference;
        if (length != sizeof reference)
            return false;
        copy(&reference, bytes, sizeof reference);
        v->message.block = reference.block;
        v->message.data = reference.block->data;
        v->message.length = reference.length;
    }
    v->after.unit += need;
    v->after.count++;
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
            return false; /* the ring was overwritten by somebody astray */
    }
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
    copy(to, m->data, m->length);
}

void mp__ring_shrink(mp__ring *r)
{
    mp__ring_position tail = mp__ring_unpack(mp__load_relaxed(&r->tail));
    if (!mp__ring_is_large(r) || mp__ring_size(r) != 0)
        return;
    if (append_segment(r, segment_at(r, r->tail_segment), tail.unit, FIRST_UNITS) == NULL)
        return;
    for (;;) { /* nothing is left before the new one, and this thread has made it the tail's */
        uint64_t word = mp__load_acquire(&r->head_segment);
        int64_t next = mp__load_acquire(&segment_at(r, distance_in(word))->next);
        if (next == 0)
            return;
        follow(r, word, next);
    }
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
    return mp__cas_seq(&r->head, &from, pack(v->after));
}
