/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/wait.h
 * @brief Waits for the first of many things.
 */
#ifndef MPROC_WAIT_H
#define MPROC_WAIT_H

#include <mproc/defs.h>

/** @defgroup wait Waiting for many
 *  @brief Waits on connections, processes and descriptors together. Python: connection.wait().
 *  @{ */

/** What an #mp_waitable refers to. */
enum mp_wait_kind {
    MP_WAIT_FD = 1,         /**< A descriptor of the program, in `fd`. */
    MP_WAIT_CONNECTION = 2, /**< An mp_connection, in `object`. */
    MP_WAIT_PROCESS = 3     /**< An mp_process, in `object`: ready once it has ended. */
};

/** What to wait for on it, and what was found. */
enum mp_wait_event {
    MP_READ = 1, /**< Something to read: data, a message, the end of file, the end of a process. */
    MP_WRITE = 2 /**< Room to write, or nobody left to read it. */
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
 * starves. The same thing may stand in the list twice. With a count of 0 it only waits.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: connection.wait().
 *
 * @param[in,out] items the things to wait for
 * @param count how many
 * @param timeout seconds
 * @return how many are ready; 0: the timeout passed; #MP_EINVAL: items is NULL with a count,
 *         count < 0, timeout is NaN, an unknown kind or event, an object is NULL, a descriptor is
 *         not open, a process is asked for #MP_WRITE; #MP_ESTATE: a process that was not started or
 *         is not a child, a connection used in the wrong direction; #MP_ECLOSED: a closed
 *         connection; #MP_EINTR; #MP_ENOMEM
 */
MP_API int mp_wait(mp_waitable *items, int count, double timeout);

MP_END_DECLS

/** @} */

#endif
