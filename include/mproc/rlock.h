/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/rlock.h
 * @brief The recursive lock: its owner may acquire it again.
 */
#ifndef MPROC_RLOCK_H
#define MPROC_RLOCK_H

#include <mproc/defs.h>

/** @defgroup rlock RLock
 *  @brief Mutual exclusion for functions that call each other. Python: RLock.
 *
 *  An mp_lock that its owner may acquire again; it is free when it has been released as often as it
 *  was acquired. Made by mp_rlock_create() in shared memory, or by mp_rlock_init() inside the
 *  program's own shared structure. It is owned by a thread: only the owner may release it, and a
 *  forked child owns nothing.
 *
 *  **When the owner dies** (its process, or only its thread) the next to acquire gets the lock, at
 *  depth 1 however deep it was, and is told so once, by #MP_OWNERDEAD. A stopped owner (SIGSTOP)
 *  keeps others waiting.
 *
 *  See @ref guide_rlock "the chapter".
 *  @{ */

/** A recursive lock. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_rlock {
    uint64_t opaque[8]; /**< Private, with room to grow. */
} mp_rlock;

/** Options of mp_rlock_create(). */
typedef struct mp_rlock_options {
    size_t size; /**< sizeof(mp_rlock_options); mp_rlock_new() sets it. */
} mp_rlock_options;

MP_BEGIN_DECLS

/**
 * Makes a recursive lock in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: RLock().
 *
 * @param[out] out the new lock, NULL on failure; owed to mp_rlock_free() by one process
 * @param options NULL, or see #mp_rlock_options
 * @return 0; #MP_EINVAL: out is NULL, unknown options; #MP_ENOMEM; or a code of mp_init()
 */
MP_API int mp_rlock_create(mp_rlock **out, const mp_rlock_options *options);

/** mp_rlock_create() with keywords: `mp_rlock_new(&lock)`. */
#define mp_rlock_new(...) MP_I_NEW(mp_rlock, __VA_ARGS__)

/** Frees a lock of mp_rlock_create(), for all processes, also while it is held: nobody may use it
 *  any more. If another thread than the caller holds it, its memory is given up, not reused.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param lock a lock, or NULL */
MP_API void mp_rlock_free(mp_rlock *lock);

/**
 * Makes a recursive lock inside a structure of the program's that lies in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param lock where it shall be, aligned to 16 bytes; not a lock in use
 * @return 0; #MP_EINVAL: NULL or badly aligned; or a code of mp_init()
 */
MP_API int mp_rlock_init(mp_rlock *lock);

/** Ends a lock of mp_rlock_init(). Nobody may use it any more; later calls are #MP_EINVAL. Its
 *  memory must stay as it is while another thread holds it.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param lock a lock
 *  @return 0; #MP_EINVAL: NULL, or no lock */
MP_API int mp_rlock_fini(mp_rlock *lock);

/**
 * Acquires the lock, or acquires it once more.
 *
 * A thread holds at most 1024 locks at a time, each at most INT_MAX deep. Thread-safe; not
 * async-signal-safe; usable after a plain fork(). Python: acquire(block, timeout).
 *
 * @param lock a lock
 * @param timeout seconds
 * @return 0; #MP_OWNERDEAD (a success): the last owner died holding it, what it guards may be
 *         half-changed; #MP_ETIMEDOUT; #MP_EAGAIN: the calling thread holds 1024 others, or this
 *         one INT_MAX deep; #MP_EINVAL: no lock, timeout is NaN; #MP_EINTR
 */
MP_API int mp_rlock_acquire(mp_rlock *lock, double timeout);

/**
 * Releases the lock once.
 *
 * Thread-safe; not async-signal-safe. Python: release().
 *
 * @param lock a lock that the calling thread holds
 * @return 0; #MP_EPERM: it does not hold it; #MP_EINVAL: no lock
 */
MP_API int mp_rlock_release(mp_rlock *lock);

/** How often the calling thread holds the lock. Thread-safe; not async-signal-safe; usable after a
 *  plain fork(), then 0. Python: _semlock._count().
 *  @param lock a lock
 *  @return the depth, 0 if the thread does not hold it; #MP_EINVAL: no lock */
MP_API int mp_rlock_depth(const mp_rlock *lock);

MP_END_DECLS

/** @} */

#endif
