/* SPDX-License-Identifier: MIT */
/* What lies in the memory of a ring, for chan/ring.c, which puts, and chan/ring_take.c. The first
 * tells the whole. */
#ifndef MPROC_CHAN_RING_SEGMENT_H
#define MPROC_CHAN_RING_SEGMENT_H

#include "chan/ring.h"

#include <string.h>

#define MP__RING_UNIT          sizeof(uint64_t)
#define MP__RING_FIRST_UNITS   2048u           /* 16 KiB: any inline record fits into half of it */
#define MP__RING_LARGEST_UNITS (1u << 20 >> 3) /* 1 MiB */
#define MP__RING_MOST_UNITS    (1u << 30)      /* 8 GiB: half of what positions can tell */

#define MP__RING_DISTANCE_BITS 48
#define MP__RING_DISTANCE_MASK ((UINT64_C(1) << MP__RING_DISTANCE_BITS) - 1)

#define MP__RING_NO_TAIL UINT64_MAX

/* A record's header: how many bytes were put before it (48 bits, which wrap around), its length in
 * the ring (13) and its kind (3). */
#define MP__RING_LENGTH_SHIFT 48
#define MP__RING_KIND_SHIFT   61
#define MP__RING_BYTES_MASK   ((UINT64_C(1) << MP__RING_LENGTH_SHIFT) - 1)
#define MP__RING_LENGTH_MASK  ((UINT64_C(1) << (MP__RING_KIND_SHIFT - MP__RING_LENGTH_SHIFT)) - 1)
#define MP__RING_FILLER       7 /* beside enum mp__ring_kind */

typedef struct mp__ring_reference {
    mp__ring_block *block;
    uint64_t length;
} mp__ring_reference;

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
#define MP__RING_WATCHED 1
#endif
#endif
#if defined(MP__RING_WATCHED) || defined(__SANITIZE_THREAD__)
static inline void mp__ring_move(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        __atomic_store_n((unsigned char *)to + i,
                         __atomic_load_n((const unsigned char *)from + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}
#else
static inline void mp__ring_move(void *to, const void *from, size_t length)
{
    if (length > 0)
        memcpy(to, from, length);
}
#endif

static inline uint64_t mp__ring_header(const uint64_t *unit)
{
    return __atomic_load_n(unit, __ATOMIC_RELAXED);
}

static inline void mp__ring_set_header(uint64_t *unit, uint32_t kind, size_t length, uint64_t bytes)
{
    uint64_t header = (uint64_t)kind << MP__RING_KIND_SHIFT |
                      (uint64_t)length << MP__RING_LENGTH_SHIFT | (bytes & MP__RING_BYTES_MASK);
    __atomic_store_n(unit, header, __ATOMIC_RELAXED);
}

static inline uint64_t mp__ring_pack(mp__ring_position p)
{
    return (uint64_t)p.count << 32 | p.unit;
}

static inline mp__ring_segment *mp__ring_segment_at(const mp__ring *r, int64_t distance)
{
    return (mp__ring_segment *)((uintptr_t)r + (uintptr_t)distance);
}

static inline int64_t mp__ring_distance(const mp__ring *r, const mp__ring_segment *s)
{
    return (int64_t)((uintptr_t)s - (uintptr_t)r);
}

/* Of a head_segment. */
static inline int64_t mp__ring_distance_in(uint64_t word)
{
    return (int64_t)(word << (64 - MP__RING_DISTANCE_BITS)) >> (64 - MP__RING_DISTANCE_BITS);
}

/* Units from here to where the segment's memory ends. */
static inline uint32_t mp__ring_to_border(uint32_t first, uint32_t units, uint32_t unit)
{
    return units - ((unit - first) & (units - 1));
}

static inline uint32_t mp__ring_units(size_t length)
{
    return 1 + (uint32_t)((length + MP__RING_UNIT - 1) / MP__RING_UNIT);
}

/* What a message counts for a limit of bytes. */
static inline uint64_t mp__ring_bytes(size_t length)
{
    return (uint64_t)length + MP__RING_UNIT;
}

/* All messages of the segment that this head_segment names were taken: moves on to the next. */
void mp__ring_follow(mp__ring *r, uint64_t word, int64_t next);

#endif
