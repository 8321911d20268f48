/* SPDX-License-Identifier: MIT */
/* Getting messages out of a queue; chan/queue.c tells the whole. */
#include "chan/queue.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "os/probe.h"
#include "os/step.h"
#include "sync/fileno.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdlib.h>
#include <string.h>

/* 0: there is something to get. Closed is read first: then an empty ring stays empty. */
static int why_empty(mp_queue *q)
{
    uint32_t closed = mp__load_acquire(&q->ring.closed); /* pairs with mp_queue_close() */
    if (!mp__queue_has_message(q) && q->books.redelivers && mp__lease_recall(q, closed))
        closed = 0; /* others' messages may still come back */
    if (!mp__queue_has_message(q))
        return closed ? MP_ECLOSED : MP_EEMPTY;
    bool returned = mp__load_relaxed(&q->books.returned) != 0;
    return !returned && mp__ring_is_broken(&q->ring) ? MP_EBROKEN : 0;
}

static bool matches(const mp__ring_message *m, mp__place *to)
{
    to->length = m->length;
    to->is_block = to->block != NULL && m->kind == MP__RING_BLOCK;
    if (to->is_block)
        return true;
    return m->length >= to->least && m->length <= to->most;
}

/* After messages were taken, which is a full barrier. Room in bytes may be room for many, or not
 * for the one who would be woken. */
static void wake_putters(mp_queue *q, int messages)
{
    if (!q->limited)
        return;
    mp__waitword_wake_unlocked(&q->not_full, q->ring.capacity != 0 ? MP__WAKE_ALL : messages);
    if (mp__doorbells_any(&q->departures))
        mp__doorbells_ring(&q->departures);
}

/* Looks at the next message, and copies it if it fits and is in the ring. Returns 0 or why not; it
 * is true only if the message can be taken. */
static int view_one(mp_queue *q, mp__ring_view *v, mp__place *to)
{
    while (!mp__ring_look(&q->ring, v)) {
        int rc = why_empty(q);
        if (rc != 0)
            return rc;
    }
    if (!matches(&v->message, to))
        return MP_EMSGSIZE;
    if (v->message.kind != MP__RING_BLOCK)
        mp__ring_copy(to->data, &v->message);
    MP_STEP("queue.get.copied");
    return 0;
}

/* Ends a sleeper's call: after it has taken something, before it takes any lock. Another is woken
 * if this one leaves a message, or knows of the end. */
static void leave(mp_queue *q, mp__patience *p, int rc)
{
    if (!p->joined)
        return;
    if (rc == MP_ECLOSED) /* who has closed it may be dead */
        mp__sleepers_wake(&q->not_empty, MP__SLEEPERS_ALL);
    mp__sleepers_leave(&q->not_empty, mp__queue_has_message(q));
    p->joined = false;
}

/* The calling thread's seat. */
static inline mp__seat *seat_at(mp_queue *q)
{
    const mp__thread_seat *known = mp__thread_seat_of(q);
    if (__builtin_expect(known->queue == q && known->serial == q->books.serial, 1))
        return known->seat;
    mp__seat *s;
    mp__lease_sit(q, NULL, &s); /* without memory for one: the common one */
    return s;
}

/* Takes one message in a block, into a hold. */
static bool take_block(mp_queue *q, const mp__ring_view *v, mp__seat *s, mp__hold *h)
{
    h->noted = mp__load_relaxed(&s->got);
    mp__fence_compiler();
    mp__store_relaxed(&h->word, mp__hold_word(v->message.block, MP__HOLD_USED));
    MP_STEP("queue.get.noted");
    bool taken = mp__lease_take(&q->ring, v, s);
    if (!taken)
        mp__store_relaxed(&h->word, 0);
    return taken;
}

/* Takes what is in the view, unless somebody was faster; a block into the hold, or the seat's. */
static inline bool take(mp_queue *q, const mp__ring_view *v, mp__seat *s, mp__hold *h)
{
    if (__builtin_expect(s == &q->books.common, 0))
        return mp__lease_take_common(&q->ring, v, s);
    if (v->message.kind == MP__RING_BLOCK)
        return take_block(q, v, s, h != NULL ? h : &s->hand);
    return mp__lease_take(&q->ring, v, s);
}

/* Copies a block that was taken, and frees it. */
static void empty_hand(mp_queue *q, mp__seat *s, mp__ring_block *block, void *to)
{
    if (block->length > 0)
        memcpy(to, block->data, block->length);
    MP_STEP("queue.get.block_copied");
    if (s != &q->books.common)
        mp__store_relaxed(&s->hand.word, 0);
    mp__fence_compiler();
    MP_STEP("lease.hand.emptied");
    mp_shared_free(block);
}

