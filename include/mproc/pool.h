/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/pool.h
 * @brief Pools: worker processes that run functions over many inputs.
 */
#ifndef MPROC_POOL_H
#define MPROC_POOL_H

#include <mproc/result.h>
#include <mproc/task.h>
#include <sys/types.h>

/** @defgroup pool Pool
 *  @brief Runs a function over many inputs in worker processes. Python: Pool, ProcessPoolExecutor.
 *
 *  A pool is a handle of the process that created it. Its workers are forked from one supervisor
 *  process that watches them; neither is a child that the program's wait() sees. A worker knows
 *  what existed when the pool was made: a task is a function of the program, its context is a
 *  pointer that is valid there (shared memory, or memory that existed). Workers have no descriptors
 *  of the program but standard output and error and those in `.keep`, ignore SIGINT, and have the
 *  default disposition for every signal that the program catches.
 *
 *  **When a worker dies** its item alone is #MP_ECRASHED (or runs again, see `.retries`), the
 *  worker is replaced and the rest goes on: at once, unless a hundred have died in a moment; then
 *  one comes each 5 ms. If three in a row die before they are ready the pool fails. **When the
 *  supervisor is killed** all workers die with it, what was not settled is #MP_ECRASHED, and later
 *  calls are #MP_ESTATE. **When the program ends**, in whatever way, supervisor and workers end
 *  with it, and the processes that workers have started through this library. An item that is
 *  #MP_ECRASHED, or runs again, may have had its effects: nobody knows how far it came.
 *
 *  See @ref guide_pool "the chapter".
 *  @{ */

/** Worker processes and the work they were given. */
typedef struct mp_pool mp_pool;

/** Options of mp_pool_create(). */
typedef struct mp_pool_options {
    size_t size;                /**< sizeof(mp_pool_options); mp_pool_new() sets it. */
    int processes;              /**< How many workers; not given: mp_cpu_count(). */
    int (*initializer)(void *); /**< Called once in each worker, replacements included; a result < 0
                                     fails the pool: all its work is #MP_ETASK. */
    void *initializer_arg;      /**< Its argument. */
    void (*finalizer)(void *);  /**< Called with the same in each worker that ends in order. */
    int max_tasks_per_child;    /**< Replaces a worker after so many items; not given: never. */
    /** Replaces a worker whose memory has grown by so many bytes since it was ready, private and
        resident; looked at between items, not more often than every 5 ms; not given: never. */
    size_t max_memory_per_child;
    double idle_timeout; /**< Seconds without work after which a worker leaves, all but one; work
                              that is submitted brings them back; not given: never. */
    double task_timeout; /**< Seconds an item may take before its worker is killed and the item
                              is #MP_ETASKTIMEOUT; not given: no limit. */
    double soft_timeout; /**< Seconds after which mp_task_overdue() is true; not given: no limit. */
    int soft_signal;     /**< Sent to the worker then, once for each item; not given: none. A worker
                              dies of a signal that its initializer has not prepared for. */
    int retries;         /**< How often an item whose worker died runs again; not given: 0. */
    int pin_cpus;        /**< #MP_YES: each worker stays on one processor. */
    const char *name;    /**< Names the workers: "name-1"; not given: "PoolWorker". */
    int start_method;    /**< Not given, or #MP_START_FORK. */
    const int *keep;     /**< Descriptors that workers keep open; ends with -1. */
    /** Called in the waiting thread of the calls that wait for work, a few times a second. */
    void (*progress)(size_t done, size_t total, void *arg);
    void *progress_arg; /**< Its last argument. */
    const char *trace;  /**< A file that gets a trace of the items when the pool has ended, for
                             Perfetto or Chrome, see mproc/insight.h; what is at that path must be
                             an ordinary file or nothing. */
    int insights;       /**< #MP_YES: keeps the figures of mp_pool_insights(); so does `.trace`. */
} mp_pool_options;

