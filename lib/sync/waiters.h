/* SPDX-License-Identifier: MIT */
/* A queue of waiting threads, each in its life record: what is inside a condition. */
#ifndef MPROC_SYNC_WAITERS_H
#define MPROC_SYNC_WAITERS_H

#include "base/deadline.h"
#include "sync/life.h"

typedef struct mp__waiter_list {
    uint32_t first, last; /* indexes of life records; 0: none */
} mp__waiter_list;

typedef struct mp__waiters {
    _Atomic uint32_t busy;     /* the lists are being changed; if its changer is dead: rebuild */
    _Atomic uint32_t notified; /* how many are in `leaving` */
    mp__waiter_list waiting;   /* in the order of arrival */
    mp__waiter_list leaving;   /* notified, not yet back */
    uint32_t count;            /* how many are in `waiting`, ... */
    uint32_t crowd;            /* ... and from how many on an arrival looks for the dead there */
    uint32_t giver, heir;      /* whose notify is being passed on, and to whom; 0: none */
    uint32_t lazy;             /* who notifies wakes when it has given the lock up, ... */
    _Atomic uint32_t owed;     /* ... this one, by index; 0: nobody */
    uint64_t next_ticket;
    uint64_t id; /* no other queue's, ever */
} mp__waiters;

_Static_assert(sizeof(mp__waiters) == 64, "a cache line");

/* Makes an empty queue. Lazy: whoever gives the lock up calls mp__waiters_take_owed() before that,
 * and mp__waiters_wake() after it. */
void mp__waiters_init(mp__waiters *q, bool lazy);

/* Ends a queue: the records of those who died in it can be taken again. */
void mp__waiters_fini(mp__waiters *q);

/* The rest is called with the lock held that belongs to the queue, unless it says otherwise. */

/* Puts the calling thread, whose record it is, at the end. */
void mp__waiters_enter(mp__waiters *q, mp__life *mine);

/* Takes it out; returns whether it was notified. */
bool mp__waiters_leave(mp__waiters *q, mp__life *mine);

/* Notifies the n that have waited longest; returns how many there were. */
int mp__waiters_notify(mp__waiters *q, int n);

/* Passes on what the dead were notified of. */
void mp__waiters_settle(mp__waiters *q);

/* Who is to be woken once the lock is free; nobody if the queue is not lazy. */
uint32_t mp__waiters_take_owed(mp__waiters *q);

/* Without the lock: wakes what mp__waiters_take_owed() has returned. */
void mp__waiters_wake(uint32_t owed);

/* Without the lock: whether there is something to settle. */
bool mp__waiters_unsettled(const mp__waiters *q);

/* Without the lock: whether the calling thread was notified. */
bool mp__waiters_is_notified(const mp__life *mine);

/* Without the lock: sleeps until notified, or as mp__sleep() returns. */
void mp__waiters_sleep(mp__life *mine, mp__deadline until);

#endif
