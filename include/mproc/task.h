/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/task.h
 * @brief What a task, and the worker that runs it, can ask and say.
 */
#ifndef MPROC_TASK_H
#define MPROC_TASK_H

#include <mproc/defs.h>

/** @defgroup task Task
 *  @brief What a task, and the worker that runs it, can ask and say.
 *
 *  A worker runs one item at a time, in its main thread. That thread alone can say something about
 *  the item: mp_task_fail(), mp_task_return(). A task that starts threads of its own may **ask** in
 *  them, too, as long as it has not returned: mp_task_canceled(), mp_task_overdue(),
 *  mp_task_time_left(), mp_task_index(), mp_worker_index() and mp_worker_data() tell of the item
 *  that the worker runs, in whichever thread.
 *
 *  A process that a task forks is no worker: all these calls answer there as in the program.
 *
 *  **When a task crashes** by SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT, its item's
 *  #mp_task_error has a backtrace: a worker has handlers for these signals, unless the program
 *  ignores them. They write down where the thread was and let the signal kill, so that signal,
 *  status and core dump are what they are without them; a task, an initializer or a debugger's
 *  library may set handlers of its own instead. A stack that overflows is reported for the worker's
 *  main thread. Functions appear by name if their file has it: exported ones always, static ones
 *  unless it was stripped; link with `-g` or without `-s`. A file that only the worker has loaded
 *  appears as an address.
 *
 *  See @ref guide_task "the chapter".
 *  @{ */

/**
 * A task: computes one output from one input, in a worker.
 *
 * @param in the item's input
 * @param[out] out where its output goes
 * @param context the job's context
 * @return a value >= 0; a negative one: the item failed with that task_code
 */
typedef int (*mp_task)(const void *in, void *out, void *context);

MP_BEGIN_DECLS

/**
 * Fails the running item with a text: `return mp_task_fail(-7, "bad row %d", row);`
 *
 * The item fails whatever the task returns then; the last call wins. In an initializer it fails the
 * pool. Elsewhere, and in another thread than the task's, it just returns. Thread-safe; not
 * async-signal-safe. Python: raise.
 *
 * @param code the task_code; one >= 0 counts as -1
 * @param format as printf's, or NULL: no text; the text reaches the caller, cut to 255 bytes
 * @return code, or -1 if code >= 0
 */
MP_API int mp_task_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Makes these bytes the running item's result, instead of its output.
 *
 * For results whose length differs from item to item: mp_result_data() and mp_iterator_data() tell
 * them. Of work with one item, mp_pool_apply(), mp_pool_run(), mp_result_get() and the job's own
 * `out` get them, too; maps and streams deliver as outputs what the tasks wrote to `out`, which a
 * task may do beside. They are copied to shared memory at once; the last call wins; an item that
 * fails has none. If the worker dies between the call and the task's end their memory stays taken
 * as long as the program's family lives.
 * Thread-safe, but only in the thread that the task was called in; not async-signal-safe.
 * Python: return, of a string or a list.
 *
 * @param data the bytes
 * @param length how many; 0: a result of no bytes, data may be NULL
 * @return 0; #MP_EINVAL: data is NULL and length is not 0; #MP_ENOMEM: the result is what it was
 *         before; #MP_ESTATE: not in a task
 */
MP_API int mp_task_return(const void *data, size_t length);

/**
 * Tells which item runs: its number, as in #mp_task_error and in the arrays.
 *
 * Thread-safe, async-signal-safe. Python: the i of enumerate().
 *
 * @return the index, from 0; SIZE_MAX outside tasks
 */
MP_API size_t mp_task_index(void);

/**
 * Tells how long the running item still has before its worker is killed.
 *
 * That is what is left of the job's time_limit, or of the pool's task_timeout.
 * Thread-safe, async-signal-safe. Python has no such limit.
 *
 * @return seconds, at least 0; INFINITY: there is no limit, or no task
 */
MP_API double mp_task_time_left(void);

/**
 * Tells whether the running item has outlived its soft limit: a task that looks now and then can
 * end in order, with what it has, before the hard limit kills it.
 *
 * That is the job's soft_limit, or the pool's soft_timeout. A soft_signal of the pool is sent when
 * it passes, once; a worker has the default disposition of every signal that the program catches,
 * which mostly is to die, so the initializer installs a handler. The signal comes from another
 * process: it may arrive when the item has just ended, and so in a later one or in none; the
 * handler asks mp_task_overdue() whether it is meant. Thread-safe, async-signal-safe. Python has no
 * such limit; billiard: SoftTimeLimitExceeded.
 *
 * @return true if so; false also if there is no soft limit, or no task
 */
MP_API bool mp_task_overdue(void);

/**
 * Tells whether nobody wants the running item's result any more: it was canceled or killed, the
 * wait for it was given up, its handle was freed, or the pool is being terminated.
 *
 * Costs a load or two; a long task asks now and then, and returns early: what it returns is dropped
 * or not looked at. Thread-safe, async-signal-safe. Python has no such question.
 *
 * @return true if so; false outside tasks
 */
MP_API bool mp_task_canceled(void);

/**
 * Tells which of the pool's places this worker has. A worker that replaces a dead one has its
 * number, so numbers stay below `.processes`, unless the pool is resized.
 *
 * In initializers, tasks and finalizers. Thread-safe, async-signal-safe. Python:
 * current_process()._identity; mpire: worker_id.
 *
 * @return a number from 0; #MP_ESTATE: this process is no worker
 */
MP_API int mp_worker_index(void);

/**
 * Gives back what mp_worker_set_data() was given in this worker.
 *
 * Thread-safe, async-signal-safe. Python: a global that the initializer sets; mpire: worker_state.
 *
 * @return the pointer; NULL: none was set, or this process is no worker
 */
MP_API void *mp_worker_data(void);

/**
 * Keeps a pointer for this worker's later items: a connection, a table, a random generator that
 * the initializer has made and the finalizer releases. A worker that replaces this one begins with
 * NULL.
 *
 * Does nothing in a process that is no worker. Thread-safe, async-signal-safe.
 *
 * @param data anything
 */
MP_API void mp_worker_set_data(void *data);

MP_END_DECLS

/** @} */

#endif
