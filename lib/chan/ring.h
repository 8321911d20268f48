/* SPDX-License-Identifier: MIT */
/* The message ring: bytes of messages in shared memory, for many producers and consumers. It knows
 * messages and room; who sleeps and wakes is its user's matter. */
#ifndef MPROC_CHAN_RING_H
#define MPROC_CHAN_RING_H

#include "base/bits.h"
#include "os/mutex.h"

#include <stddef.h>

/* A longer message does not lie in the ring: its block of shared memory is passed on. */
#define MP__RING_INLINE_MOST ((size_t)4096)

/*
 * Where a producer or consumer is: how many messages, and how many units of 8 bytes, have gone by
 * since the ring was made. Both wrap around; differences are what counts. One 64-bit word holds
 * both, so that a message and its count appear and vanish together.
 */
typedef struct mp__ring_position {
    uint32_t count;
    uint32_t unit;
} mp__ring_position;

typedef struct mp__ring_segment mp__ring_segment;

/* Segments are named by their distance from the ring, so that it may lie at different addresses. */
typedef struct mp__ring {
    uint32_t maxsize;        /* most messages; 0: no limit */
    uint32_t fixed;          /* it has one segment, right behind it, and takes no blocks */
    uint64_t capacity;       /* most bytes; 0: no limit, then nobody counts */
    _Atomic uint32_t closed; /* set under put_lock, once */

    /* producers; guarded by put_lock */
    _Alignas(MP__CACHE_LINE) mp__mutex put_lock;
    int64_t tail_segment;
    uint64_t head_seen;     /* what head was at least */
    uint64_t put_bytes;     /* that all messages up to tail count, with the capacity in mind */
    uint64_t pending_bytes; /* the same for pending_tail, when that is tail; see publish */
    uint64_t pending_tail;
    _Atomic uint32_t large; /* the segment at tail is larger than the first of a new ring */
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t tail;

    /* consumers */
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t head;
    _Atomic uint64_t tail_seen;    /* what tail was at least; saves looks at it */
    _Atomic uint64_t head_segment; /* 48 bits of distance, below 16 that change with each change */
} mp__ring;

/* The bytes of a message that does not lie in the ring. */
typedef struct mp__ring_block {
    uint64_t length;
    _Atomic uint64_t holder; /* for the ring's user */
    unsigned char data[];
} mp__ring_block;

enum mp__ring_kind {
    MP__RING_BYTES, /* a message in the ring */
    MP__RING_NOTE,  /* the same, with another meaning to the ring's user */
    MP__RING_BLOCK  /* a message in a block, which is given away with it */
};

typedef struct mp__ring_message {
    enum mp__ring_kind kind;
    const void *data;
    size_t length; /* of BYTES and NOTE at most MP__RING_INLINE_MOST */
    mp__ring_block *block;
} mp__ring_message;

/* In shared memory that all of its users have mapped at one address; its segments come from there,
 * too. Returns 0 or MP_ENOMEM. */
int mp__ring_init(mp__ring *r, uint32_t maxsize, uint64_t capacity);

/* In zeroed memory of any kind, with so many bytes (a power of two, at least 16 KiB) behind it for
 * messages, that are all it ever takes. */
#define MP__RING_FIXED_SIZE(bytes) (sizeof(mp__ring) + MP__CACHE_LINE + (bytes))
void mp__ring_init_fixed(mp__ring *r, size_t bytes);

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

/* ---- Producers. */

/* What is owed by who acquires put_lock when its last owner died in it (MP_OWNERDEAD). */
void mp__ring_repair(mp__ring *r);

/* With put_lock: a batch on its way in. */
typedef struct mp__ring_batch {
    mp__ring_position at;
    uint64_t bytes;
} mp__ring_batch;

/* With put_lock: begins, adds messages, publishes them together. add returns 0; MP_EFULL: no room,
 * by count or bytes, or none behind what was added before, which is to be published first;
 * MP_ENOMEM. What was added and not published never was. */
mp__ring_batch mp__ring_put_begin(const mp__ring *r);
int mp__ring_add(mp__ring *r, mp__ring_batch *batch, const mp__ring_message *m);
void mp__ring_publish(mp__ring *r, const mp__ring_batch *batch);

/* With put_lock: adds a message of at most MP__RING_INLINE_MOST, if that is simple, and tells what
 * to publish; false: it may be possible all the same. */
bool mp__ring_add_one(mp__ring *r, const void *data, size_t length, uint64_t *upto);

static inline void mp__ring_publish_one(mp__ring *r, uint64_t upto)
{
    mp__store_release(&r->tail, upto); /* pairs with there_is_more() */
}

/* With put_lock: gives memory back if the ring is empty, and larger than a new one. */
void mp__ring_shrink(mp__ring *r);
/* Whether that is worth the lock. */
static inline bool mp__ring_is_large(const mp__ring *r)
{
    return mp__load_relaxed(&r->large) != 0;
}

/* ---- Consumers, without any lock. */

/* One or more messages at the head, as somebody sees them who has not taken them yet. */
typedef struct mp__ring_view {
    mp__ring_message message; /* the last of them */
    uint64_t from;
    mp__ring_position after;
    mp__ring_position last; /* where the last of them begins */
    uint64_t before; /* bytes that were put before the last of them, less what 48 bits hold */
    uint64_t tail;
    const mp__ring_segment *segment;
    uint32_t first, units, end; /* of the segment; end is where it is left, or out of reach */
} mp__ring_view;

/* Looks at the next message. Returns whether there is one. Another consumer may take it at any
 * time; then what is seen of it may be another message's, or nonsense: the length of one in the
 * ring never exceeds MP__RING_INLINE_MOST, but nothing else holds until mp__ring_take(). */
bool mp__ring_look(mp__ring *r, mp__ring_view *v);

/* The same where it is simple: a message in the ring, in a segment that producers have not left.
 * Sets what the message and taking it need, and nothing else of the view. False: look. */
bool mp__ring_glance(mp__ring *r, mp__ring_view *v);

/* Whether there is a message that none of these can look at: the ring was overwritten by somebody
 * astray. */
bool mp__ring_is_broken(mp__ring *r);

/* Widens the view by the message that follows, if there is one and it is near. */
bool mp__ring_look_on(mp__ring *r, mp__ring_view *v);

/* Narrows a view of several by the last of them. */
static inline void mp__ring_look_back(mp__ring_view *v)
{
    v->after = v->last;
}

/* Copies the bytes of a message in the ring. */
void mp__ring_copy(void *to, const mp__ring_message *m);

/* Whether nobody has taken anything since the look: what was seen is true. */
bool mp__ring_is_current(const mp__ring *r, const mp__ring_view *v);

/* Takes all that is in the view, unless somebody was faster; then the copies are worthless. A full
 * barrier. */
bool mp__ring_take(mp__ring *r, const mp__ring_view *v);

/* How many messages are in the view. */
static inline uint32_t mp__ring_viewed(const mp__ring_view *v)
{
    return v->after.count - mp__ring_unpack(v->from).count;
}

#endif
