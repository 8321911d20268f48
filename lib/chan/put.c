/* SPDX-License-Identifier: MIT */
/* Putting messages into a queue; chan/queue.c tells the whole. */
#include "chan/queue.h"

#include "os/interrupt.h"
#include "os/probe.h"
#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

/* With put_lock, before anything is visible: stirs who is about to sleep, and rings who is armed.
 * One who joins or arms later finds put_lock held after that; one of us sees the other. Returns 0,
 * or why one could not be told. */
static int ring(mp_queue *q)
{
    mp__fence_after_change(); /* behind the change of put_lock */
    mp__sleepers_stir(&q->not_empty);
    return mp__doorbells_any(&q->arrivals) ? mp__doorbells_ring(&q->arrivals) : 0;
}

/* Ends a put: with put_lock held lightly, the bell announced and `count` messages published. */
static void unlock_and_wake(mp_queue *q, mp__thread *self, mp__life *life, int count)
{
    mp__queue_begin_end(q, life);
    uint32_t word =
        mp__mutex_free(&q->ring.put_lock); /* a full barrier: the looks come behind it */
    if (mp__sleepers_any(&q->not_empty))
        mp__sleepers_wake(&q->not_empty, count);
    MP_STEP("queue.put.woken");
    mp__mutex_freed(&q->ring.put_lock, word, self);
    self->gave = true;
    if (mp__doorbells_any(&q->arrivals))
        mp__doorbells_ring(&q->arrivals);
    mp__queue_end(q, life);
}

/* The common case: a short message, room for it, no doorbell, and nobody else putting. Returns
 * whether that was so. */
static bool put_at_once(mp_queue *q, const void *data, size_t length)
{
    mp__thread *self = mp__thread_self();
    mp__ring *r = &q->ring;
    mp__life *life = mp__queue_known_here(self);
    if (!mp__mutex_take_lightly(&r->put_lock, self))
        return false;
    mp__fence_after_change(); /* as in ring() */
    mp__sleepers_stir(&q->not_empty);
    uint64_t upto;
    if (mp__doorbells_any(&q->arrivals) || mp__load_relaxed(&r->closed) ||
        !mp__ring_add_one(r, data, length, &upto)) {
        mp__mutex_freed(&r->put_lock, mp__mutex_free(&r->put_lock), self);
        return false;
    }
    mp__robust_announce_bell(self, &q->not_empty.word);
    MP_STEP("queue.put.announced");
    mp__ring_publish_one(r, upto);
    MP_STEP("queue.put.published_at_once");
    mp__lease_put(&q->books, mp__ring_unpack(upto).count);
    unlock_and_wake(q, self, life, 1);
    return true;
}

/* With put_lock: makes the batch visible, and unlocks. A loan that goes in is announced, so that
 * its owner's death leaves no doubt. */
static void publish(mp_queue *q, const mp__ring_batch *batch, int count, const mp__patience *p)
{
    mp__thread *self = mp__thread_self();
    mp__books *b = &q->books;
    if (p->loan != NULL) {
        b->publishing_from = mp__load_relaxed(&q->ring.tail);
        mp__fence_compiler();
        mp__store_release(&b->publishing, p->loan); /* pairs with settle_publishing() */
        mp__fence_compiler();
        MP_STEP("queue.put.loan_announced");
    }
    mp__mutex_hold_lightly(&q->ring.put_lock, self);
    mp__robust_announce_bell(self, &q->not_empty.word);
    mp__ring_publish(&q->ring, batch);
    MP_STEP("queue.put.published");
    mp__lease_put(b, batch->at.count);
    if (p->loan != NULL) {
        mp__store_release(&p->loan->word, 0); /* pairs with mp__hold_new() */
        MP_STEP("queue.put.loan_gone");
        mp__store_relaxed(&b->publishing, NULL);
    }
    unlock_and_wake(q, self, self->life, count);
}

/* Puts as many of the messages as fit, at least one, or returns why not. */
static int try_put(mp_queue *q, const mp__ring_message *messages, int count, mp__patience *p)
{
    mp__ring *r = &q->ring;
    mp__queue_known_here(mp__thread_self());
    int rc = mp__queue_lock_put(q, p);
    if (rc < 0)
        return rc;
    int done = 0;
    if (mp__load_relaxed(&r->closed)) { /* set under this lock */
        rc = MP_ECLOSED;
    } else if ((rc = ring(q)) == 0) {
        mp__ring_batch batch = mp__ring_put_begin(r);
        while (done < count && (rc = mp__ring_add(r, &batch, &messages[done])) == 0)
            done++;
        if (done > 0) {
            MP_STEP("queue.put.copied");
            publish(q, &batch, done, p);
            return done;
        }
    }
    mp__mutex_unlock(&r->put_lock);
    return rc;
}

static bool has_place(void *q)
{
    return !mp_queue_full(q);
}

/* Between two looks for room: the getters go on undisturbed meanwhile, and there is room for
 * several messages at once. Not so if they could empty the queue in that time. */
static uint32_t calm_pauses(const mp_queue *q)
{
    uint32_t pauses = q->ring.maxsize / 16;
    return pauses < 1 ? 1 : pauses < MP__QUEUE_CALM_PAUSES ? pauses : MP__QUEUE_CALM_PAUSES;
}

