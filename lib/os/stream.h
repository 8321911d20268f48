/* SPDX-License-Identifier: MIT */
/* Bytes on pipes and stream sockets: never blocking, never a signal, errno left alone. */
#ifndef MPROC_OS_STREAM_H
#define MPROC_OS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A stream, as one of its users sees it. */
typedef struct mp__stream {
    int fd;
    bool is_socket;
    bool is_patient; /* a pipe that cannot be asked not to block: poll() has to promise it */
} mp__stream;

/* Reads what is there, up to size (> 0). Returns how much; 0: the end; MP_EAGAIN: nothing; a
 * code. */
ssize_t mp__stream_read(mp__stream *stream, void *buffer, size_t size);

/* Writes what there is room for. Returns how much (> 0); MP_EAGAIN: no room; MP_EPIPE; a code. */
ssize_t mp__stream_write(mp__stream *stream, const struct iovec *parts, int count);

#endif
