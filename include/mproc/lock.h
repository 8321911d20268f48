/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/lock.h
 * @brief The lock, which passes on when its owner dies.
 */
#ifndef MPROC_LOCK_H
#define MPROC_LOCK_H

#include <mproc/defs.h>

/** @defgroup lock Lock
 *  @brief Mutual exclusion between processes and threads. Python: Lock.
 *
 *  Made by mp_lock_create() in shared memory, or by mp_lock_init() inside the program's own shared
 *  structure. It is owned by a thread: only the owner may release it, and a forked child owns
 *  nothing.
 *
 *  **When the owner dies** (its process, or only its thread) the next to acquire gets the lock and
 *  is told so once, by #MP_OWNERDEAD. A stopped owner (SIGSTOP) keeps others waiting.
 *
 *  See @ref guide_lock "the chapter".
 *  @{ */

/** A lock. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_lock {
    uint64_t opaque[8]; /**< Private, with room to grow. */
} mp_lock;

/** Options of mp_lock_create(). */
typedef struct mp_lock_options {
    size_t size; /**< sizeof(mp_lock_options); mp_lock_new() sets it. */
} mp_lock_options;

MP_BEGIN_DECLS

/**
 * Makes a lock in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Lock().
 *
 * @param[out] out the new lock, NULL on failure; owed to mp_lock_free() by one process
 * @param options NULL, or see #mp_lock_options
 * @return 0; #MP_EINVAL: out is NULL, unknown options; #MP_ENOMEM; or a code of mp_init()
 */
MP_API int mp_lock_create(mp_lock **out, const mp_lock_options *options);

/** mp_lock_create() with keywords: `mp_lock_new(&lock)`. */
#define mp_lock_new(...) MP_I_NEW(mp_lock, __VA_ARGS__)

/** Frees a lock of mp_lock_create(), for all processes, also while it is held: nobody may use it
 *  any more. If another thread than the caller holds it, its memory is given up, not reused.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param lock a lock, or NULL */
MP_API void mp_lock_free(mp_lock *lock);

/**
 * Makes a lock inside a structure of the program's that lies in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param lock where it shall be, aligned to 16 bytes; not a lock in use
 * @return 0; #MP_EINVAL: NULL or badly aligned; or a code of mp_init()
 */
MP_API int mp_lock_init(mp_lock *lock);

/** Ends a lock of mp_lock_init(). Nobody may use it any more; later calls are #MP_EINVAL. Its
 *  memory must stay as it is while another thread holds it.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param lock a lock
 *  @return 0; #MP_EINVAL: NULL, or no lock */
MP_API int mp_lock_fini(mp_lock *lock);

/**
 * Acquires the lock.
 *
 * A thread holds at most 1024 locks at a time. Thread-safe; not async-signal-safe; usable after a
 * plain fork(). Python: acquire(block, timeout).
 *
 * @param lock a lock
 * @param timeout seconds
 * @return 0; #MP_OWNERDEAD (a success): the last owner died holding it, what it guards may be
 *         half-changed; #MP_ETIMEDOUT; #MP_EDEADLK: the calling thread holds it, at every timeout;
 *         #MP_EAGAIN: the calling thread holds 1024; #MP_EINVAL: no lock, timeout is NaN; #MP_EINTR
 */
MP_API int mp_lock_acquire(mp_lock *lock, double timeout);

/**
 * Releases the lock.
 *
 * Thread-safe; not async-signal-safe. Python: release().
 *
 * @param lock a lock that the calling thread holds
 * @return 0; #MP_EPERM: it does not hold it; #MP_EINVAL: no lock
 */
MP_API int mp_lock_release(mp_lock *lock);

MP_END_DECLS

/** @} */

#endif
