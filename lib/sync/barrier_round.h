/* SPDX-License-Identifier: MIT */
/* A barrier's rounds: how parties arrive, wait, and are let go; barrier.c makes barriers of it. */
#ifndef MPROC_SYNC_BARRIER_ROUND_H
#define MPROC_SYNC_BARRIER_ROUND_H

#include "base/bits.h"
#include "base/deadline.h"
#include "sync/waitword.h"

#include <mproc/barrier.h>

/* Who is in a place, and since which round; see the argument in barrier_round.c. */
typedef _Atomic uint64_t mp__place;

#define MP__BARRIER_FEW 2 /* so many parties find place in the rounds' own cache line */

/* All that changes. For few parties it is one cache line: a round costs one trip between two
 * processors. */
typedef struct mp__rounds {
    _Atomic uint64_t state;
    _Atomic uint32_t asleep; /* the newest round of which somebody may sleep; 0: none */
    _Atomic uint32_t bell;   /* what all sleep on; its low 30 bits are 0 */
    mp__waitword vacated;    /* places becoming free */
    uint32_t reserved[3];
    mp__place places[2 * MP__BARRIER_FEW];
} mp__rounds;

_Static_assert(sizeof(mp__rounds) == MP__CACHE_LINE, "the rounds are a cache line");

typedef struct mp__barrier {
    _Atomic uint32_t magic;
    uint32_t parties;
    bool spins;      /* whether each party may have a processor of its own */
    mp__place *many; /* 2 * parties, at the same address in every process; NULL: few */
    int (*action)(void *);
    void *action_arg;
    double timeout; /* 0: none */
} mp__barrier;

#define MP__BARRIER_FIRST (2u << 1) /* the first round; see mark_of() */

_Static_assert(sizeof(mp__barrier) + (size_t)2 * MP__CACHE_LINE - 16 <= sizeof(mp_barrier),
               "mp_barrier has room for its body and, wherever it lies, for an aligned line");
_Static_assert(_Alignof(mp__barrier) <= _Alignof(mp_barrier), "mp_barrier is aligned for its body");

/* In a line of their own; at the same place for all, since mappings are aligned to pages. */
static inline mp__rounds *mp__barrier_rounds(const mp__barrier *b)
{
    return (mp__rounds *)mp__align_up((uintptr_t)(b + 1), MP__CACHE_LINE);
}

/* As mp_barrier_wait(). */
int mp__barrier_meet(mp__barrier *b, mp__deadline until);

/* Breaks it, or makes it whole; the present round ends for all who are in it. */
void mp__barrier_break(mp__barrier *b);
void mp__barrier_mend(mp__barrier *b);

bool mp__barrier_is_broken(const mp__barrier *b);

/* How many have arrived in the present round. */
uint32_t mp__barrier_arrived(const mp__barrier *b);

#endif
