/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/result.h
 * @brief Results of work that was given to a pool, and what went wrong in it.
 */
#ifndef MPROC_RESULT_H
#define MPROC_RESULT_H

#include <mproc/defs.h>

/** @defgroup result Result
 *  @brief What a pool's asynchronous calls return. Python: AsyncResult, Future.
 *
 *  A result is a handle of the process that submitted the work. It becomes ready when every item
 *  has run or been reported, whatever dies meanwhile: a task whose worker is killed is
 *  #MP_ECRASHED, and if the pool's supervisor is killed everything that was not settled is.
 *  @{ */

/** The state and outcome of submitted work. */
typedef struct mp_result mp_result;

/** What happened to an item that failed. */
typedef struct mp_task_error {
    int code;        /**< #MP_ETASK, #MP_ECRASHED, #MP_ETASKTIMEOUT or #MP_ECANCELED; 0: none. */
    int task_code;   /**< What the task returned, or gave to mp_task_fail(). */
    size_t index;    /**< The item, from 0. */
    pid_t worker;    /**< The process that ran it; 0 if none did. */
    int signal;      /**< #MP_ECRASHED: the signal that killed the worker, or 0. */
    int exit_status; /**< #MP_ECRASHED: the worker's exit status if it called exit(). */
    char text[256];  /**< One sentence: the task's own, or the library's. */
    char backtrace[1024]; /**< #MP_ECRASHED by SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT: where the
                               worker was, in lines "#0 function+0x12 (module)", see @ref task. */
} mp_task_error;

MP_BEGIN_DECLS

/**
 * Waits for the work and delivers its output.
 *
 * Repeatable. Thread-safe for different results; not async-signal-safe; only in the process that
 * submitted. Python: AsyncResult.get().
 *
 * @param r a result
 * @param[out] out where the output goes, items that failed left as they are; NULL if it is not
 *        wanted, or went to the job's own array
 * @param capacity bytes of out
 * @param timeout seconds
 * @return 0; the code of the lowest item that failed: #MP_ETASK, #MP_ECRASHED, #MP_ETASKTIMEOUT or
 *         #MP_ECANCELED (good items are delivered all the same); #MP_ETIMEDOUT: not ready, for this
 *         wait; #MP_EMSGSIZE: out is too small, nothing is delivered; #MP_EINVAL: r is NULL,
 *         timeout is NaN; #MP_ESTATE: submitted by another process; #MP_EINTR
 */
MP_API int mp_result_get(mp_result *r, void *out, size_t capacity, double timeout);

/**
 * Waits until the work is done, well or not.
 *
 * @param r a result
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT; #MP_EINVAL; #MP_ESTATE: submitted by another process; #MP_EINTR
 */
MP_API int mp_result_wait(mp_result *r, double timeout);

/** Whether the work is done. Thread-safe. Python: ready(), done().
 *  @param r a result
 *  @return true if get would not wait; false for NULL */
MP_API bool mp_result_ready(mp_result *r);

/** Whether the work is done and no item failed. Thread-safe. Python: successful().
 *  @param r a result
 *  @return true if so; false while it is not done */
MP_API bool mp_result_successful(mp_result *r);

/**
 * Cancels the work if none of it has started.
 *
 * Thread-safe; not async-signal-safe. Python: Future.cancel().
 *
 * @param r a result
 * @return 0: canceled, also again; #MP_ESTATE: some of it has started or is done, it goes on;
 *         #MP_EINVAL: r is NULL
 */
MP_API int mp_result_cancel(mp_result *r);

/**
 * Tells what happened to the lowest item that failed.
 *
 * @param r a result
 * @param[out] error filled if something failed
 * @return 1: filled; 0: nothing failed; #MP_ESTATE: not done yet, or submitted by another process;
 *         #MP_EINVAL: NULL
 */
MP_API int mp_result_error(const mp_result *r, mp_task_error *error);

/**
 * Tells what happened to the lowest failed item of this thread's last mp_pool_map(),
 * mp_pool_apply() or mp_pool_run(). Thread-safe.
 *
 * @param[out] error filled if something failed
 * @return 1: filled; 0: nothing failed, or there was no such call; #MP_EINVAL: NULL
 */
MP_API int mp_last_task_error(mp_task_error *error);

/** Frees the handle; the work, if it is not done, goes on and its output is dropped.
 *  Not thread-safe for one result. Must come before mp_pool_free() of its pool, or after: both
 *  work.
 *  @param r a result, or NULL */
MP_API void mp_result_free(mp_result *r);

MP_END_DECLS

/** @} */

#endif