static int try_get(mp_queue *q, mp__place *to, mp__patience *p)
{
    mp__ring *r = &q->ring;
    mp__seat *s = seat_at(q);
    mp__ring_view v;
    int rc;
    do {
        rc = view_one(q, &v, to);
        if (rc == MP_EMSGSIZE ? mp__ring_is_current(r, &v) : rc < 0)
            return rc;
    } while (rc < 0 || !take(q, &v, s, to->block));
    MP_STEP("queue.get.taken");
    leave(q, p, 0);
    wake_putters(q, 1);
    MP_STEP("queue.get.woken");
    if (to->is_block)
        mp__store_relaxed(&v.message.block->holder, (uintptr_t)to->block);
    else if (v.message.kind == MP__RING_BLOCK)
        empty_hand(q, s, v.message.block, to->data);
    return 0;
}

/* ---- Queues that redeliver; the lease stays. */

static int is_wanted(void *place, size_t length)
{
    mp__place *to = place;
    to->length = length;
    to->is_block = to->block != NULL;
    return to->is_block || (length >= to->least && length <= to->most) ? 0 : MP_EMSGSIZE;
}

static int lease(mp_queue *q, mp__seat *s, mp__hold *h, mp__place *to, mp__patience *p)
{
    int rc = mp__books_try_lock(q, p);
    if (rc < 0)
        return rc;
    rc = mp__lease_get(q, s, h, is_wanted, to);
    mp__books_unlock(q);
    return rc;
}

static int try_get_leased(mp_queue *q, mp__place *to, mp__patience *p)
{
    mp__seat *s = seat_at(q);
    mp__hold *h = to->block;
    int rc = s == &q->books.common ? mp__lease_sit(q, p, &s) : 0;
    if (rc == 0 && h == NULL && (h = mp__hold_new(s)) == NULL)
        rc = mp_shared_error();
    if (rc < 0)
        return rc;
    while ((rc = lease(q, s, h, to, p)) == MP_EEMPTY && (rc = why_empty(q)) == 0)
        continue;
    if (rc < 0)
        return rc;
    leave(q, p, 0);
    wake_putters(q, 1);
    if (to->is_block)
        return 0;
    mp__ring_block *block = mp__hold_block(mp__load_relaxed(&h->word));
    if (to->length > 0)
        memcpy(to->data, block->data, to->length);
    MP_STEP("queue.get.lease_copied");
    mp__hold_drop(h, block, MP__HOLD_USED);
    return 0;
}

static inline int try_get_any(mp_queue *q, mp__place *to, mp__patience *p)
{
    return __builtin_expect(q->books.redelivers, 0) ? try_get_leased(q, to, p) : try_get(q, to, p);
}

static bool has_message(void *q)
{
    return mp__queue_has_message(q);
}

/* A large ring that nobody is putting into gives its memory back. */
static void shrink(mp_queue *q)
{
    mp__mutex *m = &q->ring.put_lock;
    if (!mp__ring_is_large(&q->ring) || !mp__mutex_take_free(m, mp__thread_self()))
        return;
    mp__ring_shrink(&q->ring);
    mp__mutex_unlock(m);
}

/* Spins. Who only gets leaves the putters some time between its looks: then they go on undisturbed,
 * and there are several messages at once; one for whose answer somebody may be waiting does not. */
static bool look_for_message(mp_queue *q)
{
    mp__thread *self = mp__thread_self();
    uint32_t pauses = self->gave ? 1 : MP__QUEUE_CALM_PAUSES;
    self->gave = false;
    return mp__spin_calmly(has_message, q, pauses);
}

/* Waits until the queue is not empty. Returns 0: look; or the code to return. */
static int wait_message(mp_queue *q, mp__patience *p)
{
    mp__deadline until = mp__patience_deadline(p);
    if (look_for_message(q))
        return 0;
    shrink(q);
    uint32_t ticket = mp__sleepers_join(&q->not_empty);
    p->joined = true;
    MP_STEP("queue.get.joined");
    mp__deadline slice = until;
    bool amidst_put = mp__queue_is_being_put(q);
    if (amidst_put)
        slice = mp__deadline_min(until, mp__deadline_in_ns(MP__QUEUE_PUT_NS));
    if (q->books.redelivers) /* to see who is dead; locks have taken the announcement back */
        slice = mp__deadline_look_again(slice);
    int rc = why_empty(q);
    if (rc != MP_EEMPTY)
        return rc;
    MP_STEP("queue.get.looked");
    MP_PROBE1(queue__get__sleep, q);
    rc = mp__sleepers_sleep(&q->not_empty, ticket, slice);
    MP_PROBE2(queue__get__awake, q, rc);
    MP_STEP("queue.get.slept");
    if (rc == MP_ETIMEDOUT && amidst_put) /* by one who is dead? */
        mp__robust_reclaim(&q->ring.put_lock.word);
    if (rc == MP_ETIMEDOUT && slice.ns == until.ns)
        return why_empty(q);
    return rc == MP_EINTR ? rc : 0;
}