/* The same, waiting for room. */
static int put_some(mp_queue *q, const mp__ring_message *messages, int count, mp__patience *p)
{
    for (;;) {
        int rc = try_put(q, messages, count, p);
        if (rc != MP_EFULL || p->timeout <= 0)
            return rc;
        mp__deadline until = mp__patience_deadline(p);
        /* Whether bytes are missing is not to be seen from outside. */
        if (q->ring.capacity == 0 && mp__spin_calmly(has_place, q, calm_pauses(q)))
            continue;
        uint32_t ticket = mp__waitword_arm(&q->not_full);
        MP_STEP("queue.put.armed");
        rc = try_put(q, messages, count, p);
        if (rc != MP_EFULL)
            return rc;
        MP_PROBE1(queue__put__sleep, q);
        rc = mp__waitword_sleep(&q->not_full, ticket, until);
        MP_PROBE2(queue__put__awake, q, rc);
        MP_STEP("queue.put.slept");
        if (rc == MP_ETIMEDOUT)
            return try_put(q, messages, count, p);
        if (rc < 0) {
            mp__waitword_wake(&q->not_full, 1); /* the wake that we had may have been another's */
            return rc;
        }
    }
}

static int check_message(const mp_queue *q, const void *data, size_t length)
{
    if (data == NULL && length > 0)
        return MP_EINVAL;
    uint64_t capacity = q->ring.capacity;
    return capacity != 0 && (length > capacity || capacity - length < 8) ? MP_EMSGSIZE : 0;
}

/* A message as the ring takes it; a long one in a block, and each where messages may come back.
 * Without any lock. Returns 0 or MP_ENOMEM. */
static int prepare(const mp_queue *q, mp__ring_message *to, const void *data, size_t length)
{
    *to = (mp__ring_message){MP__RING_BYTES, data, length, NULL};
    if (length <= MP__RING_INLINE_MOST && !q->books.redelivers)
        return 0;
    mp__ring_block *block;
    if (length > SIZE_MAX - sizeof *block)
        return MP_ENOMEM;
    block = mp_shared_alloc(sizeof *block + length);
    if (block == NULL)
        return mp_shared_error();
    MP_STEP("queue.put.allocated");
    block->length = length;
    mp__store_relaxed(&block->holder, 0);
    if (data != NULL)
        memcpy(block->data, data, length);
    *to = (mp__ring_message){MP__RING_BLOCK, NULL, length, block};
    return 0;
}

static int put_patiently(mp_queue *q, const void *data, size_t length, double timeout)
{
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    if (rc == 0)
        rc = check_message(q, data, length);
    if (rc < 0)
        return rc;
    mp__ring_message m;
    rc = prepare(q, &m, data, length);
    if (rc < 0)
        return rc;
    rc = put_some(q, &m, 1, &p);
    if (rc < 0)
        mp_shared_free(m.block);
    return rc < 0 ? rc : 0;
}

int mp_queue_put(mp_queue *q, const void *data, size_t length, double timeout)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    bool common = length <= MP__RING_INLINE_MOST && (data != NULL || length == 0) &&
                  timeout == timeout && !mp__interrupt_pends() && !q->books.redelivers;
    if (common && put_at_once(q, data, length))
        return 0;
    return put_patiently(q, data, length, timeout);
}

int mp__queue_put_block(mp_queue *q, mp__ring_block *block, mp__patience *p)
{
    mp__ring_message m = {MP__RING_BLOCK, NULL, block->length, block};
    int rc = check_message(q, block->data, block->length);
    if (rc == 0)
        rc = put_some(q, &m, 1, p);
    return rc < 0 ? rc : 0;
}

/* Prepares up to a batch of messages; returns how many, or why not even the first. */
static int prepare_batch(const mp_queue *q, const mp_bytes *from, mp__ring_message *to, int count)
{
    for (int i = 0; i < count; i++) {
        int rc = check_message(q, from[i].data, from[i].length);
        if (rc == 0)
            rc = prepare(q, &to[i], from[i].data, from[i].length);
        if (rc < 0)
            return i > 0 ? i : rc;
    }
    return count;
}

int mp_queue_put_many(mp_queue *q, const mp_bytes *messages, int count, double timeout)
{
    if (!mp__queue_is(q) || count < 0 || (messages == NULL && count > 0))
        return MP_EINVAL;
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    if (rc < 0)
        return rc;
    int done = 0;
    while (done < count && rc >= 0) {
        mp__ring_message batch[MP__QUEUE_BATCH];
        int n = prepare_batch(q, messages + done, batch,
                              count - done < MP__QUEUE_BATCH ? count - done : MP__QUEUE_BATCH);
        rc = n;
        int put = 0;
        while (put < n && rc >= 0) {
            rc = put_some(q, batch + put, n - put, &p);
            put += rc > 0 ? rc : 0;
        }
        for (int i = put; i < n; i++)
            mp_shared_free(batch[i].block);
        done += put;
    }
    return done > 0 ? done : rc < 0 ? rc : 0;
}
