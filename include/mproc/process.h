/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/process.h
 * @brief Processes: start a function in a child, wait for it, end it.
 */
#ifndef MPROC_PROCESS_H
#define MPROC_PROCESS_H

#include <mproc/defs.h>

/** @defgroup process Process
 *  @brief Runs a function in a child process. Python: multiprocessing.Process.
 *
 *  A process object is a handle of the process that created it. A child is made by the C library's
 *  fork(), so it sees everything that existed at that moment; in the child its standard input is
 *  /dev/null.
 *
 *  **How a child ends.** When its function returns, or calls exit(), it runs the exit handlers that
 *  were registered in it (never those of its parent), ends and joins its own children as below,
 *  flushes its streams and leaves.
 *
 *  **How its parent ends.** At a normal exit of a process its daemonic children get SIGTERM
 *  (SIGKILL after a grace period of 5 s) and are joined; then the other children are joined,
 *  without limit. When a process ends in any other way, SIGKILL included, its daemonic children get
 *  SIGKILL from the kernel, whichever thread started them; the non-daemonic live on. Not covered: a
 *  daemon that calls execve() or changes its user, and a child made by a raw clone system call that
 *  keeps the parent's descriptors open. A parent that closes descriptors it does not know, with
 *  closefrom(), cuts the line to its running daemons: they end at once.
 *
 *  **Signals and wait().** The library needs no SIGCHLD and leaves its disposition alone. It never
 *  waits for children that are not its own. A program that ignores SIGCHLD or calls wait() itself
 *  disturbs nothing; the exit code then comes from the kernel's or the child's own record, else it
 *  is #MP_EXITCODE_UNKNOWN.
 *
 *  See @ref guide_process "the chapter".
 *  @{ */

/** The exit code of a process that has not ended. */
#define MP_NO_EXITCODE INT_MIN
/** The exit code of a process that somebody else reaped and nothing is known of. */
#define MP_EXITCODE_UNKNOWN (INT_MIN + 1)

/** How a child is made. */
enum mp_start_method {
    MP_START_FORK = 1,       /**< A copy of the calling process. The default. */
    MP_START_FORKSERVER = 2, /**< A fork of a clean, early copy. Not in this release: #MP_EINVAL. */
    MP_START_SPAWN = 3       /**< A fresh run of the program. Not in this release: #MP_EINVAL. */
};

/** A process: running, ended or yet to start. */
typedef struct mp_process mp_process;

/** A child's function. Its result is the exit status, as main's. */
typedef int (*mp_target)(void *arg);

/** A kind of process with data of its own and its own run(). Python: a subclass of Process. */
typedef struct mp_process_class {
    const char *name;             /**< Names the processes: "MyProcess" gives "MyProcess-1". */
    size_t data_size;             /**< Bytes of own data, see mp_process_data(). */
    int (*run)(mp_process *self); /**< Runs in the child; its result is the exit status. */
} mp_process_class;

/** Options of mp_process_create(). */
typedef struct mp_process_options {
    size_t size;                      /**< sizeof(mp_process_options); mp_process_new() sets it. */
    mp_target target;                 /**< The child's function; NULL: do nothing, exit with 0. */
    void *arg;                        /**< Its argument. */
    size_t arg_size;                  /**< 0: the pointer itself goes along; else so many bytes are
                                           copied now, and the child gets a pointer to the copy. */
    const char *name;                 /**< Default "Process-N", or "<subclass>-N"; N counts per
                                           creating process, joined by ':' along the ancestry. */
    int daemon;                       /**< #MP_YES, #MP_NO; not given: as the creating process. */
    int start_method;                 /**< An #mp_start_method; not given: the default. */
    const mp_process_class *subclass; /**< Overrides target, which then may be NULL. */
    const void *init;                 /**< The first bytes of the subclass's own data (data_size of
                                           them); not given: zeroes. */
} mp_process_options;

MP_BEGIN_DECLS

/**
 * Makes a process object; starts nothing.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Process().
 *
 * @param[out] out the new process, NULL on failure; owed to mp_process_free()
 * @param options see #mp_process_options; NULL for a process that does nothing
 * @return 0; #MP_EINVAL: out is NULL, an unknown option or value, a subclass without run or name,
 *         target and subclass both given, an argument without target, bytes without an address,
 *         init without subclass; #MP_ENOMEM
 */
MP_API int mp_process_create(mp_process **out, const mp_process_options *options);

