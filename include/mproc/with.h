/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/with.h
 * @brief MP_WITH: holds a lock, a condition or a permit for one block of code.
 */
#ifndef MPROC_WITH_H
#define MPROC_WITH_H

#include <mproc/condition.h>
#include <mproc/lock.h>
#include <mproc/rlock.h>
#include <mproc/semaphore.h>

/** @cond internal: what MP_WITH is made of: a guard whose cleanup attribute releases at every way
 * out of the block that the compiler knows, in a loop that runs the block at most once. */
#ifdef __cplusplus
#define MP_I_NULL           nullptr
#define MP_I_TO(type, what) static_cast<type>(what)
#else
#define MP_I_NULL           NULL
#define MP_I_TO(type, what) ((type)(what))
#endif

typedef struct mp_i_guard {
    void *object;
    void (*release)(void *object);
} mp_i_guard;

static inline void mp_i_leave(mp_i_guard *guard)
{
    if (guard->object != MP_I_NULL)
        guard->release(guard->object);
    guard->object = MP_I_NULL;
}

static inline mp_i_guard mp_i_entered(void *object, void (*release)(void *), int rc, int *status)
{
    mp_i_guard guard = {rc >= 0 ? object : MP_I_NULL, release};
    if (status != MP_I_NULL)
        *status = rc;
    return guard;
}

static inline void mp_i_release_lock(void *lock)
{
    mp_lock_release(MP_I_TO(mp_lock *, lock));
}

static inline mp_i_guard mp_i_enter_lock(mp_lock *lock, int *status)
{
    return mp_i_entered(lock, mp_i_release_lock, mp_lock_acquire(lock, MP_FOREVER), status);
}

static inline void mp_i_release_rlock(void *lock)
{
    mp_rlock_release(MP_I_TO(mp_rlock *, lock));
}

static inline mp_i_guard mp_i_enter_rlock(mp_rlock *lock, int *status)
{
    return mp_i_entered(lock, mp_i_release_rlock, mp_rlock_acquire(lock, MP_FOREVER), status);
}

static inline void mp_i_release_condition(void *condition)
{
    mp_condition_release(MP_I_TO(mp_condition *, condition));
}

static inline mp_i_guard mp_i_enter_condition(mp_condition *condition, int *status)
{
    return mp_i_entered(condition, mp_i_release_condition,
                        mp_condition_acquire(condition, MP_FOREVER), status);
}

static inline void mp_i_release_semaphore(void *semaphore)
{
    mp_semaphore_release(MP_I_TO(mp_semaphore *, semaphore), 1);
}

static inline mp_i_guard mp_i_enter_semaphore(mp_semaphore *semaphore, int *status)
{
    return mp_i_entered(semaphore, mp_i_release_semaphore,
                        mp_semaphore_acquire(semaphore, MP_FOREVER), status);
}

#ifdef __cplusplus
static inline mp_i_guard mp_i_enter(mp_lock *object, int *status)
{
    return mp_i_enter_lock(object, status);
}

static inline mp_i_guard mp_i_enter(mp_rlock *object, int *status)
{
    return mp_i_enter_rlock(object, status);
}

static inline mp_i_guard mp_i_enter(mp_condition *object, int *status)
{
    return mp_i_enter_condition(object, status);
}

static inline mp_i_guard mp_i_enter(mp_semaphore *object, int *status)
{
    return mp_i_enter_semaphore(object, status);
}

#define MP_I_ENTER(object) mp_i_enter
#else
/* clang-format off */
#define MP_I_ENTER(object)                                                                         \
    _Generic((object),                                                                             \
        mp_lock *: mp_i_enter_lock,                                                                \
        mp_rlock *: mp_i_enter_rlock,                                                              \
        mp_condition *: mp_i_enter_condition,                                                      \
        mp_semaphore *: mp_i_enter_semaphore)
/* clang-format on */
#endif

#define MP_I_WITH(what, status, guard)                                                             \
    for (mp_i_guard guard __attribute__((cleanup(mp_i_leave))) = MP_I_ENTER(what)(what, status);   \
         guard.object != MP_I_NULL; mp_i_leave(&guard))
/** @endcond */

/** @addtogroup lock
 *  @{ */

/**
 * Holds a lock or a permit for the block of code that follows.
 *
 * That is an mp_lock, an mp_rlock, the lock of an mp_condition, or one permit of an mp_semaphore;
 * anything else is an error of the compiler's.
 *
 * `MP_WITH(lock) { ... }` acquires without limit and releases at the end of the block, at return
 * and at goto. If acquiring fails (#MP_EDEADLK, #MP_EINTR, ...) the block is skipped. That an owner
 * has died (#MP_OWNERDEAD) goes unseen, though it is told only once: MP_WITH_STATUS() tells it.
 * `break` and `continue` leave this block, not a loop around it; exit, longjmp and thread
 * cancellation do not release.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: `with lock:`.
 *
 * @param object a mp_lock *, mp_rlock *, mp_condition * or mp_semaphore *
 */
#define MP_WITH(object) MP_I_WITH(object, MP_I_NULL, MP_I_CAT(mp_i_guard_, __LINE__))

/**
 * MP_WITH() that tells what acquiring returned: 0, #MP_OWNERDEAD, or the code of a failure.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param object a mp_lock *, mp_rlock *, mp_condition * or mp_semaphore *
 * @param rc an int variable, set before the block runs or is skipped
 */
#define MP_WITH_STATUS(object, rc) MP_I_WITH(object, &(rc), MP_I_CAT(mp_i_guard_, __LINE__))

/** @} */

#endif
