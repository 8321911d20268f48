/* SPDX-License-Identifier: MIT */
/*
 * A queue is a ring (chan/ring.c: messages, room, and what deaths do to them), on whose not_empty
 * getters sleep (sync/sleepers.h: why none sleeps on while there is a message, whoever dies), and
 * putters on not_full (sync/waitword.h).
 *
 * put_lock is held while records are written, get takes no lock. A message that the ring does not
 * take is copied before put_lock is taken, and after it was taken out.
 *
 * A putter, with put_lock, stirs and announces not_empty's word, publishes, unlocks, and wakes: so
 * its death in between wakes one. While the word is announced the mutex is not: if it dies before
 * the unlock, those who wait for put_lock, or see it held, find it a dead one's when they look
 * again. All is in order by then but for what mp__ring_repair() repairs. A getter that has joined
 * looks whether put_lock is held, and if so sleeps for MP__QUEUE_PUT_NS at most.
 *
 * Who has got a message, or the end, may free the queue at once, while who put it, or closed, has
 * still to look for sleepers: it says in its life record that it does, and mp_queue_free() waits.
 * (It cannot look before it unlocks instead. What stir() saw is not enough: one that stands before
 * its sleep, with a ticket that a wake has voided since, finds that good again when another joins
 * behind stir(); tests/models/sleepers.pml has that.)
 *
 * Putters that wait for room look again every 100 ms: a getter's death between taking and waking
 * costs them so much.
 */
#include "chan/queue.h"

#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/step.h"
#include "sync/fileno.h"

#include <limits.h>
#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

int mp__patience_begin(mp__patience *p, double timeout)
{
    if (timeout != timeout)
        return MP_EINVAL;
    *p = (mp__patience){.timeout = timeout};
    return timeout > 0 && mp__interrupted() ? MP_EINTR : 0;
}

mp__deadline mp__patience_deadline(mp__patience *p)
{
    if (!p->started)
        mp__deadline_in(p->timeout, &p->until);
    p->started = true;
    return p->until;
}

/* With put_lock, whose last owner died in it. */
static void repair(mp_queue *q)
{
    mp__ring_repair(&q->ring);
    mp__hold *loan = mp__load_relaxed(&q->books.publishing);
    if (loan != NULL && mp__load_relaxed(&q->ring.tail) != q->books.publishing_from)
        mp__store_relaxed(&loan->word, 0);
    MP_STEP("queue.repair.published");
    mp__store_relaxed(&q->books.publishing, NULL);
}

void mp__queue_lock_put_for_sure(mp_queue *q)
{
    if (mp__mutex_lock(&q->ring.put_lock))
        repair(q);
}

int mp__queue_lock_put(mp_queue *q, mp__patience *p)
{
    mp__mutex *m = &q->ring.put_lock;
    if (__builtin_expect(mp__mutex_take_free(m, mp__thread_self()), 1))
        return 0;
    int rc = mp__mutex_acquire(m, MP__AT_ONCE, false);
    if (rc == MP_ETIMEDOUT) {
        mp__deadline until = mp__patience_deadline(p);
        mp__deadline least = mp__deadline_in_ns(MP__NS_PER_MS);
        rc = mp__mutex_acquire(m, until.ns > least.ns ? until : least, p->timeout > 0);
    }
    if (rc == MP_OWNERDEAD) {
        repair(q);
        rc = 0;
    }
    return rc == MP_ETIMEDOUT ? MP_EAGAIN : rc;
}

int mp_queue_create(mp_queue **out, const mp_queue_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_queue_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0)
        return rc;
    if (o.maxsize < 0 || o.on_death < 0 || o.on_death > MP_REDELIVER)
        return MP_EINVAL;
    mp_queue *q = mp_shared_alloc(sizeof *q);
    if (q == NULL)
        return mp_shared_error();
    memset(q, 0, sizeof *q);
    rc = mp__ring_init(&q->ring, (uint32_t)o.maxsize, o.capacity);
    if (rc < 0) {
        mp_shared_free(q);
        return rc;
    }
    mp__books_init(&q->books, o.on_death == MP_REDELIVER);
    q->limited = o.maxsize != 0 || o.capacity != 0;
    mp__store_release(&q->magic, MP__QUEUE_MAGIC);
    *out = q;
    return 0;
}

