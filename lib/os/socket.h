/* SPDX-License-Identifier: MIT */
/* Packets on unix sockets: never blocking, never a signal, errno left alone. */
#ifndef MPROC_OS_SOCKET_H
#define MPROC_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What a descriptor is to a connection. */
enum mp__channel {
    MP__CHANNEL_NONE,   /* no connection can be made of it */
    MP__CHANNEL_PACKET, /* a unix socket that keeps the borders of packets */
    MP__CHANNEL_SOCKET, /* a stream socket */
    MP__CHANNEL_PIPE    /* a pipe or FIFO */
};

/* Also tells how it was opened. */
enum mp__channel mp__channel_of(int fd, bool *readable, bool *writable);

/* Whether fd is open at all; and that an exec closes it. */
bool mp__fd_is_open(int fd);
void mp__fd_set_cloexec(int fd);

/* Two connected packet sockets, closed on exec, above the standard streams. Returns 0 or a code. */
int mp__socket_pair(int ends[2]);

/* Nothing can be sent on this end any more, in any process, nor be received at the other. */
void mp__socket_end_sending(int fd);

/* The largest packet that leaves room for others in the send buffer. */
size_t mp__socket_packet_most(int fd);

/* Sends one packet as a whole, and a duplicate of `carried` with it unless that is negative.
 * Returns 0; MP_EAGAIN: no room; MP_EPIPE; another code. */
int mp__socket_send(int fd, const struct iovec *parts, int count, int carried);

/* Copies the packet at the head of the queue, which stays there, as far as it fits into `parts`.
 * Returns 1, and the length of the whole packet; 0: end of file; MP_EAGAIN: none is there; another
 * code. */
int mp__socket_peek(int fd, const struct iovec *parts, int count, size_t *length);

/* The descriptor that this packet carries: a duplicate of it, above the standard streams, closed on
 * exec; MP_ESYS(EMFILE): none is left here; MP_ESYS(EBADMSG): it carries none; another code. */
int mp__socket_peek_carried(int fd);

/* Takes the packet at the head away, with as many bytes as fit into `parts`. The same results. */
int mp__socket_take(int fd, const struct iovec *parts, int count);

#endif
