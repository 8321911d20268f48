/* SPDX-License-Identifier: MIT */
/*
 * mp_condition: a lock, and a queue of waiters (sync/waiters.c tells why that survives deaths).
 *
 * Why no notify is lost: a waiter is in the queue before it gives the lock up, and every notify is
 * made with the lock held; so it comes before the waiter's look at what the lock guards, or after
 * the waiter is there to be found. What became of a wait is decided under the lock, when it is
 * back: a notify that came before, however late, is what the wait returns.
 *
 * Who sleeps looks after 100 ms at the latest (MP__LOOK_AGAIN_NS) whether it was notified by one
 * who died before waking it, and whether a waiter died with a notify. In the latter case it takes
 * the lock to pass that on, like any other acquirer: if it is told then that the last owner died,
 * nobody else will be, so its wait ends with that.
 */
#include <mproc/condition.h>

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/step.h"
#include "sync/lock.h"
#include "sync/rlock.h"
#include "sync/waiters.h"
#include "sync/waitword.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define CONDITION_MAGIC 0x636f6e64u

/* How long a wait that may not wait leaves the lock to those who are there. */
#define LET_IN_NS (MP__NS_PER_MS / 10)

typedef struct condition_body {
    mp_rlock own;      /* unless another was given */
    mp__waiters queue; /* a cache line of its own: what follows is only read */
    _Atomic uint32_t magic;
    mp_lock *lock;   /* one of these; at the same address in every process */
    mp_rlock *rlock; /* may be &own */
} condition_body;

_Static_assert(sizeof(condition_body) <= sizeof(mp_condition) - 64, "mp_condition can grow");
_Static_assert(_Alignof(condition_body) <= _Alignof(mp_condition), "mp_condition is aligned");

static condition_body *body_of(mp_condition *condition)
{
    condition_body *body = (condition_body *)(void *)condition;
    if (condition == NULL || mp__load_acquire(&body->magic) != CONDITION_MAGIC)
        return NULL;
    return body;
}

/* NULL if the lock is none any more. */
static mp__mutex *mutex_of(const condition_body *body)
{
    if (body->lock != NULL)
        return mp__lock_mutex(body->lock);
    mp__rlock *rlock = mp__rlock_of(body->rlock);
    return rlock == NULL ? NULL : &rlock->mutex;
}

/* What one wait is about. */
typedef struct stay {
    condition_body *body;
    mp__mutex *mutex;
    mp__life *mine;
    mp__deadline until;
} stay;

/* Until the notifier has given the lock up, to acquire it would only be in its way. */
static bool may_go_on(void *arg)
{
    const stay *s = arg;
    return mp__waiters_is_notified(s->mine) &&
           mp__robust_abandoned(mp__load_relaxed(&s->mutex->word));
}

/* Without the lock. Returns 0: notified, or there is something to pass on; MP_ETIMEDOUT,
 * MP_EINTR. */
static int sleep_on(stay *s)
{
    if (mp__spin_until(may_go_on, s) || mp__waiters_is_notified(s->mine))
        return 0;
    for (;;) {
        if (mp__deadline_passed(s->until))
            return MP_ETIMEDOUT;
        mp__waiters_sleep(s->mine, mp__deadline_look_again(s->until));
        if (mp__waiters_is_notified(s->mine))
            return 0;
        if (mp__interrupted())
            return MP_EINTR;
        if (mp__waiters_unsettled(&s->body->queue))
            return 0;
    }
}

/* Gives the lock up and takes it back once. Returns what sleep_on() does, and in *told what taking
 * it back did. */
static int step_out(stay *s, int *told)
{
    bool others = (mp__load_relaxed(&s->mutex->word) & MP__WAITERS) != 0;
    uint32_t owed = mp__waiters_take_owed(&s->body->queue);
    mp__mutex_unlock(s->mutex);
    MP_STEP("condition.wait.released");
    mp__waiters_wake(owed);
    int rc = MP_ETIMEDOUT;
    if (s->until.ns != 0)
        rc = sleep_on(s);
    else if (others) /* or they would hardly ever get it from one who polls */
        mp__waiters_sleep(s->mine, mp__deadline_in_ns(LET_IN_NS));
    MP_STEP("condition.wait.woken");
    *told = mp__mutex_acquire(s->mutex, MP__NEVER, false);
    MP_STEP("condition.wait.back");
    return rc;
}

/* With the lock held. */
static int wait_until(condition_body *body, mp__mutex *mutex, mp__deadline until)
{
    if (until.ns != 0 && mp__interrupted())
        return MP_EINTR;
    stay s = {body, mutex, mp__life_mine(), until};
    if (s.mine == NULL)
        return MP_ENOMEM;
    mp__rlock *rlock = body->lock == NULL ? mp__rlock_of(body->rlock) : NULL;
    int depth = rlock != NULL ? rlock->depth : 0;
    mp__waiters_enter(&body->queue, s.mine);
    int rc, told;
    do {
        rc = step_out(&s, &told);
        if (rc == 0 && told == 0 && !mp__waiters_is_notified(s.mine))
            mp__waiters_settle(&body->queue);
    } while (rc == 0 && told == 0 && !mp__waiters_is_notified(s.mine));
    if (rlock != NULL)
        rlock->depth = depth;
    bool notified = mp__waiters_leave(&body->queue, s.mine);
    MP_STEP("condition.wait.left");
    if (rc == MP_EINTR && (notified || told == MP_OWNERDEAD))
        mp_interrupt(); /* for the next call */
    return told == MP_OWNERDEAD ? MP_OWNERDEAD : notified ? 0 : rc;
}