/** mp_process_create() with keywords: `mp_process_new(&p, .target = f, .daemon = true)`. */
#define mp_process_new(...) MP_I_NEW(mp_process, __VA_ARGS__)

/**
 * Starts the child process. Standard output and error are flushed first (all streams if the
 * process has one thread), so that no line is ever printed twice.
 *
 * Thread-safe; not async-signal-safe. In the child of a threaded program only what that program's
 * other threads did not hold is usable, as after any fork(). Python: start().
 *
 * @param p a process that was created here and not yet started
 * @return 0; #MP_EINVAL: p is NULL; #MP_ESTATE: started already, or created by another process;
 *         #MP_ESYS(EAGAIN): no more processes; #MP_ESYS(EMFILE): no more descriptors; #MP_ENOMEM;
 *         or a code of mp_init(). After a failure it may be started again.
 */
MP_API int mp_process_start(mp_process *p);

/**
 * Waits until the process has ended.
 *
 * Any number of times and from any number of threads. Works on mp_parent_process(), too.
 * Thread-safe; not async-signal-safe. Python: join().
 *
 * @param p a started child of the calling process, or its parent
 * @param timeout seconds
 * @return 0: it has ended; #MP_ETIMEDOUT: it has not; #MP_ESTATE: not started, not a child of the
 *         calling process, or the calling process itself; #MP_EINVAL: p is NULL, timeout is NaN;
 *         #MP_EINTR
 */
MP_API int mp_process_join(mp_process *p, double timeout);

/**
 * Sends SIGTERM to a process. Its own children are not touched, except that daemonic ones end with
 * it.
 *
 * Never hits a stranger: the signal goes to the process itself, not to a number that may have been
 * used again. Thread-safe; not async-signal-safe. Python: terminate().
 *
 * @param p a started child of the calling process, or the calling process itself
 * @return 0, also when it has ended already; #MP_ESTATE: not started, or not a child of the calling
 *         process; #MP_EINVAL: p is NULL; #MP_ESYS(EPERM): not allowed to
 */
MP_API int mp_process_terminate(mp_process *p);

/** Sends SIGKILL to a process; otherwise as mp_process_terminate().
 *  Thread-safe; not async-signal-safe. Python: kill().
 *  @param p a started child of the calling process, or the calling process itself
 *  @return as mp_process_terminate() */
MP_API int mp_process_kill(mp_process *p);

/** Sends SIGINT to a process; otherwise as mp_process_terminate().
 *  Thread-safe; not async-signal-safe. Python: interrupt() (3.14).
 *  @param p a started child of the calling process, or the calling process itself
 *  @return as mp_process_terminate() */
MP_API int mp_process_interrupt(mp_process *p);

/**
 * Whether a process runs. Reaps it if it has just ended.
 *
 * Thread-safe; not async-signal-safe. Python: is_alive().
 *
 * @param p a process
 * @return true for the calling process, for a child that was started and has not ended, and for
 *         mp_parent_process() while it lives; false for everything else, NULL and other processes'
 *         children included
 */
MP_API bool mp_process_is_alive(const mp_process *p);

/**
 * The exit code of a process. Reaps it if it has just ended.
 *
 * An exit status is not cut to 8 bits where the child ended by exit() or by its function's return;
 * a negative status arrives as its low 8 bits. Thread-safe; not async-signal-safe.
 * Python: exitcode.
 *
 * @param p a process
 * @return n >= 0: exit status n; -n: killed by signal n; #MP_NO_EXITCODE until it has ended, and
 *         for NULL and for what is not a child of the calling process; #MP_EXITCODE_UNKNOWN if
 *         somebody else reaped it and nothing is known
 */
MP_API int mp_process_exitcode(const mp_process *p);

/** The id of a process. Thread-safe, async-signal-safe. Python: pid.
 *  @param p a process
 *  @return the id; 0 before start and for NULL */
MP_API pid_t mp_process_pid(const mp_process *p);

/** The id of a process's parent. Thread-safe, async-signal-safe. Python: Process._parent_pid.
 *  @param p a process
 *  @return the id of the process that created p; 0 for NULL */
MP_API pid_t mp_process_parent_pid(const mp_process *p);

/** The name of a process. Thread-safe as long as nobody sets it meanwhile; not async-signal-safe.
 *  Python: name.
 *  @param p a process
 *  @return a string that lives until the name is set or p is freed; NULL for NULL */
MP_API const char *mp_process_name(const mp_process *p);

