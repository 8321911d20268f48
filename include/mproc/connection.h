/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/connection.h
 * @brief Connections: the ends of pipes, which carry whole messages.
 */
#ifndef MPROC_CONNECTION_H
#define MPROC_CONNECTION_H

#include <mproc/defs.h>

/** @defgroup connection Connection
 *  @brief One end of a channel for messages between two processes. Python: connection.Connection.
 *
 *  mp_pipe() makes a connected pair. A connection is a handle of one process: it is inherited over
 *  a fork, and closing it closes the caller's copy alone. Messages are bytes with a length and stay
 *  whole, whatever their length, also when several processes and threads send and receive on copies
 *  of one end, and when a sender is killed: then the message is there or is not.
 *
 *  **When a peer dies or closes.** A receiver sees the end of file (#MP_EEOF) when every copy of
 *  the other end, in every process, is closed or its process is gone, and everything sent was read.
 *  So every process closes the ends that it does not use. A sender then gets #MP_EPIPE; no signal
 *  is raised. A message that was being received by a process that is killed stays or is gone, never
 *  half there.
 *
 *  See the chapters @ref guide_pipe "Pipe" and @ref guide_connection "Connection".
 *  @{ */

/** One end of a channel. */
typedef struct mp_connection mp_connection;

/** Options of mp_connection_create(). */
typedef struct mp_connection_options {
    size_t size;  /**< sizeof(mp_connection_options); mp_connection_new() sets it. */
    int readable; /**< #MP_YES, #MP_NO; not given: as the descriptor was opened. */
    int writable; /**< #MP_YES, #MP_NO; not given: as the descriptor was opened. */
} mp_connection_options;

MP_BEGIN_DECLS

/**
 * Makes a connection of a pipe's or a stream socket's descriptor, which it then owns.
 *
 * Messages travel in plain frames: a length of 4 bytes, big-endian, and the bytes (for 2 GiB and
 * more: -1, then 8 bytes of length), as Python's Connection sends them. On such a connection one
 * process at a time may send, and one may receive; threads of a process may share it. The
 * descriptor of a connection of mp_pipe(), taken over from another process, works as well, and
 * keeps its whole-message promises, except that it must not be shared for receiving. Before such an
 * end is handed on, what has arrived on it should be received: small messages of the family may lie
 * in its shared memory, where others cannot reach them. What is sent after mp_connection_send_fd()
 * has sent the descriptor is for its new holder; handed on in other ways, after those who received
 * on it before have closed their copies.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Connection(handle).
 *
 * @param[out] out the new connection, NULL on failure (fd is then still the caller's)
 * @param fd a descriptor of a pipe or socket; it is made non-inheritable over exec
 * @param options see #mp_connection_options, or NULL
 * @return 0; #MP_EINVAL: out is NULL, fd is not open or no pipe or socket, neither direction is
 *         left, a direction is asked for that the descriptor has not; #MP_ENOMEM
 */
MP_API int mp_connection_create(mp_connection **out, int fd, const mp_connection_options *options);

/** mp_connection_create() with keywords: `mp_connection_new(&c, fd, .writable = MP_NO)`. */
#define mp_connection_new(...) MP_I_NEW2(mp_connection, __VA_ARGS__)

/**
 * Sends one message; returns when it is on its way, as a whole.
 *
 * Blocks while the channel is full. Thread-safe; not async-signal-safe; usable after a plain
 * fork(). Python: send_bytes().
 *
 * @param c a writable connection
 * @param data the bytes; may be NULL if length is 0
 * @param length how many, 0 included
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT: the channel stayed full, nothing was sent; #MP_EAGAIN: at a try, others
 *         on this end were busy for 1 ms, nothing was sent; #MP_EPIPE: every copy of the
 *         other end is gone, or (plain frames only) the deadline cut the message off, which ends
 *         the connection; #MP_ECLOSED; #MP_ESTATE: a read-only end; #MP_EINVAL: c is NULL, data is
 *         NULL with a length, timeout is NaN; #MP_EINTR; #MP_ESYS(EMFILE): a large message (over 64
 *         KiB) needs a spare descriptor; #MP_ENOMEM
 */
MP_API int mp_connection_send(mp_connection *c, const void *data, size_t length, double timeout);

