/* SPDX-License-Identifier: MIT */
/*
 * Who has armed a doorbell of a queue, and then finds put_lock held, may have been rung for, or
 * missed by, a put that is not to be seen yet: if its putter dies before it unlocks, nobody rings
 * again for a message that it had put by then. So the descriptor is left ready, which makes its
 * owner look again, until the lock is free; so that it does not do that all the time while a putter
 * is stopped, each look takes up to a millisecond then.
 */
#include "chan/ready.h"

#include "os/clock.h"
#include "os/futex.h"
#include "sync/fileno.h"

#include <mproc/error.h>
#include <mproc/wait.h>

bool mp__queue_is_readable(const mp_queue *q)
{
    return mp__queue_has_message(q) || mp__load_acquire(&q->ring.closed) != 0;
}

bool mp__queue_is_writable(const mp_queue *q)
{
    return !mp_queue_full(q) || mp__load_acquire(&q->ring.closed) != 0;
}

/* Whether the descriptor must stay ready. */
static bool is_ready(void *object)
{
    mp_queue *q = object;
    _Atomic uint32_t *lock = &q->ring.put_lock.word;
    mp__deadline until = {0};
    while (!mp__queue_is_readable(q)) {
        for (int i = 0; i < 100 && mp__queue_is_being_put(q); i++)
            mp__pause();
        uint32_t word = mp__load_seq(lock);
        if (mp__robust_abandoned(word))
            return mp__queue_is_readable(q);
        if (until.ns == 0)
            until = mp__deadline_in_ns(MP__QUEUE_PUT_NS);
        else if (mp__deadline_passed(until) && !mp__robust_reclaim(lock))
            return true;
        mp__futex_wait(lock, word, until);
    }
    return true;
}

int mp_queue_fileno(mp_queue *q)
{
    if (!mp__queue_is(q))
        return MP_EINVAL;
    return mp__fileno_create(&(mp__fileno_source){&q->arrivals, is_ready, q, -1});
}
