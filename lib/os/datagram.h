/* SPDX-License-Identifier: MIT */
/* Sockets that any process can send a byte to, who knows a number: no name in any file system, no
 * descriptor that would have to be inherited. */
#ifndef MPROC_OS_DATAGRAM_H
#define MPROC_OS_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

/* What a socket is known by: random, never 0. */
typedef uint64_t mp__datagram_name;

/* Makes a socket under a new name, closed on exec. Returns it or a code. The name is gone when all
 * copies of the socket are closed. */
int mp__datagram_open(mp__datagram_name *name);

/* Makes the socket readable, unless it is. Returns 0; MP_EPIPE: there is no socket of this name (in
 * this network namespace); another code: no descriptor or memory for it. Async-signal-safe. */
int mp__datagram_send(mp__datagram_name name);

/* The same from a socket of this process that is known to be there: one's own, to oneself. */
int mp__datagram_send_from(int fd, mp__datagram_name name);

/* Whether there is a socket of this name; true also if that cannot be found out. */
bool mp__datagram_exists(mp__datagram_name name);

/* Takes all bytes out. Returns whether there were any. Async-signal-safe. */
bool mp__datagram_drain(int fd);

#endif