/* What wait, wait_for and notify begin with: 0 if the calling thread holds the lock. */
static int check(mp_condition *condition, condition_body **body, mp__mutex **mutex)
{
    *body = body_of(condition);
    *mutex = *body == NULL ? NULL : mutex_of(*body);
    if (*mutex == NULL)
        return MP_EINVAL;
    return mp__mutex_is_mine(*mutex) ? 0 : MP_EPERM;
}

int mp_condition_wait(mp_condition *condition, double timeout)
{
    condition_body *body;
    mp__mutex *mutex;
    mp__deadline until;
    int rc = check(condition, &body, &mutex);
    if (timeout != timeout)
        return MP_EINVAL;
    if (rc < 0)
        return rc;
    mp__deadline_in(timeout, &until);
    return wait_until(body, mutex, until);
}

int mp_condition_wait_for(mp_condition *condition, bool (*predicate)(void *arg), void *arg,
                          double timeout)
{
    condition_body *body;
    mp__mutex *mutex;
    mp__deadline until;
    int rc = check(condition, &body, &mutex);
    if (timeout != timeout || predicate == NULL)
        return MP_EINVAL;
    if (rc < 0)
        return rc;
    mp__deadline_in(timeout, &until);
    for (bool last = false; !predicate(arg); last = mp__deadline_passed(until)) {
        if (last)
            return MP_ETIMEDOUT;
        rc = wait_until(body, mutex, until);
        if (rc != 0 && rc != MP_ETIMEDOUT)
            return rc;
    }
    return 0;
}

int mp_condition_notify(mp_condition *condition, int n)
{
    condition_body *body;
    mp__mutex *mutex;
    int rc = check(condition, &body, &mutex);
    if (n < 1)
        return MP_EINVAL;
    return rc < 0 ? rc : mp__waiters_notify(&body->queue, n);
}

int mp_condition_notify_all(mp_condition *condition)
{
    return mp_condition_notify(condition, INT_MAX);
}

int mp_condition_acquire(mp_condition *condition, double timeout)
{
    const condition_body *body = body_of(condition);
    if (body == NULL)
        return MP_EINVAL;
    return body->lock != NULL ? mp_lock_acquire(body->lock, timeout)
                              : mp_rlock_acquire(body->rlock, timeout);
}

int mp_condition_release(mp_condition *condition)
{
    condition_body *body = body_of(condition);
    if (body == NULL)
        return MP_EINVAL;
    if (body->rlock != &body->own)
        return body->lock != NULL ? mp_lock_release(body->lock) : mp_rlock_release(body->rlock);
    uint32_t owed = 0;
    if (mp__load_relaxed(&body->queue.owed) != 0 && mp_rlock_depth(&body->own) == 1)
        owed = mp__waiters_take_owed(&body->queue);
    int rc = mp_rlock_release(&body->own);
    MP_STEP("condition.release.free");
    mp__waiters_wake(owed);
    return rc;
}

static int read_options(mp_condition_options *o, const mp_condition_options *options)
{
    int rc = mp__options_read(o, sizeof *o, options);
    if (rc < 0)
        return rc;
    if (o->lock != NULL && (o->rlock != NULL || mp__lock_mutex(o->lock) == NULL))
        return MP_EINVAL;
    return o->rlock != NULL && mp__rlock_of(o->rlock) == NULL ? MP_EINVAL : 0;
}

int mp_condition_init(mp_condition *condition, const mp_condition_options *options)
{
    mp_condition_options o;
    if (condition == NULL || !mp__is_aligned(condition, _Alignof(mp_condition)))
        return MP_EINVAL;
    int rc = read_options(&o, options);
    if (rc < 0)
        return rc;
    condition_body *body = (condition_body *)(void *)condition;
    memset(condition, 0, sizeof *condition);
    body->lock = o.lock;
    body->rlock = o.lock != NULL ? NULL : o.rlock != NULL ? o.rlock : &body->own;
    rc = body->rlock == &body->own ? mp_rlock_init(&body->own) : mp_init();
    if (rc < 0)
        return rc;
    /* Only a lock of its own is never given up but here. */
    mp__waiters_init(&body->queue, body->rlock == &body->own);
    mp__store_release(&body->magic, CONDITION_MAGIC); /* pairs with body_of() */
    return 0;
}

int mp_condition_fini(mp_condition *condition)
{
    condition_body *body = body_of(condition);
    if (body == NULL)
        return MP_EINVAL;
    mp__store_relaxed(&body->magic, 0);
    mp__waiters_fini(&body->queue);
    if (body->rlock == &body->own)
        mp_rlock_fini(&body->own);
    return 0;
}

int mp_condition_create(mp_condition **out, const mp_condition_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_condition_options o;
    int rc = read_options(&o, options);
    if (rc < 0)
        return rc;
    mp_condition *condition = mp_shared_alloc(sizeof *condition);
    if (condition == NULL)
        return mp_shared_error();
    rc = mp_condition_init(condition, options);
    if (rc < 0) {
        mp_shared_free(condition);
        return rc;
    }
    *out = condition;
    return 0;
}

void mp_condition_free(mp_condition *condition)
{
    if (mp_condition_fini(condition) < 0)
        return;
    /* Its own lock held by another thread: as in mp_rlock_free(). */
    const condition_body *body = (const condition_body *)(const void *)condition;
    const mp__rlock *own = (const mp__rlock *)(const void *)&body->own;
    if (mp__robust_abandoned(mp__load_relaxed(&own->mutex.word)))
        mp_shared_free(condition);
}
