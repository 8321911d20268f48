/* SPDX-License-Identifier: MIT */
/* Lanes and claims as words: pool/claim.h tells what they mean. */
#ifndef MPROC_POOL_CLAIM_WORD_H
#define MPROC_POOL_CLAIM_WORD_H

#include "pool/work.h"

enum mp__claim_state { MP__CLAIM_NONE, MP__CLAIM_OWN, MP__CLAIM_WANTED, MP__CLAIM_HELD };

/* Items. */
typedef struct mp__range {
    uint64_t start, end;
} mp__range;

#define MP__UNITS_MOST     ((UINT64_C(1) << 24) - 1)
#define MP__LANE_MARK_BITS 13

static inline uint64_t mp__lane_pack(uint64_t start, uint64_t end, uint64_t mark)
{
    return start << (24 + MP__LANE_MARK_BITS) | end << MP__LANE_MARK_BITS | mark;
}

#define MP__CLAIM_FROM_BITS   24
#define MP__CLAIM_LENGTH_BITS 13
#define MP__CLAIM_SERIAL_BITS 12

#define MP__CLAIM_LENGTH_MOST ((UINT64_C(1) << MP__CLAIM_LENGTH_BITS) - 1)
#define MP__CLAIM_SERIALS     ((UINT64_C(1) << MP__CLAIM_SERIAL_BITS) - 1)

static inline uint64_t mp__lane_start(uint64_t lane)
{
    return lane >> (24 + MP__LANE_MARK_BITS);
}

static inline uint64_t mp__lane_end(uint64_t lane)
{
    return lane >> MP__LANE_MARK_BITS & MP__UNITS_MOST;
}

static inline uint64_t mp__lane_mark(uint64_t lane)
{
    return lane & ((1u << MP__LANE_MARK_BITS) - 1);
}

static inline bool mp__lane_is_empty(uint64_t lane)
{
    return mp__lane_start(lane) >= mp__lane_end(lane);
}

static inline _Atomic uint64_t *mp__lane_of(const mp__work *w, uint64_t i)
{
    return &w->lane[i * MP__LANE_STRIDE];
}

/* A claim, but for its serial number. */
typedef struct mp__claim {
    enum mp__claim_state state;
    uint64_t lane, from, length;
} mp__claim;

/* The serial number tells two equal claims on different works apart, for a helper that was held up
 * between its load and its compare-and-swap. */
static inline uint64_t mp__claim_pack(mp__claim c, uint64_t serial)
{
    uint64_t word = c.lane << MP__CLAIM_FROM_BITS | c.from;
    word = word << MP__CLAIM_LENGTH_BITS | c.length;
    return (word << MP__CLAIM_SERIAL_BITS | (serial & MP__CLAIM_SERIALS)) << 2 | (uint64_t)c.state;
}

static inline enum mp__claim_state mp__claim_state_of(uint64_t word)
{
    return (enum mp__claim_state)(word & 3);
}

static inline uint64_t mp__claim_serial(uint64_t word)
{
    return word >> 2 & MP__CLAIM_SERIALS;
}

static inline mp__claim mp__claim_unpack(uint64_t word)
{
    uint64_t rest = word >> (2 + MP__CLAIM_SERIAL_BITS);
    return (mp__claim){
        mp__claim_state_of(word), rest >> (MP__CLAIM_LENGTH_BITS + MP__CLAIM_FROM_BITS),
        rest >> MP__CLAIM_LENGTH_BITS & MP__UNITS_MOST, rest & MP__CLAIM_LENGTH_MOST};
}

#define MP__CLAIM_HOLD(word) ((word) | MP__CLAIM_HELD) /* of OWN, WANTED or HELD */

static inline mp__range mp__claim_items(const mp__work *w, uint64_t from, uint64_t length)
{
    uint64_t end = (from + length) * w->unit;
    return (mp__range){from * w->unit, end < w->count ? end : w->count};
}

/* Whether any of a work's units are left. */
static inline bool mp__lane_any(const mp__work *w)
{
    for (uint32_t i = 0; i < w->lanes; i++)
        if (!mp__lane_is_empty(mp__load_seq(mp__lane_of(w, i))))
            return true;
    return false;
}

#endif