/**
 * Receives one message.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: recv_bytes_into().
 *
 * @param c a readable connection
 * @param[out] buffer where the message goes; may be NULL if capacity is 0
 * @param capacity how many bytes fit
 * @param timeout seconds
 * @return the message's length, which may be 0; #MP_EMSGSIZE: it does not fit, and stays, see
 *         mp_connection_next_size(); #MP_ETIMEDOUT; #MP_EEOF; #MP_ECLOSED; #MP_ESTATE: a write-only
 *         end, or the next message carries a descriptor; #MP_EINVAL: c is NULL, buffer is NULL with
 *         a capacity, timeout is NaN; #MP_EINTR; #MP_EPIPE: the stream ended inside a message
 *         (plain frames only); #MP_ESYS(EMFILE): a large message needs a spare descriptor, and
 *         stays; #MP_EAGAIN: at a try, other receivers on this end were busy for 1 ms
 */
MP_API ssize_t mp_connection_recv(mp_connection *c, void *buffer, size_t capacity, double timeout);

/**
 * The length of the next message, which stays. Waits for one.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param c a readable connection
 * @param timeout seconds
 * @return the length, or a code of mp_connection_recv()
 */
MP_API ssize_t mp_connection_next_size(mp_connection *c, double timeout);

/**
 * Receives one message into memory that it allocates.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: recv_bytes().
 *
 * @param c a readable connection
 * @param[out] data the bytes, to be released with free(); never NULL on success, NULL on failure
 * @param[out] length how many
 * @param timeout seconds
 * @return 0; #MP_ENOMEM: the message stays; or a code of mp_connection_recv()
 */
MP_API int mp_connection_recv_alloc(mp_connection *c, void **data, size_t *length, double timeout);

/**
 * Whether a receive would find something: a message, or the end of file.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: poll().
 *
 * @param c a readable connection
 * @param timeout seconds to wait for it
 * @return 1: a message, or the beginning of one, or the end of file; 0: neither; #MP_ESTATE: a
 *         write-only end; #MP_ECLOSED; #MP_EINVAL: c is NULL, timeout is NaN; #MP_EINTR
 */
MP_API int mp_connection_poll(mp_connection *c, double timeout);

/** The descriptor of a connection, readable when there is something to receive, for poll and epoll.
 *  It may also be readable when there is nothing, until a receive has found that out; it is never
 *  silent when there is something. That it is writable does not say that a message fits. Never
 *  read, write or close it. Thread-safe; not async-signal-safe. Python: fileno().
 *  @param c a connection
 *  @return the descriptor; #MP_ECLOSED; #MP_EINVAL: c is NULL */
MP_API int mp_connection_fileno(const mp_connection *c);

/**
 * Closes this process's copy of a connection. What was sent stays readable at the other end.
 *
 * Threads that are blocked on it return #MP_ECLOSED (within 100 ms).
 * Thread-safe; not async-signal-safe. Python: close().
 *
 * @param c a connection
 * @return 0, again when it is closed already; #MP_EINVAL: c is NULL
 */
MP_API int mp_connection_close(mp_connection *c);

/** Whether this process closed the connection. Thread-safe; not async-signal-safe. Python: closed.
 *  @param c a connection
 *  @return true if closed, and for NULL */
MP_API bool mp_connection_closed(const mp_connection *c);

/** Whether the connection can receive. Thread-safe; not async-signal-safe. Python: readable.
 *  @param c a connection
 *  @return true if it can; false for NULL */
MP_API bool mp_connection_readable(const mp_connection *c);

/** Whether the connection can send. Thread-safe; not async-signal-safe. Python: writable.
 *  @param c a connection
 *  @return true if it can; false for NULL */
MP_API bool mp_connection_writable(const mp_connection *c);

/**
 * Sends an open descriptor: a message of its own, in order with the others.
 *
 * Only on a connection of mp_pipe() that is two-way or the writing end.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: reduction.send_handle().
 *
 * @param c a writable connection
 * @param fd any descriptor of the calling process, which stays open
 * @param timeout seconds
 * @return a code of mp_connection_send(); #MP_EINVAL also if fd is not open; #MP_ESTATE also if the
 *         connection was made of a pipe's or stream socket's descriptor
 */
MP_API int mp_connection_send_fd(mp_connection *c, int fd, double timeout);

/**
 * Receives a descriptor.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: reduction.recv_handle().
 *
 * @param c a readable connection
 * @param timeout seconds
 * @return the new descriptor, closed on exec; #MP_ESTATE: the next message carries none, and stays;
 *         #MP_ESYS(EMFILE): no descriptor is left, and the message stays; or a code of
 *         mp_connection_recv()
 */
MP_API int mp_connection_recv_fd(mp_connection *c, double timeout);

/** Closes the connection and frees the calling process's handle. Nobody may be using it.
 *  Thread-safe as long as nobody uses c any more; not async-signal-safe.
 *  Python: close() and collection.
 *  @param c a connection, or NULL */
MP_API void mp_connection_free(mp_connection *c);

MP_END_DECLS

/** @} */

#endif
