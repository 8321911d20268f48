/* SPDX-License-Identifier: MIT */
/* The message ring: bytes of messages in shared memory, for many producers and consumers. It knows
 * messages and room; who sleeps and wakes is its user's matter (chan/queue.c). */
#ifndef MPROC_CHAN_RING_H
#define MPROC_CHAN_RING_H

#include "base/bits.h"
#include "os/mutex.h"

#include <stddef.h>

/* A longer message travels as a block of shared memory, which is copied outside the locks. */
#define MP__RING_INLINE_MOST ((size_t)4096)

/*
 * Where a producer or consumer is: how many messages, and how many units of 8 bytes, have gone by
 * since the ring was made. Both wrap around; differences are what counts. One 64-bit store
 * publishes both, so that a message and its count appear and vanish together.
 */
typedef struct mp__ring_position {
    uint32_t count;
    uint32_t unit;
} mp__ring_position;

typedef struct mp__ring_segment mp__ring_segment;

typedef struct mp__ring {
    uint32_t maxsize;         /* most messages; 0: no limit */
    _Atomic uint32_t recount; /* the bytes must be counted anew: somebody died counting */
    uint64_t capacity;        /* most bytes; 0: no limit, then nobody counts */
    _Atomic uint32_t closed;  /* set under put_lock, once */

    /* producers */
    _Alignas(MP__CACHE_LINE) mp__mutex put_lock;
    mp__ring_segment *tail_segment; /* guarded by put_lock */
    uint64_t head_seen;             /* guarded by put_lock: what head was at least */
    _Atomic uint64_t put_bytes;     /* written under put_lock */
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t tail; /* written under put_lock */

    /* consumers */
    _Alignas(MP__CACHE_LINE) mp__mutex get_lock;
    mp__ring_segment *head_segment; /* guarded by get_lock */
    uint64_t tail_seen;             /* guarded by get_lock: what tail was at least */
    _Atomic uint64_t got_bytes;     /* written under get_lock */
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t head; /* written under get_lock */
} mp__ring;

/* A message on its way in: `block`, if not NULL, holds the data in shared memory and is given
 * away. */
typedef struct mp__ring_message {
    const void *data;
    size_t length;
    void *block;
} mp__ring_message;

int mp__ring_init(mp__ring *r, uint32_t maxsize, uint64_t capacity);

/* Frees the segments and the blocks of what is in it. */
void mp__ring_fini(mp__ring *r);

static inline mp__ring_position mp__ring_unpack(uint64_t word)
{
    return (mp__ring_position){(uint32_t)(word >> 32), (uint32_t)word};
}

/* How many messages are in it. */
static inline uint32_t mp__ring_size(const mp__ring *r)
{
    /* Head first: it never overtakes tail, so the difference is never negative. */
    uint64_t head = mp__load_acquire(&r->head);
    uint64_t tail = mp__load_acquire(&r->tail);
    return mp__ring_unpack(tail).count - mp__ring_unpack(head).count;
}

/* A block of shared memory with the message's bytes, if it is too long for the ring. Without any
 * lock. Returns 0 or MP_ENOMEM. */
int mp__ring_prepare(mp__ring_message *m);

/* What is owed by who acquires a lock whose last owner died (MP_OWNERDEAD). */
void mp__ring_repair_put(mp__ring *r);
void mp__ring_repair_get(mp__ring *r);

/* With put_lock: begins, adds messages, publishes them together. add returns 0; MP_EFULL: no room,
 * by count or bytes; MP_ENOMEM. What was added and not published never was, but add may publish
 * what was added before. */
mp__ring_position mp__ring_put_begin(mp__ring *r);
int mp__ring_add(mp__ring *r, mp__ring_position *at, const mp__ring_message *m);
void mp__ring_publish(mp__ring *r, mp__ring_position upto);

/* With get_lock: the next message, which stays. Returns whether there is one. */
bool mp__ring_peek(mp__ring *r, mp__ring_message *m);
/* With get_lock: takes it out. Its inline bytes, which must have been copied, and no block. */
void mp__ring_consume(mp__ring *r, const mp__ring_message *m);

#endif
