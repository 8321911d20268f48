/* SPDX-License-Identifier: MIT */
/*
 * A queue is a ring (chan/ring.c: messages, room, and what deaths do to them) and two waitwords
 * (sync/waitword.h: why no wake-up is lost): getters sleep on not_empty, putters on not_full.
 *
 * A lock is held while records are written or copied, never while somebody sleeps. A message that the
 * ring does not take inline is copied before put_lock is taken, and after get_lock is released. The
 * look for sleepers comes after the unlock, whose exchange orders it behind the published change.
 *
 * A death between publishing and waking: sleepers look again within 100 ms.
 */
#include <mproc/queue.h>

#include "base/options.h"
#include "chan/ring.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "sync/waitword.h"

#include <limits.h>
#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAGIC UINT64_C(0x6d70726f63717565)

struct mp_queue {
    _Atomic uint64_t magic;
    bool limited; /* putters may have to wait */
    _Alignas(MP__CACHE_LINE) mp__waitword not_empty;
    _Alignas(MP__CACHE_LINE) mp__waitword not_full;
    mp__ring ring;
};

/* A call's patience: its deadline is computed only if it has to wait. */
typedef struct patience {
    double timeout;
    mp__deadline until;
    bool started;
} patience;

static bool is_queue(const mp_queue *q)
{
    return q != NULL && mp__load_relaxed(&q->magic) == QUEUE_MAGIC;
}

/* Checks a call's timeout, and whether an interrupt is pending. */
static int begin(patience *p, double timeout)
{
    if (timeout != timeout)
        return MP_EINVAL;
    *p = (patience){.timeout = timeout};
    return timeout > 0 && mp__interrupted() ? MP_EINTR : 0;
}

static mp__deadline deadline_of(patience *p)
{
    if (!p->started)
        mp__deadline_in(p->timeout, &p->until);
    p->started = true;
    return p->until;
}

/* Acquires an internal lock. A holder may be stopped, so there is a deadline: the call's own, but at
 * least 1 ms. Returns 0, MP_OWNERDEAD, MP_EAGAIN or MP_EINTR. */
static int acquire(mp__mutex *m, patience *p)
{
    int rc = mp__mutex_acquire(m, MP__AT_ONCE, false);
    if (rc != MP_ETIMEDOUT)
        return rc;
    mp__deadline until = deadline_of(p);
    mp__deadline least = mp__deadline_in_ns(MP__NS_PER_MS);
    rc = mp__mutex_acquire(m, until.ns > least.ns ? until : least, p->timeout > 0);
    return rc == MP_ETIMEDOUT ? MP_EAGAIN : rc;
}

static int acquire_put(mp_queue *q, patience *p)
{
    int rc = acquire(&q->ring.put_lock, p);
    if (rc == MP_OWNERDEAD)
        mp__ring_repair_put(&q->ring);
    return rc < 0 ? rc : 0;
}

static int acquire_get(mp_queue *q, patience *p)
{
    int rc = acquire(&q->ring.get_lock, p);
    if (rc == MP_OWNERDEAD)
        mp__ring_repair_get(&q->ring);
    return rc < 0 ? rc : 0;
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
    if (o.maxsize < 0 || o.on_death != 0)
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
    q->limited = o.maxsize != 0 || o.capacity != 0;
    mp__store_release(&q->magic, QUEUE_MAGIC);
    *out = q;
    return 0;
}

void mp_queue_free(mp_queue *q)
{
    if (!is_queue(q))
        return;
    mp__store_relaxed(&q->magic, 0);
    mp__ring_fini(&q->ring);
    mp_shared_free(q);
}

/* Spins until the queue is not empty, or not full. Returns whether it has paid. */
static bool spin_while(bool (*condition)(const mp_queue *q), const mp_queue *q)
{
    uint32_t spins = mp__spin_begin();
    for (uint32_t i = 0; i < spins; i++) {
        if (!condition(q)) {
            mp__spin_end(true);
            return true;
        }
        mp__pause();
    }
    if (spins > 0)
        mp__spin_end(false);
    return false;
}

/* ---- put ---- */

