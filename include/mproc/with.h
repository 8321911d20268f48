/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/with.h
 * @brief MP_WITH: holds a lock for one block of code.
 */
#ifndef MPROC_WITH_H
#define MPROC_WITH_H

#include <mproc/lock.h>

/** @cond internal: what MP_WITH is made of: a guard whose cleanup attribute releases at every way
 * out of the block that the compiler knows, in a loop that runs the block at most once. */
typedef struct mp_i_guard {
    void *object;
    void (*release)(void *object);
} mp_i_guard;

static inline void mp_i_leave(mp_i_guard *guard)
{
    if (guard->object != NULL)
        guard->release(guard->object);
    guard->object = NULL;
}

static inline void mp_i_release_lock(void *lock)
{
    mp_lock_release((mp_lock *)lock);
}

static inline mp_i_guard mp_i_enter_lock(mp_lock *lock, int *status)
{
    int rc = mp_lock_acquire(lock, MP_FOREVER);
    mp_i_guard guard = {rc >= 0 ? lock : NULL, mp_i_release_lock};
    if (status != NULL)
        *status = rc;
    return guard;
}

#define MP_I_WITH(what, status, guard)                                                             \
    for (mp_i_guard guard __attribute__((cleanup(mp_i_leave))) = mp_i_enter_lock(what, status);    \
         guard.object != NULL; mp_i_leave(&guard))
/** @endcond */

/** @addtogroup lock
 *  @{ */

/**
 * Holds a lock for the block that follows; Python's `with lock:`.
 *
 * `MP_WITH(lock) { ... }` acquires without limit and releases at the end of the block, at return
 * and at goto. If acquiring fails (#MP_EDEADLK, #MP_EINTR, ...) the block is skipped. `break` and
 * `continue` leave this block, not a loop around it; exit, longjmp and thread cancellation do not
 * release.
 */
#define MP_WITH(object) MP_I_WITH(object, NULL, MP_I_CAT(mp_i_guard_, __LINE__))

/**
 * MP_WITH() that tells what acquiring returned: 0, #MP_OWNERDEAD, or the code of a failure.
 *
 * @param object the lock
 * @param rc an int variable, set before the block runs or is skipped
 */
#define MP_WITH_STATUS(object, rc) MP_I_WITH(object, &(rc), MP_I_CAT(mp_i_guard_, __LINE__))

/** @} */

#endif
