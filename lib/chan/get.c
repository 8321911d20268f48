/* SPDX-License-Identifier: MIT */
/* Getting messages out of a queue; chan/queue.c tells the whole. */
#include "chan/queue.h"

#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdlib.h>
#include <string.h>

/* A place for a message, and which lengths it takes. */
typedef struct place {
    void *data;
    size_t least, most;
    size_t length; /* of the message that was found */
} place;

/* Copies a message out, with get_lock held if it is inline. */
static void copy_out(const mp__ring_message *m, place *to)
{
    if (m->length > 0)
        memcpy(to->data, m->data, m->length);
}

/* Closed is read first: then an empty ring stays empty. */
static int why_empty(const mp_queue *q)
{
    uint32_t closed = mp__load_acquire(&q->ring.closed); /* pairs with mp_queue_close() */
    if (mp__ring_size(&q->ring) != 0)
        return 0;
    return closed ? MP_ECLOSED : MP_EEMPTY;
}

static bool matches(const mp__ring_message *m, place *to)
{
    to->length = m->length;
    return m->length >= to->least && m->length <= to->most;
}

/* Right after get_lock was released: so many messages less. Room in bytes may be room for many, or
 * not for the one who would be woken. */
static void wake_putters(mp_queue *q, int messages)
{
    if (q->limited)
        mp__waitword_wake_unlocked(&q->not_full, q->ring.capacity != 0 ? MP__WAKE_ALL : messages);
}

static int try_get(mp_queue *q, place *to, mp__patience *p)
{
    int rc = why_empty(q);
    if (rc < 0)
        return rc;
    rc = mp__queue_lock_get(q, p);
    if (rc < 0)
        return rc;
    mp__ring *r = &q->ring;
    mp__ring_message m;
    bool there = mp__ring_peek(r, &m);
    bool fits = there && matches(&m, to);
    if (fits && m.block == NULL)
        copy_out(&m, to);
    MP_STEP("queue.get.copied");
    if (fits)
        mp__ring_consume(r, &m);
    MP_STEP("queue.get.consumed");
    mp__mutex_unlock(&r->get_lock);
    if (!fits)
        return there ? MP_EMSGSIZE : MP_EEMPTY;
    MP_STEP("queue.get.unlocked");
    wake_putters(q, 1);
    MP_STEP("queue.get.woken");
    if (m.block != NULL) {
        copy_out(&m, to);
        MP_STEP("queue.get.block_copied");
        mp_shared_free(m.block);
    }
    return 0;
}

static bool has_message(void *q)
{
    return !mp_queue_empty(q);
}

/* Waits until the queue is not empty. Returns 0: look; or the code to return. */
static int wait_message(mp_queue *q, mp__patience *p)
{
    mp__deadline until = mp__patience_deadline(p);
    if (mp__spin_until(has_message, q))
        return 0;
    uint32_t ticket = mp__waitword_arm(&q->not_empty);
    MP_STEP("queue.get.armed");
    int rc = why_empty(q);
    if (rc != MP_EEMPTY)
        return rc;
    rc = mp__waitword_sleep(&q->not_empty, ticket, until);
    MP_STEP("queue.get.slept");
    if (rc == MP_ETIMEDOUT)
        return why_empty(q);
    if (rc < 0)
        mp__waitword_wake(&q->not_empty, 1); /* the wake that we had may have been another's */
    return rc;
}

static int get_in_time(mp_queue *q, place *to, mp__patience *p)
{
    int rc;
    do {
        rc = try_get(q, to, p);
        if (rc != MP_EEMPTY || p->timeout <= 0)
            return rc;
        rc = wait_message(q, p);
    } while (rc == 0);
    return rc;
}

static int get_one(mp_queue *q, place *to, double timeout)
{
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    return rc < 0 ? rc : get_in_time(q, to, &p);
}

