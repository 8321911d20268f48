/* SPDX-License-Identifier: MIT */
/* mp_lock: a robust mutex (os/mutex.c tells why it survives deaths) with a mark that says it is
 * one. */
#include "sync/lock.h"

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"

#include <mproc/error.h>
#include <mproc/shared.h>

#define LOCK_MAGIC 0x6c6f636bu

typedef struct lock_body {
    mp__mutex mutex;
    _Atomic uint32_t magic;
} lock_body;

_Static_assert(sizeof(lock_body) <= sizeof(mp_lock), "mp_lock has room for its body");
_Static_assert(_Alignof(lock_body) <= _Alignof(mp_lock), "mp_lock is aligned for its body");

static lock_body *body_of(mp_lock *lock)
{
    lock_body *body = (lock_body *)(void *)lock;
    if (lock == NULL || mp__load_relaxed(&body->magic) != LOCK_MAGIC)
        return NULL;
    return body;
}

mp__mutex *mp__lock_mutex(mp_lock *lock)
{
    lock_body *body = body_of(lock);
    return body == NULL ? NULL : &body->mutex;
}

/* A lock whose memory becomes free must not stay in this thread's robust list. */
static void leave_list(lock_body *body)
{
    if (mp__mutex_is_mine(&body->mutex))
        mp__mutex_unlock(&body->mutex);
}

int mp_lock_init(mp_lock *lock)
{
    if (lock == NULL || !mp__is_aligned(lock, _Alignof(mp_lock)))
        return MP_EINVAL;
    int rc = mp_init();
    if (rc < 0)
        return rc;
    *lock = (mp_lock){{0}};
    mp__store_release(&((lock_body *)(void *)lock)->magic, LOCK_MAGIC);
    return 0;
}

int mp_lock_fini(mp_lock *lock)
{
    lock_body *body = body_of(lock);
    if (body == NULL)
        return MP_EINVAL;
    leave_list(body);
    mp__store_relaxed(&body->magic, 0);
    return 0;
}

int mp_lock_create(mp_lock **out, const mp_lock_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_lock_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0)
        return rc;
    mp_lock *lock = mp_shared_alloc(sizeof *lock);
    if (lock == NULL)
        return mp_shared_error();
    rc = mp_lock_init(lock);
    if (rc < 0) {
        mp_shared_free(lock);
        return rc;
    }
    *out = lock;
    return 0;
}

void mp_lock_free(mp_lock *lock)
{
    lock_body *body = body_of(lock);
    if (body == NULL)
        return;
    leave_list(body);
    mp__store_relaxed(&body->magic, 0);
    /* Held by another thread it is linked into that one's list, which nobody else can change: freed
     * it would be written to as a link. So it is given up instead. */
    if (mp__robust_abandoned(mp__load_relaxed(&body->mutex.word)))
        mp_shared_free(lock);
}

static int acquire_slowly(lock_body *body, mp__thread *self, double timeout)
{
    if (self->held >= MP__ROBUST_MOST)
        return mp__mutex_is_mine(&body->mutex) ? MP_EDEADLK : MP_EAGAIN;
    mp__deadline until;
    mp__deadline_in(timeout, &until);
    return mp__mutex_acquire(&body->mutex, until, timeout > 0);
}

int mp_lock_acquire(mp_lock *lock, double timeout)
{
    lock_body *body = body_of(lock);
    if (body == NULL || timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__thread *self = mp__thread_self();
    if (__builtin_expect(self->held < MP__ROBUST_MOST, 1) &&
        mp__mutex_take_free(&body->mutex, self))
        return 0;
    return acquire_slowly(body, self, timeout);
}

int mp_lock_release(mp_lock *lock)
{
    lock_body *body = body_of(lock);
    if (body == NULL)
        return MP_EINVAL;
    mp__thread *self = mp__thread_self();
    if ((mp__load_relaxed(&body->mutex.word) & MP__TID_MASK) != self->tid)
        return MP_EPERM;
    mp__mutex_give_up(&body->mutex, self);
    return 0;
}
