/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/wait.h
 * @brief Waits for the first of many things, and descriptors for a program's own event loop.
 */
#ifndef MPROC_WAIT_H
#define MPROC_WAIT_H

#include <mproc/defs.h>
#include <mproc/event.h>
#include <mproc/queue.h>
#include <mproc/result.h>

/** @defgroup wait Waiting for many
 *  @brief Waits on many things of any kinds together. Python: connection.wait().
 *
 *  mp_wait() takes them all in one call. A program that has an event loop of its own (poll, epoll,
 *  libevent, ...) puts descriptors into that instead: mp_connection_fileno() and
 *  mp_process_sentinel(), which exist anyway, and those of mp_queue_fileno(), mp_event_fileno() and
 *  mp_result_fileno(), which are made for it and given back with mp_fileno_release().
 *
 *  **Such a descriptor** is readable whenever the queue holds a message or is closed, the event is
 *  set, the result is ready. It may be readable for no reason, so that whoever finds it readable
 *  asks the object, without waiting. It becomes unreadable when that is answered in the negative:
 *  when a call in the descriptor's process finds that there is nothing. For a queue that is any
 *  mp_queue_get...() that returns #MP_EEMPTY or waits, and mp_queue_empty(); for an event
 *  mp_event_is_set() and mp_event_wait(), and mp_event_clear(); for a result mp_result_ready(), and
 *  mp_result_get() and mp_result_wait() that return #MP_ETIMEDOUT; and mp_wait() for all of them.
 *  So
 *
 *      while ((length = mp_queue_get(q, buffer, sizeof buffer, 0)) >= 0)
 *          handle(buffer, length);
 *
 *  is all that an event loop does when it is readable, and misses nothing, if it goes round by
 *  level or by edge (EPOLLET); by level it may also take one message at a time.
 *
 *  Nothing else is to be done with it: not read, not written, not closed by close(), not given to
 *  another process. A forked child has none of its parent's: there they are closed, and it makes
 *  its own. Each call makes another one, and each is told of everything.
 *
 *  **What it costs.** An object that nobody waits for in these ways pays nothing. Who puts, sets or
 *  finishes while somebody does, and has looked since the last time, sends him a byte over a socket
 *  (2 to 3 us), for which it keeps one descriptor open. If it cannot make one (MP_ESYS(EMFILE) and
 *  the like), mp_queue_put() puts nothing, and says why; mp_event_set() and mp_queue_close() do
 *  their work, and say why; mp_wait() sees it all the same, within 100 ms.
 *
 *  **When a process dies** while it waits, or has such descriptors, nothing of it stays. One that
 *  dies in mp_queue_put() has rung before its message can be seen. One that dies in the few
 *  instructions in which it sets an event, while another looks at it, may leave that one's
 *  descriptor unreadable until the event is set again; mp_wait() looks again every 100 ms.
 *
 *  **Limits.** The sockets have random names, which are known to the family, and to who reads
 *  /proc/net/unix, who can make a descriptor readable for no reason and no more. Processes in
 *  different network namespaces cannot ring each other: there mp_wait() sees what happens within
 *  100 ms, and descriptors are of no use. A process that is stopped (SIGSTOP) within mp_queue_put()
 *  keeps the descriptors of the queue readable.
 *
 *  See @ref guide_wait "the chapter".
 *  @{ */

/** What an #mp_waitable refers to. */
enum mp_wait_kind {
    MP_WAIT_FD = 1,         /**< A descriptor of the program, in `fd`. */
    MP_WAIT_CONNECTION = 2, /**< An mp_connection, in `object`. */
    MP_WAIT_PROCESS = 3,    /**< An mp_process, in `object`: ready once it has ended. */
    MP_WAIT_QUEUE = 4,      /**< An mp_queue, in `object`. */
    MP_WAIT_EVENT = 5,      /**< An mp_event, in `object`: ready while it is set. */
    MP_WAIT_RESULT = 6      /**< An mp_result, in `object`: ready once the work is done. */
};

