/* SPDX-License-Identifier: MIT */
/* The queue as its own files see it: chan/queue.c makes and closes it, chan/put.c and chan/get.c
 * move messages. */
#ifndef MPROC_CHAN_QUEUE_H
#define MPROC_CHAN_QUEUE_H

#include "base/deadline.h"
#include "chan/lease.h"
#include "chan/ring.h"
#include "sync/doorbell.h"
#include "sync/life.h"
#include "sync/sleepers.h"
#include "sync/waitword.h"

#include <mproc/queue.h>

#define MP__QUEUE_MAGIC UINT64_C(0x6d70726f63717565)
#define MP__QUEUE_BATCH 32 /* messages handled with one lock */

/* Who waits and sees a put going on looks again after that. */
#define MP__QUEUE_PUT_NS MP__NS_PER_MS

/* How long mp_queue_free() waits for those who are still in a put, and stopped there. */
#define MP__QUEUE_FREE_NS MP__NS_PER_S

/* Between two looks of who waits while others are busy; some 0.3 to 1 us. */
#define MP__QUEUE_CALM_PAUSES 32u

struct mp_queue {
    _Atomic uint64_t magic;
    bool limited; /* putters may have to wait */
    _Alignas(MP__CACHE_LINE) mp__sleepers not_empty;
    mp__doorbells arrivals; /* a message has come, or the end */
    _Alignas(MP__CACHE_LINE) mp__waitword not_full;
    mp__doorbells departures;   /* a place has become free, or the end */
    _Atomic uint32_t strangers; /* threads without a life record, between begin_end() and end() */
    mp__ring ring;
    mp__books books;
};

static inline bool mp__queue_is(const mp_queue *q)
{
    return q != NULL && mp__load_relaxed(&q->magic) == MP__QUEUE_MAGIC;
}

static inline bool mp__queue_has_message(const mp_queue *q)
{
    return mp__ring_size(&q->ring) != 0 || mp__load_relaxed(&q->books.returned) != 0;
}

/* Whether a put is going on: one that has not seen who joins the sleepers or arms a doorbell
 * now. */
static inline bool mp__queue_is_being_put(const mp_queue *q)
{
    return !mp__robust_abandoned(mp__load_seq(&q->ring.put_lock.word));
}

/*
 * Around the end of a put or a close: known_here() without any lock, begin_end() before the unlock,
 * end() behind the last look at the queue. Who has got the message, or the end, may free the queue
 * meanwhile: mp_queue_free() takes put_lock, and so sees all who have come to their unlock; it
 * waits for those, which costs them two stores.
 */
static inline mp__life *mp__queue_known_here(const mp__thread *self)
{
    mp__life *life = self->life;
    return __builtin_expect(life != NULL, 1) ? life : mp__life_mine_soon();
}

static inline uint32_t mp__queue_name(const mp_queue *q)
{
    return (uint32_t)((uintptr_t)q >> 4) | 1; /* if it is another's as well, that is waited for */
}

static inline void mp__queue_begin_end(mp_queue *q, mp__life *life)
{
    if (__builtin_expect(life != NULL, 1))
        mp__store_relaxed(&life->uses, mp__queue_name(q));
    else
        mp__add_relaxed(&q->strangers, 1);
}

static inline void mp__queue_end(mp_queue *q, mp__life *life)
{
    if (__builtin_expect(life != NULL, 1))
        mp__store_release(&life->uses, 0); /* pairs with await_end() */
    else
        mp__add_seq(&q->strangers, UINT32_MAX); /* the same */
}

/* A call's patience: its deadline is computed only if it has to wait. */
typedef struct mp__patience {
    double timeout;
    mp__deadline until;
    bool started;
    bool joined;    /* the sleepers on not_empty */
    mp__hold *loan; /* what is put is that */
} mp__patience;

/* Checks a call's timeout, and whether an interrupt is pending. */
int mp__patience_begin(mp__patience *p, double timeout);
mp__deadline mp__patience_deadline(mp__patience *p);

/* Acquires put_lock, and repairs what a death has left. A holder may be stopped, so there is a
 * deadline: the call's own, but at least 1 ms. Returns 0, MP_EAGAIN or MP_EINTR. */
int mp__queue_lock_put(mp_queue *q, mp__patience *p);

/* The same without a deadline, and deaf to mp_interrupt(). */
void mp__queue_lock_put_for_sure(mp_queue *q);

/* Puts a block in that is a loan, of which p->loan is the hold. As mp_queue_put(). */
int mp__queue_put_block(mp_queue *q, mp__ring_block *block, mp__patience *p);

/* A place for a message, and which lengths it takes. */
typedef struct mp__place {
    void *data;
    size_t least, most;
    size_t length;   /* of the message that was found */
    mp__hold *block; /* not NULL: one in a block goes there as it is, whatever its length */
    bool is_block;   /* it has */
} mp__place;

/* Gets a message, with patience. Returns 0 or a code of mp_queue_get(). */
int mp__queue_get_in_time(mp_queue *q, mp__place *to, mp__patience *p);

#endif
