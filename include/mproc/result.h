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
 *
 *  **Done callbacks** (a job's `.callback`, mp_result_add_done_callback()) run once, in the order
 *  in which they were added to their result, in the process that submitted, and in no hidden
 *  thread: those that are due, of any result of any pool of the process, run in whichever thread
 *  is in mp_result_get(), mp_result_wait(), mp_results_wait(), mp_wait(), mp_iterator_next(),
 *  mp_pool_join() or mp_pool_dispatch(), while it waits and before it returns, tries included.
 *  Before that the job's own out and errors are filled.
 *
 *  A callback may do what the program may: submit, wait, get, cancel or free its own result, add
 *  callbacks; one that is added to a result that is done runs in the next such call. Calls within a
 *  callback run no other callbacks, so that the stack stays flat; they start chained work. It must
 *  return, and neither free a pool or iterator that the call is about, in which it runs, nor leave
 *  by longjmp(). What it does wrong harms nothing else. Callbacks of a result that was freed do not
 *  run. Two callbacks of one result never run at the same time; those of different results may, if
 *  several threads wait; and then get may return in one thread while another still is in a callback
 *  of that result.
 *
 *  **Chained work** (mp_result_then()) is started in the same calls, and in mp_pool_run(),
 *  mp_pool_map() and mp_pool_apply().
 *
 *  See @ref guide_result "the chapter".
 *  @{ */

/** What mp_results_wait() waits for. */
enum mp_results_when {
    MP_ALL = 1,        /**< Until all are done. Python: ALL_COMPLETED. */
    MP_FIRST_DONE = 2, /**< Until one is done. Python: FIRST_COMPLETED. */
    MP_FIRST_ERROR = 3 /**< Until one has failed, or all are done. Python: FIRST_EXCEPTION. */
};

/** The state and outcome of submitted work. */
typedef struct mp_result mp_result;

struct mp_job; /* mproc/pool.h */

/** What happened to an item that failed. */
typedef struct mp_task_error {
    int code;        /**< #MP_ETASK, #MP_ECRASHED, #MP_ETASKTIMEOUT or #MP_ECANCELED; 0: none. */
    int task_code;   /**< What the task returned, or gave to mp_task_fail(). */
    size_t index;    /**< The item, from 0. */
    pid_t worker;    /**< The process that ran it; 0 if none did. */
    int signal;      /**< The signal that killed the worker, or 0. */
    int exit_status; /**< The worker's exit status if it called exit(). */
    char text[256];  /**< One sentence: the task's own, or the library's. */
    char backtrace[1024]; /**< #MP_ECRASHED by SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT: where the
                               worker was, in lines "#0 function+0x12 (module)", see @ref task. */
} mp_task_error;

MP_BEGIN_DECLS

/**
 * Waits for the work and delivers its output.
 *
 * Of work with one item whose task has called mp_task_return() it delivers those bytes instead;
 * mp_result_data() tells how many they are. With more items only the outputs of fixed size.
 *
 * Repeatable. Thread-safe; not async-signal-safe; only in the process that submitted. Python:
 * AsyncResult.get().
 *
 * @param r a result
 * @param[out] out where the output goes, items that failed left as they are; NULL if it is not
 *        wanted, or went to the job's own array (then #MP_EMSGSIZE: it did not fit there)
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
 * Thread-safe; not async-signal-safe; only in the process that submitted. Python:
 * AsyncResult.wait().
 *
 * @param r a result
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT; #MP_EINVAL: r is NULL, timeout is NaN; #MP_ESTATE: submitted by another
 *         process; #MP_EINTR
 */
MP_API int mp_result_wait(mp_result *r, double timeout);

/** Whether the work is done. Thread-safe; not async-signal-safe. Python: ready(), done().
 *  @param r a result
 *  @return true if get would not wait; false for NULL */
MP_API bool mp_result_ready(mp_result *r);

/** Whether the work is done and no item failed. Thread-safe; not async-signal-safe. Python:
 *  successful().
 *  @param r a result
 *  @return true if so; false while it is not done */
MP_API bool mp_result_successful(mp_result *r);

/**
 * Cancels the work if none of it has started.
 *
 * Thread-safe; not async-signal-safe. Python: Future.cancel().
 *
 * @param r a result
 * @return 0: canceled, also again; #MP_ESTATE: some of it has started or is done, it goes on, or it
 *         was submitted by another process; #MP_EINVAL: r is NULL
 */
MP_API int mp_result_cancel(mp_result *r);

/**
 * Cancels what has not started, and kills the workers that run the rest: those items are
 * #MP_ECANCELED, too. Their workers are replaced. Items that are done stay so.
 *
 * It does not wait: the result becomes ready soon. Thread-safe; not async-signal-safe.
 *
 * @param r a result
 * @return 0: it is being ended, also again; #MP_ESTATE: it is done, or its pool is gone, or it was
 *         submitted by another process; #MP_EINVAL: r is NULL
 */
MP_API int mp_result_kill(mp_result *r);

/**
 * Tells where the bytes of one item's result are: what its task gave to mp_task_return(), or else
 * its output.
 *
 * They lie in shared memory, or where the job's own out does if that is shared memory, until
 * mp_result_free(); nothing is copied. Thread-safe; not async-signal-safe.
 *
 * @param r a result
 * @param index the item, from 0
 * @param[out] data where they are; NULL if there are none
 * @param[out] length how many
 * @return 0; the item's code if it failed; #MP_ESTATE: not done yet, or submitted by another
 *         process; #MP_EINVAL: NULL, no such item; #MP_ENOMEM
 */
MP_API int mp_result_data(mp_result *r, size_t index, const void **data, size_t *length);

/**
 * Adds a function to be called when the work is done; see @ref result "when and where".
 *
 * Thread-safe; not async-signal-safe. Python: Future.add_done_callback().
 *
 * @param r a result, done or not
 * @param f the function
 * @param arg its last argument
 * @return 0; #MP_EINVAL: NULL; #MP_ESTATE: submitted by another process; #MP_ENOMEM
 */
MP_API int mp_result_add_done_callback(mp_result *r, void (*f)(mp_result *r, void *arg), void *arg);

/**
 * Chains a job to a result: it runs when that is done and has succeeded, with its output as input.
 *
 * If the result fails, in any item, the job does not run: all its items get that code, and the text
 * "not run: " and what the cause was, with its task_code, signal and exit_status; along a chain all
 * tell of the first cause. A pool that is closed meanwhile still runs it, see mp_pool_close(). The
 * new result is one like any other, can be chained to and canceled, and either may be freed
 * first. The job is started inside the calls that @ref result "run callbacks"; by any thread.
 *
 * Thread-safe; not async-signal-safe; only in the process that submitted.
 *
 * @param r a result, done or not
 * @param[out] out the new result, NULL on failure; owed to mp_result_free()
 * @param job the work. `in` must be NULL. `count` is 0 or that of r: each item gets the output of
 *        the same item of r; or 1: it gets the whole array. `in_size`: 0, or what follows from
 *        that. What tasks gave to mp_task_return() is not passed on. If r's job has its `out` in
 *        shared memory, that is used in place, with all that it was given, and must live until this
 *        work is done
 * @return 0; a code of mp_pool_submit(); #MP_EINVAL also: in, in_size or count do not fit;
 *         #MP_ESTATE also: r's pool is gone
 */
MP_API int mp_result_then(mp_result *r, mp_result **out, const struct mp_job *job);

/**
 * Waits for some or all of many results, which may be of several pools.
 *
 * Those that are done then have their jobs' own out and errors filled. A result may stand in the
 * array twice, and counts twice. Thread-safe; not async-signal-safe; only in the process that
 * submitted. Python: concurrent.futures.wait().
 *
 * @param rs results
 * @param count how many; with 0 it returns 0 at once
 * @param when #MP_ALL, #MP_FIRST_DONE or #MP_FIRST_ERROR
 * @param timeout seconds
 * @return how many are done; #MP_ETIMEDOUT: what it waits for has not come, some may be done;
 *         #MP_EINVAL: rs is NULL with a count, one of them is NULL, count < 0, an unknown when,
 *         timeout is NaN; #MP_ESTATE: submitted by another process; #MP_EINTR; #MP_ENOMEM
 */
MP_API int mp_results_wait(mp_result **rs, int count, int when, double timeout);

/**
 * Tells what happened to the lowest item that failed.
 *
 * Thread-safe; not async-signal-safe; only in the process that submitted. Python:
 * Future.exception().
 *
 * @param r a result
 * @param[out] error filled if something failed
 * @return 1: filled; 0: nothing failed; #MP_ESTATE: not done yet, or submitted by another process;
 *         #MP_EINVAL: NULL
 */
MP_API int mp_result_error(const mp_result *r, mp_task_error *error);

/**
 * Tells what happened to the lowest failed item of this thread's last mp_pool_map(),
 * mp_pool_apply(), mp_pool_run() or mp_iterator_next(). Thread-safe; not async-signal-safe.
 *
 * @param[out] error filled if something failed
 * @return 1: filled; 0: nothing failed, or there was no such call; #MP_EINVAL: NULL
 */
MP_API int mp_last_task_error(mp_task_error *error);

/** Frees the handle of a result; the work, if it is not done, goes on and its output is dropped,
 *  and its callbacks do not run. No other thread may begin to use it then; calls that wait
 *  for it already go on. Must come before mp_pool_free() of its pool, or after: both work.
 *  Thread-safe in this; not async-signal-safe.
 *  @param r a result, or NULL */
MP_API void mp_result_free(mp_result *r);

MP_END_DECLS

/** @} */

#endif
