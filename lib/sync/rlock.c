/* SPDX-License-Identifier: MIT */
/*
 * mp_rlock: a robust mutex (os/mutex.c tells why it survives deaths) and a depth.
 *
 * Only the owner reads or writes the depth. It is set after the mutex was taken from nobody or from
 * a dead owner, whatever it was, and it counts down to 1, never to 0: an owner that dies at any
 * moment leaves nothing to repair.
 */
#include "sync/rlock.h"

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>

#define RLOCK_MAGIC 0x726c636bu

_Static_assert(sizeof(mp__rlock) <= sizeof(mp_rlock), "mp_rlock has room for its body");
_Static_assert(_Alignof(mp__rlock) <= _Alignof(mp_rlock), "mp_rlock is aligned for its body");

mp__rlock *mp__rlock_of(const mp_rlock *lock)
{
    mp__rlock *body = (mp__rlock *)(void *)(uintptr_t)lock;
    if (lock == NULL || mp__load_relaxed(&body->magic) != RLOCK_MAGIC)
        return NULL;
    return body;
}

/* Ends the lock. A lock whose memory becomes free must not stay in this thread's robust list. */
static void end(mp__rlock *body)
{
    if (mp__mutex_is_mine(&body->mutex))
        mp__mutex_unlock(&body->mutex);
    mp__store_relaxed(&body->magic, 0);
}

int mp_rlock_init(mp_rlock *lock)
{
    if (lock == NULL || !mp__is_aligned(lock, _Alignof(mp_rlock)))
        return MP_EINVAL;
    int rc = mp_init();
    if (rc < 0)
        return rc;
    *lock = (mp_rlock){{0}};
    mp__store_release(&((mp__rlock *)(void *)lock)->magic, RLOCK_MAGIC);
    return 0;
}

int mp_rlock_fini(mp_rlock *lock)
{
    mp__rlock *body = mp__rlock_of(lock);
    if (body == NULL)
        return MP_EINVAL;
    end(body);
    return 0;
}

int mp_rlock_create(mp_rlock **out, const mp_rlock_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_rlock_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0)
        return rc;
    mp_rlock *lock = mp_shared_alloc(sizeof *lock);
    if (lock == NULL)
        return mp_shared_error();
    rc = mp_rlock_init(lock);
    if (rc < 0) {
        mp_shared_free(lock);
        return rc;
    }
    *out = lock;
    return 0;
}

void mp_rlock_free(mp_rlock *lock)
{
    mp__rlock *body = mp__rlock_of(lock);
    if (body == NULL)
        return;
    end(body);
    /* Held by another thread it is linked into that one's list, which nobody else can change: freed
     * it would be written to as a link. So it is given up instead. */
    if (mp__robust_abandoned(mp__load_relaxed(&body->mutex.word)))
        mp_shared_free(lock);
}

static int acquire_once_more(mp__rlock *body)
{
    if (body->depth == INT_MAX)
        return MP_EAGAIN;
    body->depth++;
    MP_STEP("rlock.acquire.deepened");
    return 0;
}

static int acquire_slowly(mp__rlock *body, mp__thread *self, double timeout)
{
    if (mp__mutex_is_mine(&body->mutex))
        return acquire_once_more(body);
    if (self->held >= MP__ROBUST_MOST)
        return MP_EAGAIN;
    mp__deadline until;
    mp__deadline_in(timeout, &until);
    int rc = mp__mutex_acquire(&body->mutex, until, timeout > 0);
    if (rc >= 0) {
        MP_STEP("rlock.acquire.late");
        body->depth = 1;
    }
    return rc;
}

int mp_rlock_acquire(mp_rlock *lock, double timeout)
{
    mp__rlock *body = mp__rlock_of(lock);
    if (body == NULL || timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__thread *self = mp__thread_self();
    if (__builtin_expect(self->held >= MP__ROBUST_MOST, 0) ||
        !mp__mutex_take_free(&body->mutex, self))
        return acquire_slowly(body, self, timeout);
    MP_STEP("rlock.acquire.taken");
    body->depth = 1;
    MP_STEP("rlock.acquire.counted");
    return 0;
}

int mp_rlock_release(mp_rlock *lock)
{
    mp__rlock *body = mp__rlock_of(lock);
    if (body == NULL)
        return MP_EINVAL;
    mp__thread *self = mp__thread_self();
    if ((mp__load_relaxed(&body->mutex.word) & MP__TID_MASK) != self->tid)
        return MP_EPERM;
    if (body->depth > 1) {
        body->depth--;
        MP_STEP("rlock.release.shallower");
        return 0;
    }
    mp__mutex_give_up(&body->mutex, self);
    MP_STEP("rlock.release.free");
    return 0;
}

int mp_rlock_depth(const mp_rlock *lock)
{
    const mp__rlock *body = mp__rlock_of(lock);
    if (body == NULL)
        return MP_EINVAL;
    return mp__mutex_is_mine(&body->mutex) ? body->depth : 0;
}
