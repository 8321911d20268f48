/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/condition.h
 * @brief The condition: waits until another process says that something has changed.
 */
#ifndef MPROC_CONDITION_H
#define MPROC_CONDITION_H

#include <mproc/defs.h>
#include <mproc/lock.h>
#include <mproc/rlock.h>

/** @defgroup condition Condition
 *  @brief A lock, and a queue of those who wait for a change of what it guards. Python: Condition.
 *
 *  Made by mp_condition_create() in shared memory, or by mp_condition_init() inside the program's
 *  own structure in the family's shared memory. It goes with a lock: one of its own, which is
 *  recursive, or an mp_lock or mp_rlock of the program's, which several conditions may share.
 *
 *  A wait gives the lock up, at all its levels, sleeps until it is notified, and takes the lock
 *  back at the same depth. There are no spurious wake-ups: a wait that returns 0 was notified. A
 *  notify wakes those who have waited longest; it concerns those who wait at that moment, so
 *  without waiters it does nothing, and is not remembered.
 *
 *  **Deaths and stops.** No notify waits for anybody it wakes: a stopped (SIGSTOP) or dead waiter
 *  blocks nobody. A waiter that dies is counted out. If it was notified and dies before it has
 *  the lock back, its notify passes on to another of those who waited (at once if somebody
 *  notifies, else within 100 ms). If a process dies holding the lock, or only the thread that
 *  holds it ends, the next who gets it, also a waiter that takes it back, is told by
 *  #MP_OWNERDEAD; the condition itself stays whole.
 *
 *  See @ref guide_condition "the chapter".
 *  @{ */

/** A condition. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_condition {
    uint64_t opaque[32]; /**< Private, with room to grow. */
} mp_condition;

/** Options of mp_condition_create() and mp_condition_init(). */
typedef struct mp_condition_options {
    size_t size;     /**< sizeof(mp_condition_options); mp_condition_new() sets it. */
    mp_lock *lock;   /**< The lock it goes with, which must live as long as the condition; ... */
    mp_rlock *rlock; /**< ... or this one; neither given: a recursive lock of its own. */
} mp_condition_options;

MP_BEGIN_DECLS

/**
 * Makes a condition in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Condition(lock).
 *
 * @param[out] out the new condition, NULL on failure; owed to mp_condition_free() by one process
 * @param options NULL, or see #mp_condition_options
 * @return 0; #MP_EINVAL: out is NULL, lock and rlock both given, one that is no lock, unknown
 *         options; #MP_ENOMEM; or a code of mp_init()
 */
MP_API int mp_condition_create(mp_condition **out, const mp_condition_options *options);

/** mp_condition_create() with keywords: `mp_condition_new(&c, .lock = l)`. */
#define mp_condition_new(...) MP_I_NEW(mp_condition, __VA_ARGS__)

/** Frees a condition of mp_condition_create(), for all processes: nobody may use it any more. A
 *  lock that was given to it lives on; if another thread than the caller holds its own, its memory
 *  is given up, not reused.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param condition a condition, or NULL */
MP_API void mp_condition_free(mp_condition *condition);

/**
 * Makes a condition inside a structure of the program's that lies in the family's shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param condition where it shall be, aligned to 16 bytes; not a condition in use
 * @param options as in mp_condition_create()
 * @return as mp_condition_create(); #MP_EINVAL also if condition is NULL or badly aligned
 */
MP_API int mp_condition_init(mp_condition *condition, const mp_condition_options *options);

/** Ends a condition of mp_condition_init(). Nobody may use it any more; later calls are #MP_EINVAL.
 *  Its memory must stay as it is while another thread holds its own lock.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param condition a condition
 *  @return 0; #MP_EINVAL: NULL, or no condition */
MP_API int mp_condition_fini(mp_condition *condition);

/**
 * Acquires the condition's lock.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: acquire().
 *
 * @param condition a condition
 * @param timeout seconds
 * @return as mp_rlock_acquire(), or over an mp_lock as mp_lock_acquire(); #MP_EINVAL: no condition
 */
MP_API int mp_condition_acquire(mp_condition *condition, double timeout);

/** Releases the condition's lock once. Thread-safe; not async-signal-safe. Python: release().
 *  @param condition a condition
 *  @return 0; #MP_EPERM: the calling thread does not hold it; #MP_EINVAL: no condition */
MP_API int mp_condition_release(mp_condition *condition);

/**
 * Gives the lock up, waits until notified, and takes the lock back.
 *
 * However it ends, the calling thread holds the lock again, as deep as before; to take it back may
 * last longer than the timeout. One who was notified is told so also if the deadline has passed
 * since. With a timeout <= 0 others can have the lock in between, nothing more is waited for.
 *
 * An mp_interrupt() that comes together with a notify stays pending for the next call.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(), with locks that the child
 * acquired itself. Python: wait(timeout).
 *
 * @param condition a condition whose lock the calling thread holds
 * @param timeout seconds
 * @return 0: notified; #MP_OWNERDEAD (a success), whatever else happened: the last owner of the
 *         lock died holding it, what it guards may be half-changed; #MP_ETIMEDOUT; #MP_EPERM: the
 *         calling thread does not hold the lock; #MP_EINVAL: no condition, timeout is NaN;
 *         #MP_ENOMEM: no memory for this thread's first wait; #MP_EINTR
 */
MP_API int mp_condition_wait(mp_condition *condition, double timeout);

/**
 * Waits until a predicate holds: asks it, and waits and asks again as long as it says no.
 *
 * The predicate is called with the lock held, and asked once more at the deadline.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(), with locks that the child
 * acquired itself. Python: wait_for(predicate, timeout).
 *
 * @param condition a condition whose lock the calling thread holds
 * @param predicate whether what is waited for has happened
 * @param arg its argument
 * @param timeout seconds for all waits together
 * @return 0: the predicate holds; else as mp_condition_wait(), #MP_EINVAL also if predicate is
 *         NULL; at #MP_OWNERDEAD and #MP_EINTR it was not asked again
 */
MP_API int mp_condition_wait_for(mp_condition *condition, bool (*predicate)(void *arg), void *arg,
                                 double timeout);

/**
 * Wakes the n that have waited longest, or all if there are fewer. They return when they have got
 * the lock, which the caller still holds.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(), with locks that the child
 * acquired itself. Python: notify(n).
 *
 * @param condition a condition whose lock the calling thread holds
 * @param n how many, at least 1
 * @return how many there were: min(n, waiters); #MP_EPERM: the calling thread does not hold the
 *         lock; #MP_EINVAL: no condition, n < 1
 */
MP_API int mp_condition_notify(mp_condition *condition, int n);

/** Wakes all who wait for the condition. Thread-safe; not async-signal-safe. Python: notify_all().
 *  @param condition a condition whose lock the calling thread holds
 *  @return how many there were; else as mp_condition_notify() */
MP_API int mp_condition_notify_all(mp_condition *condition);

MP_END_DECLS

/** @} */

#endif
