/* SPDX-License-Identifier: MIT */
/* Putting messages into a queue; chan/queue.c tells the whole. */
#include "chan/queue.h"

#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

/* With put_lock: makes the batch visible, and wakes who sleeps already. Returns whether somebody
 * may have. */
static bool publish_and_wake(mp_queue *q, const mp__ring_batch *batch, int count)
{
    /* Behind the change of put_lock; pairs with a getter that joins and then looks at put_lock. */
    mp__fence_after_change();
    if (!mp__sleepers_any(&q->not_empty)) {
        mp__ring_publish(&q->ring, batch);
        MP_STEP("queue.put.published");
        return false;
    }
    mp__robust_announce_bell(mp__thread_self(), &q->not_empty.word);
    mp__ring_publish(&q->ring, batch);
    MP_STEP("queue.put.published_to_sleepers");
    mp__sleepers_wake(&q->not_empty, count);
    MP_STEP("queue.put.woken");
    return true;
}

/* After the unlock, whose exchange is a full barrier: tells who has begun to wait meanwhile. */
static void tell(mp_queue *q, int count)
{
    if (mp__sleepers_any(&q->not_empty))
        mp__sleepers_wake(&q->not_empty, count);
    if (mp__doorbells_any(&q->arrivals))
        mp__doorbells_ring(&q->arrivals);
}

/* The common case: a short message, room for it, nobody waiting, and nobody else putting. Returns
 * whether that was so. */
static bool put_at_once(mp_queue *q, const void *data, size_t length)
{
    mp__thread *self = mp__thread_self();
    mp__ring *r = &q->ring;
    if (!mp__mutex_take_lightly(&r->put_lock, self))
        return false;
    mp__fence_after_change(); /* as in publish() and ring() */
    bool done = !mp__sleepers_any(&q->not_empty) && !mp__doorbells_any(&q->arrivals) &&
                !mp__load_relaxed(&r->closed) && mp__ring_put_one(r, data, length);
    mp__lease_put(&q->books, mp__ring_unpack(mp__load_relaxed(&r->tail)).count);
    MP_STEP("queue.put.published_at_once");
    mp__mutex_put_down(&r->put_lock, self);
    if (done) {
        self->gave = true;
        tell(q, 1);
    }
    return done;
}

/* The same. A loan that goes in is announced, so that its owner's death leaves no doubt. */
static bool publish(mp_queue *q, const mp__ring_batch *batch, int count, const mp__patience *p)
{
    mp__books *b = &q->books;
    if (p->loan != NULL) {
        b->publishing_from = mp__load_relaxed(&q->ring.tail);
        mp__fence_compiler();
        mp__store_release(&b->publishing, p->loan); /* pairs with settle_publishing() */
        mp__fence_compiler();
        MP_STEP("queue.put.loan_announced");
    }
    bool woken = publish_and_wake(q, batch, count);
    mp__lease_put(b, batch->at.count);
    if (p->loan != NULL) {
        mp__store_release(&p->loan->word, 0); /* pairs with mp__hold_new() */
        MP_STEP("queue.put.loan_gone");
        mp__store_relaxed(&b->publishing, NULL);
    }
    return woken;
}

/* With put_lock, before anything is visible; pairs as above with who arms and then looks at
 * put_lock. Returns 0, or why one could not be told. */
static int ring(mp_queue *q)
{
    mp__fence_after_change();
    return mp__doorbells_any(&q->arrivals) ? mp__doorbells_ring(&q->arrivals) : 0;
}

/* Puts as many of the messages as fit, at least one, or returns why not. */
static int try_put(mp_queue *q, const mp__ring_message *messages, int count, mp__patience *p)
{
    mp__ring *r = &q->ring;
    int rc = mp__queue_lock_put(q, p);
    if (rc < 0)
        return rc;
    int done = 0;
    bool woken = false;
    if (mp__load_relaxed(&r->closed)) { /* set under this lock */
        rc = MP_ECLOSED;
    } else if ((rc = ring(q)) == 0) {
        mp__ring_batch batch = mp__ring_put_begin(r);
        while (done < count && (rc = mp__ring_add(r, &batch, &messages[done])) == 0)
            done++;
        if (done > 0) {
            MP_STEP("queue.put.copied");
            woken = publish(q, &batch, done, p);
        }
    }
    mp__mutex_unlock(&r->put_lock);
    if (done == 0)
        return rc;
    MP_STEP("queue.put.unlocked");
    mp__thread_self()->gave = true;
    if (!woken)
        tell(q, done);
    else if (mp__doorbells_any(&q->arrivals))
        mp__doorbells_ring(&q->arrivals);
    return done;
}

static bool has_place(void *q)
{
    return !mp_queue_full(q);
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
        if (q->ring.capacity == 0 && mp__spin_until(has_place, q))
            continue;
        uint32_t ticket = mp__waitword_arm(&q->not_full);
        MP_STEP("queue.put.armed");
        rc = try_put(q, messages, count, p);
        if (rc != MP_EFULL)
            return rc;
        rc = mp__waitword_sleep(&q->not_full, ticket, until);
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
    if (length > 0)
        memcpy(block->data, data, length);
    *to = (mp__ring_message){MP__RING_BLOCK, NULL, length, block};
    return 0;
}

int mp_queue_put(mp_queue *q, const void *data, size_t length, double timeout)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    if (rc == 0)
        rc = check_message(q, data, length);
    if (rc < 0)
        return rc;
    if (length <= MP__RING_INLINE_MOST && !q->books.redelivers && put_at_once(q, data, length))
        return 0;
    mp__ring_message m;
    rc = prepare(q, &m, data, length);
    if (rc < 0)
        return rc;
    rc = put_some(q, &m, 1, &p);
    if (rc < 0)
        mp_shared_free(m.block);
    return rc < 0 ? rc : 0;
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
