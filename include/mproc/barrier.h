/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/barrier.h
 * @brief The barrier: so many must arrive before any may go on.
 */
#ifndef MPROC_BARRIER_H
#define MPROC_BARRIER_H

#include <mproc/defs.h>

/** @defgroup barrier Barrier
 *  @brief A meeting point for a fixed number of processes or threads. Python: Barrier.
 *
 *  It is cyclic: when all have gone on it can be used again. Made by mp_barrier_create() in shared
 *  memory, or by mp_barrier_init() inside the program's own shared structure.
 *
 *  **When a party dies** (its process, or its thread) after it has arrived, the barrier breaks for
 *  the others at once: they get #MP_EBROKEN. When several die together, or where the kernel is
 *  older than Linux 6.2, it can take 100 ms. A party that dies before it arrives is not noticed:
 *  use a timeout.
 *
 *  There is no internal lock. A party that is stopped (SIGSTOP) has arrived or has not; if it has,
 *  the others go on without it. Its place is kept until it goes on, too: the next round, or the one
 *  after that, waits for it.
 *
 *  See @ref guide_barrier "the chapter".
 *  @{ */

/** A barrier. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_barrier {
    uint64_t opaque[32]; /**< Private, with room to grow. */
} mp_barrier;

/** Options of mp_barrier_create() and mp_barrier_init(). */
typedef struct mp_barrier_options {
    size_t size;           /**< sizeof(mp_barrier_options); mp_barrier_new() sets it. */
    int (*action)(void *); /**< Called in the last to arrive, before anyone goes on; a result < 0
                                breaks the barrier, for its caller, too. The others' deadlines run
                                on meanwhile: one that passes breaks the barrier. It must be the
                                same code in every process. */
    void *action_arg;      /**< Its argument. */
    double timeout;        /**< For waits with #MP_DEFAULT_TIMEOUT, in seconds; not given: none. */
} mp_barrier_options;

MP_BEGIN_DECLS

/**
 * Makes a barrier in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Barrier().
 *
 * @param[out] out the new barrier, NULL on failure; owed to mp_barrier_free() by one process
 * @param parties how many must arrive, at least 1; above 2 they take 16 bytes of shared memory each
 * @param options see #mp_barrier_options, or NULL
 * @return 0; #MP_EINVAL: out is NULL, parties < 1, a NaN or negative timeout, an action_arg without
 *         action, unknown options; #MP_ENOMEM; or a code of mp_init()
 */
MP_API int mp_barrier_create(mp_barrier **out, int parties, const mp_barrier_options *options);

/** mp_barrier_create() with keywords: `mp_barrier_new(&b, 3, .timeout = 5)`. */
#define mp_barrier_new(...) MP_I_NEW2(mp_barrier, __VA_ARGS__)

/** Frees a barrier of mp_barrier_create(), for all processes: nobody may use it any more.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param barrier a barrier, or NULL */
MP_API void mp_barrier_free(mp_barrier *barrier);

/**
 * Makes a barrier inside a structure of the program's that lies in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param barrier where it shall be, aligned to 16 bytes; not a barrier in use
 * @param parties as in mp_barrier_create()
 * @param options as in mp_barrier_create()
 * @return as mp_barrier_create(); #MP_EINVAL also if barrier is badly aligned
 */
MP_API int mp_barrier_init(mp_barrier *barrier, int parties, const mp_barrier_options *options);

/** Ends a barrier of mp_barrier_init(). Nobody may use it any more; later calls are #MP_EINVAL.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param barrier a barrier
 *  @return 0; #MP_EINVAL: NULL, or no barrier */
MP_API int mp_barrier_fini(mp_barrier *barrier);

/**
 * Arrives at the barrier, and waits until all parties have.
 *
 * A wait that ends by its timeout breaks the barrier for all, as in Python; so does a try that is
 * not the last to arrive, and a wait that mp_interrupt() ends after the arrival.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: wait().
 *
 * @param barrier a barrier
 * @param timeout seconds; #MP_DEFAULT_TIMEOUT: the barrier's own
 * @return the order of arrival, 0 to parties - 1, another for each party; #MP_EBROKEN: broken, by
 *         abort, reset, timeout, a failed action or a death; #MP_EINVAL: no barrier, timeout is
 *         NaN; #MP_EINTR; #MP_ENOMEM: no shared memory for the thread's first wait, or a million
 *         threads wait in the family
 */
MP_API int mp_barrier_wait(mp_barrier *barrier, double timeout);

/**
 * Breaks the barrier until it is reset: who waits, and who comes later, gets #MP_EBROKEN.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: abort().
 *
 * @param barrier a barrier
 * @return 0; #MP_EINVAL: no barrier
 */
MP_API int mp_barrier_abort(mp_barrier *barrier);

/**
 * Makes the barrier whole again. Who waits at the moment gets #MP_EBROKEN.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: reset().
 *
 * @param barrier a barrier
 * @return 0; #MP_EINVAL: no barrier
 */
MP_API int mp_barrier_reset(mp_barrier *barrier);

/** How many parties must arrive. Thread-safe; not async-signal-safe. Python: parties.
 *  @param barrier a barrier
 *  @return the number; #MP_EINVAL: no barrier */
MP_API int mp_barrier_parties(const mp_barrier *barrier);

/** How many parties have arrived and wait; may be stale at once. Thread-safe; not
 *  async-signal-safe. Python: n_waiting.
 *  @param barrier a barrier
 *  @return the number; #MP_EINVAL: no barrier */
MP_API int mp_barrier_waiting(const mp_barrier *barrier);

/** Whether the barrier is broken. Thread-safe; not async-signal-safe. Python: broken.
 *  @param barrier a barrier
 *  @return true if broken; false for what is no barrier */
MP_API bool mp_barrier_broken(const mp_barrier *barrier);

MP_END_DECLS

/** @} */

#endif
