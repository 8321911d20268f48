/* SPDX-License-Identifier: MIT */
/*
 * A queue is a ring (chan/ring.c: messages, room, and what deaths do to them) and two waitwords
 * (sync/waitword.h: why no wake-up is lost): getters sleep on not_empty, putters on not_full.
 *
 * A lock is held while records are written or copied, never while somebody sleeps. A message that
 * the ring does not take inline is copied before put_lock is taken, and after get_lock is released.
 * The look for sleepers comes after the unlock, whose exchange orders it behind the published
 * change.
 *
 * A death between publishing and waking: sleepers look again within 100 ms.
 */
#include "chan/queue.h"

#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/step.h"

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

/* Returns 0, MP_OWNERDEAD, MP_EAGAIN or MP_EINTR. */
static int acquire(mp__mutex *m, mp__patience *p)
{
    int rc = mp__mutex_acquire(m, MP__AT_ONCE, false);
    if (rc != MP_ETIMEDOUT)
        return rc;
    mp__deadline until = mp__patience_deadline(p);
    mp__deadline least = mp__deadline_in_ns(MP__NS_PER_MS);
    rc = mp__mutex_acquire(m, until.ns > least.ns ? until : least, p->timeout > 0);
    return rc == MP_ETIMEDOUT ? MP_EAGAIN : rc;
}

int mp__queue_lock_put(mp_queue *q, mp__patience *p)
{
    int rc = acquire(&q->ring.put_lock, p);
    if (rc == MP_OWNERDEAD)
        mp__ring_repair_put(&q->ring);
    return rc < 0 ? rc : 0;
}

int mp__queue_lock_get(mp_queue *q, mp__patience *p)
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
    mp__store_release(&q->magic, MP__QUEUE_MAGIC);
    *out = q;
    return 0;
}

void mp_queue_free(mp_queue *q)
{
    if (!mp__queue_is(q))
        return;
    mp__store_relaxed(&q->magic, 0);
    mp__ring_fini(&q->ring);
    mp_shared_free(q);
}

int mp_queue_size(const mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    uint32_t size = mp__ring_size(&q->ring);
    uint32_t most = q->ring.maxsize != 0 ? q->ring.maxsize : INT_MAX;
    return (int)(size < most ? size : most); /* puts between the two loads do not count */
}

bool mp_queue_empty(const mp_queue *q)
{
    return !mp__queue_is(q) || mp__ring_size(&q->ring) == 0;
}

bool mp_queue_full(const mp_queue *q)
{
    return mp__queue_is(q) && q->ring.maxsize != 0 && mp__ring_size(&q->ring) >= q->ring.maxsize;
}

int mp_queue_close(mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    if (mp__mutex_lock(&q->ring.put_lock)) /* without a deadline, and deaf to mp_interrupt() */
        mp__ring_repair_put(&q->ring);
    mp__store_release(&q->ring.closed, 1); /* pairs with why_empty() */
    MP_STEP("queue.close.closed");
    mp__mutex_unlock(&q->ring.put_lock);
    MP_STEP("queue.close.unlocked");
    mp__waitword_wake(&q->not_empty, MP__WAKE_ALL);
    MP_STEP("queue.close.getters_woken");
    mp__waitword_wake(&q->not_full, MP__WAKE_ALL);
    return 0;
}