/**
 * Sets the name of a process. It has no meaning to the library; a running child does not learn of
 * it.
 *
 * Not thread-safe, not async-signal-safe. Python: name.
 *
 * @param p a process
 * @param name the new name, copied
 * @return 0; #MP_EINVAL: NULL; #MP_ENOMEM
 */
MP_API int mp_process_set_name(mp_process *p, const char *name);

/** Whether a process is daemonic. Thread-safe; not async-signal-safe. Python: daemon.
 *  @param p a process
 *  @return true if it ends with its parent; false for NULL */
MP_API bool mp_process_daemon(const mp_process *p);

/** Makes a process daemonic or not, before its start. Not thread-safe, not async-signal-safe.
 *  Python: daemon.
 *  @param p a process that was not started
 *  @param daemon whether it ends with its parent
 *  @return 0; #MP_ESTATE: started already; #MP_EINVAL: p is NULL */
MP_API int mp_process_set_daemon(mp_process *p, bool daemon);

/**
 * A descriptor that becomes readable when the process has ended, for poll and epoll.
 *
 * It belongs to p and lives as long; never close it. Call mp_process_join() before
 * mp_process_exitcode() or mp_process_free(): where the system refuses pidfds the descriptor may be
 * readable a moment before the exit code is known. Thread-safe; not async-signal-safe. Python:
 * sentinel.
 *
 * @param p a started child of the calling process, or mp_parent_process()
 * @return the descriptor; #MP_ESTATE: not started, or not a child of the calling process;
 *         #MP_EINVAL: p is NULL
 */
MP_API int mp_process_sentinel(const mp_process *p);

/** The own data of a process with a subclass: parent and child each see their own copy from the
 *  start on. Thread-safe; not async-signal-safe. Python: the attributes of a Process object.
 *  @param p a process
 *  @return data_size bytes, aligned for any type; NULL without a subclass or without data */
MP_API void *mp_process_data(mp_process *p);

/**
 * Describes the process in one line:
 * ``<Process name='Process-1' pid=4796 parent=4755 stopped exitcode=-SIGTERM daemon>``.
 *
 * Thread-safe; not async-signal-safe. Python: repr().
 *
 * @param p a process, or NULL
 * @param buffer where to write; the text is cut to fit and always ends with a NUL
 * @param size bytes of buffer; 96 and the lengths of the name and of the subclass's name are always
 *        enough
 * @return buffer; "" if buffer is NULL or size is 0
 */
MP_API const char *mp_process_repr(const mp_process *p, char *buffer, size_t size);

/**
 * Frees the calling process's handle of a process, and reaps the child if it has ended.
 *
 * Thread-safe as long as nobody uses p any more; not async-signal-safe. Python: close().
 *
 * @param p a process, or NULL
 * @return 0; #MP_ESTATE: it is running (nothing is freed), or it is the calling process or its
 *         parent
 */
MP_API int mp_process_free(mp_process *p);

/** The object of the calling process; in a program that the library did not start: "MainProcess".
 *  Thread-safe; not async-signal-safe. Python: current_process().
 *  @return the process; never freed; NULL only if memory is out */
MP_API mp_process *mp_current_process(void);

/** The object of the process that started the calling one: name, pid, join, is_alive and sentinel
 *  work on it.
 *  Thread-safe; not async-signal-safe. Python: parent_process().
 *  @return the parent; never freed; NULL in a program that the library did not start */
MP_API mp_process *mp_parent_process(void);

/**
 * Lists the running children of the calling process, and reaps the ended ones.
 *
 * Thread-safe; not async-signal-safe. Python: active_children().
 *
 * @param[out] children where to store them, or NULL with a capacity of 0
 * @param capacity how many fit
 * @return how many there are, which may be more than fit; #MP_EINVAL: capacity < 0, or children is
 *         NULL and capacity > 0
 */
MP_API int mp_active_children(mp_process **children, int capacity);

/** How many processors this process can use: the least of its affinity and its control group's
 *  quota, at least 1. Thread-safe; not async-signal-safe. Python: os.process_cpu_count().
 *  @return the number */
MP_API int mp_cpu_count(void);

/** Sets the start method for processes that name none. Thread-safe; not async-signal-safe. Python:
 *  set_start_method().
 *  @param method an #mp_start_method
 *  @return 0; #MP_EINVAL: unknown, or not in this release */
MP_API int mp_set_start_method(int method);

/** The start method for processes that name none. Thread-safe; not async-signal-safe. Python:
 *  get_start_method().
 *  @return an #mp_start_method */
MP_API int mp_get_start_method(void);

MP_END_DECLS

/** @} */

#endif