ssize_t mp_queue_get_sized(mp_queue *q, void *buffer, size_t capacity, size_t *needed,
                           double timeout)
{
    if (needed == NULL)
        return MP_EINVAL;
    *needed = 0;
    if (!mp__queue_is(q) || (buffer == NULL && capacity > 0))
        return MP_EINVAL;
    place to = {buffer, 0, capacity, 0};
    int rc = get_one(q, &to, timeout);
    if (rc == 0 || rc == MP_EMSGSIZE)
        *needed = to.length;
    return rc == 0 ? (ssize_t)to.length : rc;
}

ssize_t mp_queue_get(mp_queue *q, void *buffer, size_t capacity, double timeout)
{
    size_t length;
    return mp_queue_get_sized(q, buffer, capacity, &length, timeout);
}

int mp_queue_get_exact(mp_queue *q, void *buffer, size_t length, double timeout)
{
    if (!mp__queue_is(q) || (buffer == NULL && length > 0))
        return MP_EINVAL;
    place to = {buffer, length, length, 0};
    return get_one(q, &to, timeout);
}

int mp_queue_get_alloc(mp_queue *q, void **data, size_t *length, double timeout)
{
    if (data == NULL || length == NULL)
        return MP_EINVAL;
    *data = NULL;
    *length = 0;
    mp__patience p;
    int rc = mp__queue_is(q) ? mp__patience_begin(&p, timeout) : MP_EINVAL;
    if (rc < 0)
        return rc;
    /* A first guess; then as much as the next message wants, which another getter may have
     * taken. */
    size_t capacity = 256;
    for (;;) {
        void *buffer = malloc(capacity);
        if (buffer == NULL)
            return MP_ENOMEM;
        place to = {buffer, 0, capacity, 0};
        rc = get_in_time(q, &to, &p);
        if (rc == 0) {
            *data = buffer;
            *length = to.length;
            return 0;
        }
        free(buffer);
        if (rc != MP_EMSGSIZE)
            return rc;
        capacity = to.length;
    }
}

/* Takes what is there, as long as it fits, with one lock. */
static int try_get_many(mp_queue *q, mp_bytes *messages, int count, mp__patience *p)
{
    int rc = why_empty(q);
    if (rc < 0)
        return rc;
    rc = mp__queue_lock_get(q, p);
    if (rc < 0)
        return rc;
    void *blocks[MP__QUEUE_BATCH];
    mp__ring_message m;
    int n = 0;
    bool there = true;
    while (n < count && (there = mp__ring_peek(&q->ring, &m)) && m.length <= messages[n].capacity) {
        place to = {messages[n].data, 0, messages[n].capacity, 0};
        if (m.block == NULL)
            copy_out(&m, &to);
        messages[n].length = m.length;
        blocks[n++] = m.block;
        mp__ring_consume(&q->ring, &m);
        MP_STEP("queue.get_many.consumed");
    }
    mp__mutex_unlock(&q->ring.get_lock);
    MP_STEP("queue.get_many.unlocked");
    if (n > 0)
        wake_putters(q, n);
    for (int i = 0; i < n; i++)
        if (blocks[i] != NULL) {
            memcpy(messages[i].data, blocks[i], messages[i].length);
            mp_shared_free(blocks[i]);
        }
    if (n == 0)
        return there ? MP_EMSGSIZE : MP_EEMPTY;
    return n;
}

static int check_places(const mp_bytes *messages, int count)
{
    if (count < 0 || (messages == NULL && count > 0))
        return MP_EINVAL;
    for (int i = 0; i < count; i++)
        if (messages[i].data == NULL && messages[i].capacity > 0)
            return MP_EINVAL;
    return 0;
}

int mp_queue_get_many(mp_queue *q, mp_bytes *messages, int count, double timeout)
{
    if (!mp__queue_is(q) || check_places(messages, count) < 0)
        return MP_EINVAL;
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    int done = 0;
    while (rc >= 0 && done < count) {
        rc = try_get_many(q, messages + done,
                          count - done < MP__QUEUE_BATCH ? count - done : MP__QUEUE_BATCH, &p);
        if (rc > 0)
            done += rc;
        else if (rc == MP_EEMPTY && done == 0 && timeout > 0)
            rc = wait_message(q, &p);
    }
    return done > 0 ? done : rc;
}
