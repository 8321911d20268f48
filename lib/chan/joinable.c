/* SPDX-License-Identifier: MIT */
/* Waiting until all that was put into a queue is done; chan/lease.c tells how that is counted. */
#include "chan/queue.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/step.h"

#include <mproc/error.h>
#include <string.h>

int mp_queue_task_done(mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    mp__books_lock(q);
    int rc = mp__books_done(q);
    /* Perhaps nothing comes back now. After the unlock the queue may be freed by who has joined. */
    if (rc == 0 && q->books.redelivers && mp__load_relaxed(&q->ring.closed))
        mp__sleepers_wake(&q->not_empty, MP__SLEEPERS_ALL);
    mp__books_unlock(q);
    return rc;
}

/* A look at the books. Returns whether all is done, or a code; *dying: somebody may be just now. */
static int is_finished(mp_queue *q, mp__patience *p, uint32_t zeros, bool *dying)
{
    int rc = mp__books_try_lock(q, p);
    if (rc < 0)
        return rc;
    if (mp__books_unfinished(q) > 0)
        *dying = mp__books_settle(q);
    bool finished = mp__books_unfinished(q) == 0 || mp__load_relaxed(&q->books.zeros) != zeros;
    mp__books_unlock(q);
    return finished;
}

int mp_queue_join(mp_queue *q, double timeout)
{
    mp__patience p;
    int rc = mp__queue_is(q) ? mp__patience_begin(&p, timeout) : MP_EINVAL;
    if (rc < 0)
        return rc;
    mp__waitword *w = &q->books.finished;
    uint32_t zeros = mp__load_acquire(&q->books.zeros);
    for (int looks = 0;; looks++) {
        bool dying = false;
        uint32_t ticket = mp__waitword_arm(w);
        MP_STEP("queue.join.armed");
        rc = is_finished(q, &p, zeros, &dying);
        if (rc != 0)
            return rc > 0 ? 0 : rc;
        if (timeout <= 0)
            return MP_ETIMEDOUT;
        mp__deadline until = mp__patience_deadline(&p), slice = until;
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        if (dying && looks < 7) /* its words are free a moment before it is gone */
            slice = mp__deadline_min(until, mp__deadline_in_ns(MP__NS_PER_MS << looks));
        rc = mp__waitword_sleep(w, ticket, slice);
        MP_STEP("queue.join.slept");
        if (rc == MP_EINTR)
            return rc;
    }
}

int64_t mp_queue_lost(mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    mp__books_lock(q);
    mp__books_settle(q);
    int64_t lost = (int64_t)q->books.lost;
    mp__books_unlock(q);
    return lost;
}
