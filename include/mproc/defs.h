/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/defs.h
 * @brief What every header needs: linkage, time, and the keyword constructors.
 */
#ifndef MPROC_DEFS_H
#define MPROC_DEFS_H

#if !defined(__linux__) || !defined(__LP64__)
#error "libmproc is for 64-bit Linux"
#endif

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** @cond internal */
#ifdef __cplusplus
#define MP_BEGIN_DECLS extern "C" {
#define MP_END_DECLS   }
#else
#define MP_BEGIN_DECLS
#define MP_END_DECLS
#endif
/** @endcond */

/** Marks a function that the shared library exports. */
#define MP_API __attribute__((visibility("default")))

/** @defgroup conventions Conventions
 *  @brief Results, time, options, signals: what holds for every object.
 *
 *  - A function returns an `int` (`ssize_t` where a length comes back): a value >= 0 is success, a
 *    negative `MP_E...` code is failure; see @ref errors. `errno` is no part of the contract.
 *  - A timeout is the last parameter, a `double` in seconds on the monotonic clock. #MP_FOREVER
 *    waits without limit; 0 or less tries once; NaN is #MP_EINVAL.
 *  - A blocking call goes on, with the same deadline, when a signal handler returns.
 *  - `mp_X_create(&x, ..., options)` makes an object; `options` may be NULL. In C,
 *    `mp_X_new(&x, ..., .name = "w")` is the same with keywords. `mp_X_free(x)` releases it.
 *  - A function is thread-safe if any number of threads may call it at the same time, with the same
 *    object, too; it is async-signal-safe if it may be called in a signal handler.
 *  - "Usable after a plain fork()" holds in the child of a threaded program, too, unless a function
 *    says otherwise: the library's own state is whole there. What other threads of the parent hold
 *    at that moment is theirs, as all that the parent holds: the child owns no lock and no permit.
 *  - In an options structure 0 always means "not given"; what the library does not know is
 *    #MP_EINVAL, never ignored.
 *
 *  See @ref guide_conventions "the chapter".
 *  @{ */

/** Waits without limit. */
#define MP_FOREVER __builtin_inf()
/** Tries once and does not block. */
#define MP_NO_WAIT (-1.0)
/** The object's own default timeout; only mp_barrier_wait() treats it specially. */
#define MP_DEFAULT_TIMEOUT (-__builtin_inf())

#define MP_YES 1    /**< Yes, in an option whose default may be inherited; `true` works as well. */
#define MP_NO  (-1) /**< No, in an option whose default may be inherited. */

/** @} */

/** @cond internal: the machinery of the keyword constructors */
#define MP_I_PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, \
                  a19, a20, N, ...)                                                                \
    N
#define MP_I_COUNT(...)                                                                            \
    MP_I_PICK(__VA_ARGS__, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, 1, 0)
#define MP_I_COUNT2(...)                                                                           \
    MP_I_PICK(__VA_ARGS__, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, 1, 0, 0)
#define MP_I_CAT_(a, b) a##b
#define MP_I_CAT(a, b)  MP_I_CAT_(a, b)
/* one required parameter: the place for the new object */
#define MP_I_NEW1(X, out) X##_create(out, &(X##_options){.size = sizeof(X##_options)})
#define MP_I_NEWn(X, out, ...)                                                                     \
    X##_create(out, &(X##_options){.size = sizeof(X##_options), __VA_ARGS__})
#define MP_I_NEW(X, ...) MP_I_CAT(MP_I_NEW, MP_I_COUNT(__VA_ARGS__))(X, __VA_ARGS__)
/* two required parameters */
#define MP_I_NEW2_1(X, out, a) X##_create(out, a, &(X##_options){.size = sizeof(X##_options)})
#define MP_I_NEW2_n(X, out, a, ...)                                                                \
    X##_create(out, a, &(X##_options){.size = sizeof(X##_options), __VA_ARGS__})
#define MP_I_NEW2(X, ...) MP_I_CAT(MP_I_NEW2_, MP_I_COUNT2(__VA_ARGS__))(X, __VA_ARGS__)
/** @endcond */

MP_BEGIN_DECLS

/** @addtogroup conventions
 *  @{ */

/**
 * Founds the family: maps the shared memory that this process and all its descendants share.
 *
 * Every function that needs it calls it on its own; a program calls it only to choose the moment,
 * for example before it forks by itself: processes that were forked earlier found families of
 * their own. Calling it again is cheap and succeeds.
 *
 * Thread-safe; not async-signal-safe. Python: importing multiprocessing.
 *
 * @return 0; #MP_EINVAL: `MPROC_ARENA_LIMIT` in the environment is no size, see @ref shared;
 *         #MP_ENOMEM: not even the smallest region can be mapped; another #MP_ESYS: a failure of
 *         the system
 */
MP_API int mp_init(void);

/**
 * Makes the main thread's current or next blocking call return #MP_EINTR, once.
 *
 * Meant for a handler of SIGINT or SIGTERM: the program decides what an interrupt means. A blocking
 * call is one with a timeout > 0, also when it would not have had to wait. It acts on the calling
 * process only; a forked child starts with none pending.
 *
 * Thread-safe, async-signal-safe. Python: the KeyboardInterrupt that leaves a blocking call.
 */
MP_API void mp_interrupt(void);

/** @} */

MP_END_DECLS

#endif