/* Puts as many of the messages as fit, at least one, or returns why not. */
static int try_put(mp_queue *q, const mp__ring_message *messages, int count, patience *p)
{
    mp__ring *r = &q->ring;
    int rc = acquire_put(q, p);
    if (rc < 0)
        return rc;
    int done = 0;
    if (mp__load_relaxed(&r->closed)) { /* set under this lock */
        rc = MP_ECLOSED;
    } else {
        mp__ring_position at = mp__ring_put_begin(r);
        while (done < count && (rc = mp__ring_add(r, &at, &messages[done])) == 0)
            done++;
        mp__ring_publish(r, at);
    }
    mp__mutex_unlock(&r->put_lock);
    if (done == 0)
        return rc;
    mp__waitword_wake_unlocked(&q->not_empty, done);
    return done;
}

/* The same, waiting for room. */
static int put_some(mp_queue *q, const mp__ring_message *messages, int count, patience *p)
{
    for (;;) {
        int rc = try_put(q, messages, count, p);
        if (rc != MP_EFULL || p->timeout <= 0)
            return rc;
        mp__deadline until = deadline_of(p);
        /* Whether bytes are missing is not to be seen from outside. */
        if (q->ring.capacity == 0 && spin_while(mp_queue_full, q))
            continue;
        uint32_t ticket = mp__waitword_arm(&q->not_full);
        rc = try_put(q, messages, count, p);
        if (rc != MP_EFULL)
            return rc;
        rc = mp__waitword_sleep(&q->not_full, ticket, until);
        if (rc == MP_ETIMEDOUT)
            return try_put(q, messages, count, p);
        if (rc < 0)
            return rc;
    }
}

static int check_message(const mp_queue *q, const void *data, size_t length)
{
    if (data == NULL && length > 0)
        return MP_EINVAL;
    uint64_t capacity = q->ring.capacity;
    return capacity != 0 && (length > capacity || capacity - length < 8) ? MP_EMSGSIZE : 0;
}

int mp_queue_put(mp_queue *q, const void *data, size_t length, double timeout)
{
    if (!is_queue(q))
        return MP_EINVAL;
    patience p;
    int rc = begin(&p, timeout);
    if (rc == 0)
        rc = check_message(q, data, length);
    if (rc < 0)
        return rc;
    mp__ring_message m = {data, length, NULL};
    if (length > MP__RING_INLINE_MOST) {
        rc = mp__ring_prepare(&m);
        if (rc < 0)
            return rc;
    }
    rc = put_some(q, &m, 1, &p);
    if (rc < 0)
        mp_shared_free(m.block);
    return rc < 0 ? rc : 0;
}

/* Prepares up to a batch of messages; returns how many, or why not even the first. */
static int prepare_batch(const mp_queue *q, const mp_bytes *from, mp__ring_message *to, int count)
{
    for (int i = 0; i < count; i++) {
        to[i] = (mp__ring_message){from[i].data, from[i].length, NULL};
        int rc = check_message(q, from[i].data, from[i].length);
        if (rc == 0)
            rc = mp__ring_prepare(&to[i]);
        if (rc < 0)
            return i > 0 ? i : rc;
    }
    return count;
}

#define BATCH 32