/** Everything that can be said about work; the other calls are short forms of it. */
typedef struct mp_job {
    size_t size;       /**< sizeof(mp_job). */
    mp_task task;      /**< The function. */
    void *context;     /**< Goes to every call; valid in the workers. */
    const void *in;    /**< count inputs, one after the other; used in place if they lie in shared
                            memory (then they must live until the work is done), else copied. */
    size_t in_size;    /**< Bytes of one input. */
    void *out;         /**< Where count outputs go, or NULL; written in place by the workers if it
                            lies in shared memory (then it must live until the work is done, also
                            after a deadline), else when the work is waited for. */
    size_t out_size;   /**< Bytes of one output. */
    size_t count;      /**< How many items; 0 succeeds at once. */
    size_t chunksize;  /**< How many items a worker takes at once; not given: chosen. */
    double time_limit; /**< As task_timeout, for this job; not given: the pool's. */
    double soft_limit; /**< As soft_timeout, for this job; not given: the pool's. */
    int retries;       /**< As retries, for this job; not given: the pool's; #MP_NO: none. */
    mp_task_error *errors; /**< NULL, or count records, filled when the work is waited for. */
    void (*callback)(mp_result *r, void *arg); /**< The result's first done callback, see @ref
                                                    result; of mp_pool_run(): called before that
                                                    returns, unless it gives up. */
    void *callback_arg;                        /**< Its last argument. */
    void (*progress)(size_t done, size_t total, void *arg); /**< As in the pool's options. */
    void *progress_arg;                                     /**< Its last argument. */
} mp_job;

MP_BEGIN_DECLS

/**
 * Makes a pool and starts its workers.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Pool().
 *
 * @param[out] out the new pool, NULL on failure; owed to mp_pool_free()
 * @param options see #mp_pool_options, or NULL
 * @return 0; #MP_EINVAL: out is NULL, processes < 0 or more than 4096, a negative or NaN number, a
 *         soft_signal that is none, a descriptor in keep that is not open, an option that is
 *         unknown or not in this release, a trace in place of something that is no ordinary file;
 *         #MP_ESYS(ENOENT) and the like: no file can be made where the trace shall be;
 *         #MP_ESYS(EAGAIN): no more processes; #MP_ESYS(EMFILE): no more descriptors; #MP_ENOMEM;
 *         #MP_ECRASHED: the supervisor was killed at once; or a code of mp_init()
 */
MP_API int mp_pool_create(mp_pool **out, const mp_pool_options *options);

/** mp_pool_create() with keywords: `mp_pool_new(&pool, .processes = 4)`. */
#define mp_pool_new(...) MP_I_NEW(mp_pool, __VA_ARGS__)

/**
 * Runs a task over an array and waits for all of it.
 *
 * All items run, whatever fails, in no promised order; the good ones are delivered.
 * Thread-safe; not async-signal-safe; only in the process that created the pool. Python: map().
 *
 * @param pool a pool
 * @param task the function
 * @param in count inputs
 * @param in_size bytes of one input; 0: there are none, in may be NULL
 * @param[out] out count outputs, those of failed items left as they are
 * @param out_size bytes of one output; 0: there are none, out may be NULL
 * @param count how many; 0 succeeds at once
 * @return 0; the code of the lowest item that failed, #MP_ETASK, #MP_ECRASHED, #MP_ETASKTIMEOUT or
 *         #MP_ECANCELED, see mp_last_task_error(); #MP_EINVAL: no pool, no task, a NULL array,
 *         sizes that overflow, a task that was loaded after the pool was made; #MP_ESTATE: closed,
 *         terminated, another process's pool, or its supervisor is gone; #MP_ENOMEM; #MP_EINTR:
 *         items that have not started are canceled, and out may be filled in part
 */
MP_API int mp_pool_map(mp_pool *pool, mp_task task, const void *in, size_t in_size, void *out,
                       size_t out_size, size_t count);

/**
 * mp_pool_map() with the sizes of the arrays' elements: `MP_MAP(pool, square, in, out, 100)`.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool. Python: map().
 *
 * @param pool a pool
 * @param task the function
 * @param in an array of inputs, of any type
 * @param out an array for the outputs, of any type
 * @param count how many
 * @return as mp_pool_map()
 */
#define MP_MAP(pool, task, in, out, count)                                                         \
    mp_pool_map((pool), (task), (in), sizeof(*(in)), (out), sizeof(*(out)), (count))

/**
 * mp_pool_map() that does not wait. mp_result_get(r, array, out_size * count, timeout) delivers.
 *
 * The inputs are copied before it returns, unless they lie in shared memory.
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 * Python: map_async().
 *
 * @param pool a pool
 * @param[out] out the result, NULL on failure; owed to mp_result_free()
 * @param task the function
 * @param in count inputs
 * @param in_size bytes of one input
 * @param out_size bytes of one output
 * @param count how many
 * @return 0; #MP_EINVAL: no pool, no task, a NULL array, sizes that overflow, a task that was
 *         loaded after the pool was made; #MP_ESTATE: closed, terminated, another process's pool,
 *         or its supervisor is gone; #MP_ETASK: the pool has failed; #MP_ENOMEM
 */