int mp__queue_get_in_time(mp_queue *q, mp__place *to, mp__patience *p)
{
    int rc;
    do {
        rc = try_get_any(q, to, p);
        if (rc == MP_EEMPTY)
            mp__fileno_settle(&q->arrivals);
        if (rc != MP_EEMPTY || p->timeout <= 0)
            break;
        rc = wait_message(q, p);
    } while (rc == 0);
    leave(q, p, rc);
    return rc;
}

/* The common case: a short message that is there and fits. Returns whether it was taken. */
static inline bool get_at_once(mp_queue *q, mp__place *to)
{
    mp__ring_view v;
    mp__seat *s = seat_at(q);
    if (q->books.redelivers || s == &q->books.common || !mp__ring_glance(&q->ring, &v) ||
        v.message.length < to->least || v.message.length > to->most)
        return false;
    mp__ring_copy(to->data, &v.message);
    MP_STEP("queue.get.copied_at_once");
    if (!mp__lease_take(&q->ring, &v, s))
        return false;
    MP_STEP("queue.get.taken_at_once");
    to->length = v.message.length;
    wake_putters(q, 1);
    MP_STEP("queue.get.woken");
    return true;
}

static int get_one(mp_queue *q, mp__place *to, double timeout)
{
    if (timeout == timeout && !mp__interrupt_pends() && get_at_once(q, to))
        return 0;
    mp__patience p;
    int rc = mp__patience_begin(&p, timeout);
    return rc < 0 ? rc : mp__queue_get_in_time(q, to, &p);
}

ssize_t mp_queue_get_sized(mp_queue *q, void *buffer, size_t capacity, size_t *needed,
                           double timeout)
{
    if (needed == NULL)
        return MP_EINVAL;
    *needed = 0;
    if (!mp__queue_is(q) || (buffer == NULL && capacity > 0))
        return MP_EINVAL;
    mp__place to = {buffer, 0, capacity, 0, NULL, false};
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
    mp__place to = {buffer, length, length, 0, NULL, false};
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
        mp__place to = {buffer, 0, capacity, 0, NULL, false};
        rc = mp__queue_get_in_time(q, &to, &p);
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

/* Copies what is in the ring and fits, up to `count` messages; or views one in a block. Returns
 * how many the view holds, or why none. */
static int view_many(mp_queue *q, mp__ring_view *v, mp_bytes *messages, int count)
{
    int n = 0;
    if (!mp__ring_look(&q->ring, v))
        return why_empty(q);
    do {
        bool is_block = v->message.kind == MP__RING_BLOCK;
        if (v->message.length > messages[n].capacity || (is_block && n > 0)) {
            if (n > 0)
                mp__ring_look_back(v);
            break;
        }
        messages[n].length = v->message.length;
        if (is_block)
            return 1;
        mp__ring_copy(messages[n].data, &v->message);
        n++;
    } while (n < count && mp__ring_look_on(&q->ring, v));
    v->message.kind = MP__RING_BYTES; /* whatever followed */
    return n > 0 ? n : MP_EMSGSIZE;
}

/* Takes what is there, as long as it fits. */
static int try_get_many(mp_queue *q, mp_bytes *messages, int count, mp__patience *p)
{
    mp__seat *s = seat_at(q);
    mp__ring_view v;
    int n;
    do {
        n = view_many(q, &v, messages, count);
        if (n == MP_EMSGSIZE ? mp__ring_is_current(&q->ring, &v) : n < 0)
            return n;
        MP_STEP("queue.get_many.copied");
    } while (n <= 0 || !take(q, &v, s, NULL));
    MP_STEP("queue.get_many.taken");
    leave(q, p, 0);
    wake_putters(q, n);
    if (v.message.kind == MP__RING_BLOCK)
        empty_hand(q, s, v.message.block, messages[0].data);
    return n;
}

static int try_get_many_leased(mp_queue *q, mp_bytes *message, mp__patience *p)
{
    mp__place to = {message->data, 0, message->capacity, 0, NULL, false};
    int rc = try_get_leased(q, &to, p);
    if (rc < 0)
        return rc;
    message->length = to.length;
    return 1;
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
        int most = count - done < MP__QUEUE_BATCH ? count - done : MP__QUEUE_BATCH;
        rc = q->books.redelivers ? try_get_many_leased(q, messages + done, &p)
                                 : try_get_many(q, messages + done, most, &p);
        if (rc > 0)
            done += rc;
        if (rc == MP_EEMPTY)
            mp__fileno_settle(&q->arrivals);
        if (rc == MP_EEMPTY && done == 0 && timeout > 0)
            rc = wait_message(q, &p);
    }
    leave(q, &p, rc);
    return done > 0 ? done : rc;
}