/* A moment's rest between two looks at a word that nobody wakes for. False: it is enough. */
static bool rest(_Atomic uint32_t *word, int looks, mp__deadline until)
{
    if (looks < 100)
        mp__pause();
    else if (mp__deadline_passed(until))
        return false;
    else
        mp__futex_wait(word, mp__load_relaxed(word), mp__deadline_in_ns(MP__NS_PER_MS / 10));
    return true;
}

/* Waits until the thread touches the queue no more, or is dead. */
static void await_end(const mp_queue *q, mp__life *life, mp__deadline until)
{
    for (int i = 0; mp__load_acquire(&life->uses) == mp__queue_name(q); i++) /* pairs with end() */
        if (mp__robust_abandoned(mp__load_acquire(&life->node.word)) ||
            !rest(&life->uses, i, until))
            return;
}

/* Somebody's message may have come out, or the end, who is still in the call that put it. */
static void await_putters(mp_queue *q)
{
    mp__mutex *m = &q->ring.put_lock;
    mp__deadline until = mp__deadline_in_ns(MP__QUEUE_FREE_NS);
    mp__robust_reclaim(&m->word); /* a lock held lightly is not marked at a death */
    int rc = mp__mutex_acquire(m, until, false);
    if (rc == MP_OWNERDEAD)
        repair(q);
    if (rc == 0 || rc == MP_OWNERDEAD)
        mp__mutex_unlock(m);
    mp__life *life;
    for (uint32_t i = 1; (life = mp__life_at(i)) != NULL; i++)
        await_end(q, life, until);
    for (int i = 0; mp__load_acquire(&q->strangers) != 0; i++)
        if (!rest(&q->strangers, i, until))
            return;
}

void mp_queue_free(mp_queue *q)
{
    if (!mp__queue_is(q))
        return;
    mp__store_relaxed(&q->magic, 0);
    await_putters(q);
    mp__fileno_forget(&q->arrivals);
    mp__doorbells_fini(&q->arrivals);
    mp__doorbells_fini(&q->departures);
    mp__books_fini(&q->books);
    mp__ring_fini(&q->ring);
    mp_shared_free(q);
}

int mp_queue_size(const mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    uint32_t size = mp__ring_size(&q->ring);
    uint32_t most = q->ring.maxsize != 0 ? q->ring.maxsize : INT_MAX;
    size = size < most ? size : most; /* puts between the two loads do not count */
    return (int)(size + mp__load_relaxed(&q->books.returned));
}

bool mp_queue_empty(const mp_queue *q)
{
    if (!mp__queue_is(q))
        return true;
    if (mp__queue_has_message(q))
        return false;
    mp__fileno_settle(&q->arrivals);
    return true;
}

bool mp_queue_full(const mp_queue *q)
{
    return mp__queue_is(q) && q->ring.maxsize != 0 && mp__ring_size(&q->ring) >= q->ring.maxsize;
}

/* Returns why one could not be told. */
static int ring_all(mp_queue *q)
{
    mp__fence_after_change(); /* of put_lock */
    int rc = mp__doorbells_any(&q->arrivals) ? mp__doorbells_ring(&q->arrivals) : 0;
    if (mp__doorbells_any(&q->departures))
        mp__doorbells_ring(&q->departures);
    return rc;
}

int mp_queue_close(mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    mp__thread *self = mp__thread_self();
    mp__life *life = mp__queue_known_here(self);
    mp__queue_lock_put_for_sure(q);
    mp__fence_after_change();
    mp__sleepers_stir(&q->not_empty);
    ring_all(q);
    mp__robust_announce_bell(self, &q->not_empty.word); /* and who is woken wakes all */
    mp__store_release(&q->ring.closed, 1);              /* pairs with why_empty() */
    MP_STEP("queue.close.closed");
    mp__sleepers_wake(&q->not_empty, MP__SLEEPERS_ALL);
    mp__queue_begin_end(q, life);
    mp__mutex_unlock(&q->ring.put_lock);
    MP_STEP("queue.close.unlocked");
    mp__sleepers_wake(&q->not_empty, MP__SLEEPERS_ALL);
    MP_STEP("queue.close.getters_woken");
    mp__waitword_wake(&q->not_full, MP__WAKE_ALL);
    int rc = ring_all(q);
    mp__queue_end(q, life);
    return rc;
}