MP_API int mp_pool_map_async(mp_pool *pool, mp_result **out, mp_task task, const void *in,
                             size_t in_size, size_t out_size, size_t count);

/**
 * Runs a task once and waits for it.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool. Python: apply().
 *
 * @param pool a pool
 * @param task the function
 * @param in its input
 * @param in_size bytes of it; 0: there is none
 * @param[out] out its output, untouched if it failed; of a task that called mp_task_return() those
 *        bytes, what is behind them untouched
 * @param out_size bytes of it; 0: there is none
 * @param timeout seconds to wait; then the task is canceled if it has not started, else it runs on
 *        and its output is dropped
 * @return a code of mp_pool_map(); #MP_ETIMEDOUT; #MP_EMSGSIZE: what the task gave to
 *         mp_task_return() does not fit, out is untouched
 */
MP_API int mp_pool_apply(mp_pool *pool, mp_task task, const void *in, size_t in_size, void *out,
                         size_t out_size, double timeout);

/**
 * mp_pool_apply() that does not wait. mp_result_get(r, out, out_size, timeout) delivers.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 * Python: apply_async(), Executor.submit().
 *
 * @param pool a pool
 * @param[out] out the result, NULL on failure; owed to mp_result_free()
 * @param task the function
 * @param in its input, copied unless it lies in shared memory
 * @param in_size bytes of it
 * @param out_size bytes of its output
 * @return 0; #MP_EINVAL: no pool, no task, a NULL array, sizes that overflow, a task that was
 *         loaded after the pool was made; #MP_ESTATE: closed, terminated, another process's pool,
 *         or its supervisor is gone; #MP_ETASK: the pool has failed; #MP_ENOMEM
 */
MP_API int mp_pool_apply_async(mp_pool *pool, mp_result **out, mp_task task, const void *in,
                               size_t in_size, size_t out_size);

/**
 * Runs a job and waits for it.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 *
 * @param pool a pool
 * @param job the work; out and errors are filled before it returns
 * @param timeout seconds; then what has not started is canceled, and nothing is delivered
 * @return a code of mp_pool_map(); #MP_ETIMEDOUT; #MP_EMSGSIZE: of a single item, as for
 *         mp_pool_apply(); #MP_EINVAL also for unknown members of job
 */
MP_API int mp_pool_run(mp_pool *pool, const mp_job *job, double timeout);

/**
 * Gives a job to the pool and does not wait.
 *
 * job's out and errors are filled inside mp_result_get() and mp_result_wait() of the submitting
 * process, and must live until mp_result_free(). The job structure itself need not.
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 * Python: Executor.submit().
 *
 * @param pool a pool
 * @param[out] out the result, NULL on failure; owed to mp_result_free()
 * @param job the work
 * @return 0; #MP_EINVAL: no pool, no task, a NULL array, sizes that overflow, unknown members of
 *         job, a task that was loaded after the pool was made; #MP_ESTATE: closed, terminated,
 *         another process's pool, or its supervisor is gone; #MP_ETASK: the pool has failed;
 *         #MP_ENOMEM
 */
MP_API int mp_pool_submit(mp_pool *pool, mp_result **out, const mp_job *job);

/**
 * Changes how many workers there are while the pool runs.
 *
 * New ones come at once. Those too many leave when they have run what they have claimed, an item or
 * some tens of microseconds of short ones; what is dealt out to them already the others take.
 * Workers come from what the program was when the pool was made.
 * Thread-safe; not async-signal-safe. Python: no counterpart.
 *
 * @param pool a pool
 * @param processes how many; at least 1, at most four times the larger of the number at creation
 *        and mp_cpu_count() was at the first pool, or 32 if that is more, never more than 4096
 * @return 0; #MP_EINVAL: no pool, or not such a number; #MP_ESTATE: closed, terminated, failed,
 *         another process's pool, or its supervisor is gone
 */
MP_API int mp_pool_resize(mp_pool *pool, int processes);

/**
 * How many workers the pool shall have: as made, or as mp_pool_resize() said last. At times there
 * are others: dead ones that are about to be replaced, idle ones that rest, some that are leaving.
 *
 * Thread-safe; not async-signal-safe.
 *
 * @param pool a pool
 * @return the number; #MP_EINVAL: no pool; #MP_ESTATE: another process's pool
 */
