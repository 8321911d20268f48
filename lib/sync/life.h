/* SPDX-License-Identifier: MIT */
/* Life words: one robust word for each thread, held from its first use until the thread ends, by
 * which others find out that it has. */
#ifndef MPROC_SYNC_LIFE_H
#define MPROC_SYNC_LIFE_H

#include "os/robust.h"

/* What sync/waiters.c keeps in a record; a thread waits for one condition at a time. */
typedef struct mp__waiter {
    _Atomic uint32_t state; /* a futex: waiting, asleep or notified */
    uint32_t prev, next;    /* in the queue, by index */
    _Atomic uint64_t queue; /* in which it is, while the record is engaged */
    uint64_t ticket;        /* its place in the order of arrival */
    uint64_t reach;         /* notified on behalf of those with lower tickets */
    uint64_t reserved[2];
} mp__waiter;

/*
 * A record lies in the arena, is taken by a thread when it first needs one, and can be taken by
 * another once that thread has ended; records are never freed, so an old id may be asked for at any
 * time. The id names the record and how often it had been taken, so that the next holder's life is
 * not mistaken for the last one's.
 *
 * A thread's end is not its process's: who wants to know about the process asks for that.
 */
typedef struct mp__life {
    mp__robust node;          /* word: the thread's id and MP__WAITERS, as long as it lives */
    _Atomic uint32_t serial;  /* how often it was taken */
    uint32_t index;           /* from 1 */
    _Atomic int32_t pid;      /* its holder's process */
    _Atomic uint32_t uses;    /* what it still uses that another may free; 0: nothing */
    _Atomic uint64_t started; /* when that process began; 0: not known yet */

    /* The second cache line, which notifier and waiter pass to and fro; the first only tells. */
    _Atomic uint32_t engaged; /* an object still refers to it: not to be taken */
    mp__waiter waiter;        /* the holder's place in a condition's queue */
} mp__life;

_Static_assert(sizeof(mp__life) == 128, "two cache lines");
_Static_assert(offsetof(mp__life, engaged) == 64, "the second begins");

/* Below 2^40 and not 0: MP__LIFE_INDEX_BITS of index, then as many of serial. 0: nobody. */
typedef uint64_t mp__life_id;

#define MP__LIFE_INDEX_BITS 20
#define MP__LIFE_ID_BITS    40

/* The calling thread's record, taken at the first call; NULL: no memory for it. */
mp__life *mp__life_mine(void);

/* The same, but NULL also if a lock was busy for 1 ms. */
mp__life *mp__life_mine_soon(void);

mp__life_id mp__life_id_of(const mp__life *life);

/* The record of an id; NULL if there is none, which no id that was ever given out has. */
mp__life *mp__life_find(mp__life_id id);

/* Whether the thread has ended. The id must have come by an acquiring load. Async-signal-safe. */
bool mp__life_is_over(mp__life_id id);

/* The same for those who have waited long: asks the system as well (mp__robust_reclaim()). */
bool mp__life_ask_over(mp__life_id id);

/* The record with this index, from 1; NULL beyond the last. For searches through all of them. */
mp__life *mp__life_at(uint32_t index);

#endif