/** What to wait for on it, and what was found. */
enum mp_wait_event {
    MP_READ = 1, /**< Something to read: data, a message, the end of file or of a process; a queue
                      that is closed; an event that is set; a result. */
    MP_WRITE = 2 /**< Room to write, or nobody left to read it; a queue that is closed. */
};

/** One thing to wait for. */
typedef struct mp_waitable {
    int kind;             /**< An #mp_wait_kind. */
    int events;           /**< #MP_READ, #MP_WRITE or both; 0 is #MP_READ. */
    int revents;          /**< Filled by mp_wait(): which of them it found; 0 if none. */
    int fd;               /**< The descriptor, for #MP_WAIT_FD. */
    void *object;         /**< The object, for all other kinds. */
    uint64_t reserved[2]; /**< Zero. */
} mp_waitable;

MP_BEGIN_DECLS

/**
 * Waits until at least one of many things is ready, and says which.
 *
 * Level-triggered: what is ready stays so until it is read. All that are ready are marked, so none
 * starves. What is ready may be taken by another before the caller comes to it. The same thing may
 * stand in the list twice. With a count of 0 it only waits.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: connection.wait().
 *
 * @param[in,out] items the things to wait for
 * @param count how many
 * @param timeout seconds
 * @return how many are ready; 0: the timeout passed; #MP_EINVAL: items is NULL with a count,
 *         count < 0, timeout is NaN, an unknown kind or event, an object is NULL or none, a
 *         descriptor is not open, a process, an event, a result or a queue with a capacity is asked
 *         for #MP_WRITE; #MP_ESTATE: a process that was not started or is not a child, a connection
 *         used in the wrong direction, a result of another process; #MP_ECLOSED: a closed
 *         connection; #MP_EINTR; #MP_ENOMEM; #MP_ESYS(EMFILE) and the like: no descriptor was left
 */
MP_API int mp_wait(mp_waitable *items, int count, double timeout);

/**
 * Makes a descriptor for poll(), readable while the queue holds a message or is closed.
 *
 * See @ref wait "above". Thread-safe; not async-signal-safe; usable after a plain fork(). Python:
 * Queue._reader.fileno(), and for SimpleQueue.
 *
 * @param q a queue
 * @return the descriptor, owed to mp_fileno_release() before the queue is freed; #MP_EINVAL: no
 *         queue; #MP_ENOMEM; #MP_ESYS(EMFILE) and the like
 */
MP_API int mp_queue_fileno(mp_queue *q);

/**
 * Makes a descriptor for poll(), readable while the event is set.
 *
 * See @ref wait "above". Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param event an event
 * @return the descriptor, owed to mp_fileno_release() before the event is freed; #MP_EINVAL: no
 *         event; #MP_ENOMEM; #MP_ESYS(EMFILE) and the like
 */
MP_API int mp_event_fileno(mp_event *event);

/**
 * Makes a descriptor for poll(), readable once the work is done.
 *
 * See @ref wait "above". Thread-safe; not async-signal-safe; only in the process that submitted.
 *
 * @param r a result
 * @return the descriptor, owed to mp_fileno_release() before the result is freed; #MP_EINVAL: r is
 *         NULL; #MP_ESTATE: submitted by another process; #MP_ENOMEM; #MP_ESYS(EMFILE) and the like
 */
MP_API int mp_result_fileno(mp_result *r);

/**
 * Closes a descriptor of mp_queue_fileno(), mp_event_fileno() or mp_result_fileno().
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(), for what the child has made.
 *
 * @param fd the descriptor
 * @return 0; #MP_EINVAL: it is none of these, or of another process, or was closed; then nothing is
 *         closed
 */
MP_API int mp_fileno_release(int fd);

MP_END_DECLS

/** @} */

#endif