MP_API int mp_pool_processes(const mp_pool *pool);

/**
 * Who the workers are, at this moment: the next may have died before it returns.
 *
 * Thread-safe; not async-signal-safe. Python: the keys of Executor._processes.
 *
 * @param pool a pool
 * @param[out] pids their process ids; may be NULL if capacity is 0
 * @param capacity how many fit there
 * @return how many there are, also if they did not fit; #MP_EINVAL: no pool, capacity < 0, pids is
 *         NULL with a capacity; #MP_ESTATE: another process's pool
 */
MP_API int mp_pool_worker_pids(const mp_pool *pool, pid_t *pids, int capacity);

/**
 * The process's own pool, made at the first call with mp_cpu_count() workers and no other options.
 *
 * It is made anew by a call after it was closed, terminated, has failed, or has lost its
 * supervisor, and in a forked child. It ends with the process. mp_pool_free() leaves it alone, so a
 * handle stays valid: of a pool that was ended some kilobytes remain.
 * Thread-safe; not async-signal-safe. Python: loky's get_reusable_executor().
 *
 * @param[out] out the pool, NULL on failure; not owed
 * @return 0, or a code of mp_pool_create()
 */
MP_API int mp_pool_default(mp_pool **out);

/**
 * Runs done callbacks that are due, and starts chained work, see @ref result; waits for the first.
 *
 * So a loop that ends when it returns 0 runs all there is:
 * `while (mp_pool_dispatch(pool, MP_FOREVER) > 0) continue;`
 *
 * Thread-safe; not async-signal-safe.
 *
 * @param pool a pool: as long as its results have callbacks or chained work, it waits. Those of
 *        other pools' results run, too
 * @param timeout seconds
 * @return how many callbacks it ran and chained jobs it started; 0: there is nothing to wait for;
 *         #MP_ETIMEDOUT; #MP_EINVAL: no pool, timeout is NaN; #MP_ESTATE: another process's pool,
 *         or called in a callback; #MP_EINTR
 */
MP_API int mp_pool_dispatch(mp_pool *pool, double timeout);

/**
 * Says that no more work will come; what was submitted still runs. Python: close().
 *
 * So does what mp_result_then() has accepted: the pool's processes stay until the last of it was
 * started, in mp_pool_join() or another call that @ref result "starts chained work", or has failed.
 *
 * Thread-safe; not async-signal-safe.
 *
 * @param pool a pool
 * @return 0, again when it is closed already; #MP_EINVAL: no pool; #MP_ESTATE: another process's
 *         pool
 */
MP_API int mp_pool_close(mp_pool *pool);

/**
 * Ends the pool at once: kills the workers; what was not settled is #MP_ECANCELED.
 *
 * Thread-safe; not async-signal-safe. Python: terminate().
 *
 * @param pool a pool
 * @return 0, again when it has ended already; #MP_EINVAL: no pool; #MP_ESTATE: another process's
 *         pool
 */
MP_API int mp_pool_terminate(mp_pool *pool);

/**
 * Waits until a closed or terminated pool's processes are gone. Meanwhile it runs callbacks that
 * are due and starts chained work, see @ref result. Python: join().
 *
 * Thread-safe; not async-signal-safe.
 *
 * @param pool a pool
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT; #MP_ESTATE: neither closed nor terminated, or another process's pool;
 *         #MP_EINVAL: no pool, timeout is NaN; #MP_EINTR
 */
MP_API int mp_pool_join(mp_pool *pool, double timeout);

/** Terminates the pool, joins it and frees it. mp_pool_close() and mp_pool_join() before it are the
 *  orderly way. In a process that inherited the handle it frees that copy alone. Results stay, and
 *  are done by then. No other thread may be in a call with the pool, or be waiting for one of its
 *  results: mp_pool_terminate() lets those return first.
 *  Thread-safe as long as nobody else uses it; not async-signal-safe. Python: the end of
 *  `with Pool():`.
 *  @param pool a pool, or NULL */
MP_API void mp_pool_free(mp_pool *pool);

/**
 * A progress function that draws a bar on standard error, if that is a terminal.
 *
 * Thread-safe; not async-signal-safe.
 *
 * @param done items done
 * @param total items in all
 * @param arg not used
 */
MP_API void mp_progress_bar(size_t done, size_t total, void *arg);

/** The ready progress bar, for `.progress`. */
#define MP_PROGRESS_BAR mp_progress_bar

MP_END_DECLS

/** @} */

#endif
