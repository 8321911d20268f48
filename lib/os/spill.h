/* SPDX-License-Identifier: MIT */
/* What does not go into a packet: bytes in a nameless file of memory, which lives as long as a
 * descriptor of it, also one on its way through a socket. */
#ifndef MPROC_OS_SPILL_H
#define MPROC_OS_SPILL_H

#include <stdbool.h>
#include <stddef.h>

/* A new, empty one. Returns its descriptor, or a code. */
int mp__spill_new(void);

/* Writes the bytes to it. Returns 0; MP_ESYS(EFBIG): more than a file may have; another code. */
int mp__spill_write(int fd, const void *data, size_t length);

/* Whether it has so many bytes; no other kind of file has any. */
bool mp__spill_holds(int fd, size_t length);

/* Reads the first bytes of it. Returns 0; MP_ESYS(EBADMSG): there are fewer; another code. */
int mp__spill_read(int fd, void *data, size_t length);

#endif
