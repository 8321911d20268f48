/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/semaphore.h
 * @brief The semaphore: a number of permits, plain, bounded, or owned by processes.
 */
#ifndef MPROC_SEMAPHORE_H
#define MPROC_SEMAPHORE_H

#include <mproc/defs.h>

/** @defgroup semaphore Semaphore
 *  @brief Permits that are acquired one by one and released. Python: Semaphore, BoundedSemaphore.
 *
 *  Made by mp_semaphore_create() in shared memory, or by mp_semaphore_init() inside the program's
 *  own shared structure. There are two kinds:
 *
 *  A **plain** semaphore is a counter, as in Python: any thread of any process releases, also what
 *  another has acquired. With `.bound` it never counts beyond that number; `.bound = value` makes a
 *  BoundedSemaphore. (Python's BoundedSemaphore(0), which nobody ever acquires or releases, is an
 *  owned semaphore of value 0: a bound of 0 means "not given".) A semaphore of value 1 serves who
 *  wants a lock that anybody may release.
 *
 *  An **owned** semaphore (`.owned = MP_YES`) knows which process holds how many permits. Any
 *  thread of that process may release them; nobody else may, and a forked child owns nothing of
 *  its parent's.
 *
 *  **When a process dies** that holds permits of an owned semaphore, they are free again; who waits
 *  gets them at once (on Linux before 5.16, and of more than 126 holders, within 100 ms). A thread
 *  that ends gives nothing back while its process lives, nor does a process that calls execve until
 *  it ends. From a plain semaphore nothing comes back: who died holding a permit and who handed it
 *  on are the same to a counter. Of either kind, a release that dies before it has woken anybody is
 *  noticed within 100 ms, and a waiter that is dead or stopped (SIGSTOP) takes nothing along. A
 *  process that is stopped within the few instructions in which it holds an owned semaphore's
 *  internal lock delays the others until it goes on or their deadlines pass.
 *
 *  Waiters are not served in the order of their arrival.
 *
 *  See @ref guide_semaphore "the chapter".
 *  @{ */

/** A semaphore. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_semaphore {
    uint64_t opaque[16]; /**< Private, with room to grow. */
} mp_semaphore;

/** Options of mp_semaphore_create() and mp_semaphore_init(). */
typedef struct mp_semaphore_options {
    size_t size; /**< sizeof(mp_semaphore_options); mp_semaphore_new() sets it. */
    int bound;   /**< The value that no release may exceed; not given: INT_MAX. */
    int owned;   /**< #MP_YES: permits belong to the acquiring process. Its value never exceeds the
                      initial one, whatever the bound. */
} mp_semaphore_options;

MP_BEGIN_DECLS

/**
 * Makes a semaphore in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 * Python: Semaphore(value), BoundedSemaphore(value).
 *
 * @param[out] out the new semaphore, NULL on failure; owed to mp_semaphore_free() by one process
 * @param value how many permits are free at first, at least 0
 * @param options see #mp_semaphore_options, or NULL
 * @return 0; #MP_EINVAL: out is NULL, value < 0, a bound below value, unknown options; #MP_ENOMEM;
 *         or a code of mp_init()
 */
MP_API int mp_semaphore_create(mp_semaphore **out, int value, const mp_semaphore_options *options);

/** mp_semaphore_create() with keywords: `mp_semaphore_new(&s, 3, .bound = 3)`. */
#define mp_semaphore_new(...) MP_I_NEW2(mp_semaphore, __VA_ARGS__)

/** Frees a semaphore of mp_semaphore_create(), for all processes: nobody may use it any more.
 *  Who has acquired what a plain semaphore's release gave out may do it at once.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param semaphore a semaphore, or NULL */
MP_API void mp_semaphore_free(mp_semaphore *semaphore);

/**
 * Makes a semaphore inside a structure of the program's that lies in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param semaphore where it shall be, aligned to 16 bytes; not a semaphore in use
 * @param value as in mp_semaphore_create()
 * @param options as in mp_semaphore_create()
 * @return as mp_semaphore_create(); #MP_EINVAL also if semaphore is badly aligned
 */
MP_API int mp_semaphore_init(mp_semaphore *semaphore, int value,
                             const mp_semaphore_options *options);

/** Ends a semaphore of mp_semaphore_init(). Nobody may use it any more; later calls are
 *  #MP_EINVAL. Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param semaphore a semaphore
 *  @return 0; #MP_EINVAL: NULL, or no semaphore */
MP_API int mp_semaphore_fini(mp_semaphore *semaphore);

/**
 * Acquires one permit.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: acquire(block, timeout).
 *
 * @param semaphore a semaphore
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT; #MP_EINVAL: no semaphore, timeout is NaN; #MP_EINTR; #MP_EAGAIN: an
 *         owned semaphore, a try, and its internal lock was busy; #MP_ENOMEM: an owned semaphore,
 *         no memory for what the thread's first call, or one holder more, needs
 */
MP_API int mp_semaphore_acquire(mp_semaphore *semaphore, double timeout);

/**
 * Releases n permits, all or none.
 *
 * Thread-safe; not async-signal-safe, but of a plain semaphore it is; usable after a plain fork().
 * Python: release(n).
 *
 * @param semaphore a semaphore
 * @param n how many, at least 1
 * @return 0; #MP_ESTATE: the value would exceed the bound, or INT_MAX; #MP_EPERM: the semaphore is
 *         owned, and the calling process holds fewer; #MP_EINVAL: no semaphore, n < 1;
 *         #MP_ENOMEM: an owned semaphore, no memory for what the thread's first call needs
 */
MP_API int mp_semaphore_release(mp_semaphore *semaphore, int n);

/** How many permits are free; may be stale at once. Of an owned semaphore, those that dead
 *  processes held are. Thread-safe; not async-signal-safe; usable after a plain fork().
 *  Python: get_value().
 *  @param semaphore a semaphore
 *  @return the number; #MP_EINVAL: no semaphore */
MP_API int mp_semaphore_value(const mp_semaphore *semaphore);

MP_END_DECLS

/** @} */

#endif