int mp_queue_put_many(mp_queue *q, const mp_bytes *messages, int count, double timeout)
{
    if (!is_queue(q) || count < 0 || (messages == NULL && count > 0))
        return MP_EINVAL;
    patience p;
    int rc = begin(&p, timeout);
    if (rc < 0)
        return rc;
    int done = 0;
    while (done < count && rc >= 0) {
        mp__ring_message batch[BATCH];
        int n = prepare_batch(q, messages + done, batch, count - done < BATCH ? count - done : BATCH);
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

/* ---- get ---- */

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

static int try_get(mp_queue *q, place *to, patience *p)
{
    int rc = why_empty(q);
    if (rc < 0)
        return rc;
    rc = acquire_get(q, p);
    if (rc < 0)
        return rc;
    mp__ring *r = &q->ring;
    mp__ring_message m;
    bool there = mp__ring_peek(r, &m);
    bool fits = there && matches(&m, to);
    if (fits && m.block == NULL)
        copy_out(&m, to);
    if (fits)
        mp__ring_consume(r, &m);
    mp__mutex_unlock(&r->get_lock);
    if (!fits)
        return there ? MP_EMSGSIZE : MP_EEMPTY;
    if (q->limited)
        mp__waitword_wake_unlocked(&q->not_full, 1);
    if (m.block != NULL) {
        copy_out(&m, to);
        mp_shared_free(m.block);
    }
    return 0;
}

/* Waits until the queue is not empty. Returns 0: look; or the code to return. */
static int wait_message(mp_queue *q, patience *p)
{
    mp__deadline until = deadline_of(p);
    if (spin_while(mp_queue_empty, q))
        return 0;
    uint32_t ticket = mp__waitword_arm(&q->not_empty);
    int rc = why_empty(q);
    if (rc != MP_EEMPTY)
        return rc;
    rc = mp__waitword_sleep(&q->not_empty, ticket, until);
    if (rc == MP_ETIMEDOUT)
        return why_empty(q);
    return rc;
}

static int get_in_time(mp_queue *q, place *to, patience *p)
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
    patience p;
    int rc = begin(&p, timeout);
    return rc < 0 ? rc : get_in_time(q, to, &p);
}

ssize_t mp_queue_get_sized(mp_queue *q, void *buffer, size_t capacity, size_t *needed,
                           double timeout)
{
    if (needed == NULL)
        return MP_EINVAL;
    *needed = 0;
    if (!is_queue(q) || (buffer == NULL && capacity > 0))
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
    if (!is_queue(q) || (buffer == NULL && length > 0))
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
    patience p;
    int rc = is_queue(q) ? begin(&p, timeout) : MP_EINVAL;
    if (rc < 0)
        return rc;
    /* A first guess; then as much as the next message wants, which another getter may have taken. */
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
static int try_get_many(mp_queue *q, mp_bytes *messages, int count, patience *p)
{
    int rc = why_empty(q);
    if (rc < 0)
        return rc;
    rc = acquire_get(q, p);
    if (rc < 0)
        return rc;
    void *blocks[BATCH];
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
    }
    mp__mutex_unlock(&q->ring.get_lock);
    if (n > 0 && q->limited)
        mp__waitword_wake_unlocked(&q->not_full, n);
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
    if (!is_queue(q) || check_places(messages, count) < 0)
        return MP_EINVAL;
    patience p;
    int rc = begin(&p, timeout);
    int done = 0;
    while (rc >= 0 && done < count) {
        rc = try_get_many(q, messages + done, count - done < BATCH ? count - done : BATCH, &p);
        if (rc > 0)
            done += rc;
        else if (rc == MP_EEMPTY && done == 0 && timeout > 0)
            rc = wait_message(q, &p);
    }
    return done > 0 ? done : rc;
}

/* ---- state ---- */

int mp_queue_size(const mp_queue *q)
{
    if (!is_queue(q))
        return MP_EINVAL;
    uint32_t size = mp__ring_size(&q->ring);
    uint32_t most = q->ring.maxsize != 0 ? q->ring.maxsize : INT_MAX;
    return (int)(size < most ? size : most); /* puts between the two loads do not count */
}

bool mp_queue_empty(const mp_queue *q)
{
    return !is_queue(q) || mp__ring_size(&q->ring) == 0;
}

bool mp_queue_full(const mp_queue *q)
{
    return is_queue(q) && q->ring.maxsize != 0 && mp__ring_size(&q->ring) >= q->ring.maxsize;
}

int mp_queue_close(mp_queue *q)
{
    if (!is_queue(q))
        return MP_EINVAL;
    patience forever = {.timeout = MP_FOREVER};
    int rc;
    do
        rc = acquire_put(q, &forever);
    while (rc == MP_EINTR); /* there is nothing half-done to come back to */
    if (rc < 0)
        return rc;
    mp__store_release(&q->ring.closed, 1); /* pairs with why_empty() */
    mp__mutex_unlock(&q->ring.put_lock);
    mp__waitword_wake(&q->not_empty, MP__WAKE_ALL);
    mp__waitword_wake(&q->not_full, MP__WAKE_ALL);
    return 0;
}
