/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing streams without blocking. A socket is asked by MSG_DONTWAIT. A pipe is asked
 * by RWF_NOWAIT, which not every kernel has for pipes; without it poll() has to promise that the
 * call does not block: what it calls readable gives at least a byte or the end, and what it calls
 * writable takes PIPE_BUF bytes. Both hold as long as one process at a time reads, and one writes.
 *
 * A write to a pipe that nobody reads raises SIGPIPE in the writing thread. It is blocked there for
 * the write, and then taken off the thread's pending signals, unless one was pending before.
 */
#include "os/stream.h"

#include <errno.h>
#include <limits.h>
#include <mproc/error.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int code_of(int cause)
{
    if (cause == EPIPE || cause == ECONNRESET)
        return MP_EPIPE;
    return cause == EAGAIN ? MP_EAGAIN : MP_ESYS(cause);
}

/* EPERM: a sandbox may refuse by it. */
static bool lacks_nowait(int cause)
{
    return cause == EOPNOTSUPP || cause == ENOSYS || cause == EINVAL || cause == EPERM;
}

/* -1 and EAGAIN if poll() does not promise it. */
static bool promised(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    int n = poll(&one, 1, 0);
    if (n == 0)
        errno = EAGAIN;
    return n > 0;
}

static ssize_t read_pipe(mp__stream *stream, void *buffer, size_t size)
{
    if (!stream->is_patient) {
        struct iovec part = {buffer, size};
        ssize_t n = preadv2(stream->fd, &part, 1, -1, RWF_NOWAIT);
        if (n >= 0 || !lacks_nowait(errno))
            return n;
        stream->is_patient = true;
    }
    return promised(stream->fd, POLLIN) ? read(stream->fd, buffer, size) : -1;
}

ssize_t mp__stream_read(mp__stream *stream, void *buffer, size_t size)
{
    int saved = errno;
    ssize_t n;
    do
        n = stream->is_socket ? recv(stream->fd, buffer, size, MSG_DONTWAIT)
                              : read_pipe(stream, buffer, size);
    while (n < 0 && errno == EINTR);
    /* A reset is an end: what can still be read was read before it is told. */
    if (n < 0)
        n = errno == ECONNRESET ? 0 : code_of(errno);
    errno = saved;
    return n;
}

static ssize_t write_promised(int fd, const struct iovec *parts, int count)
{
    struct iovec few[2];
    size_t left = PIPE_BUF;
    int n = 0;
    for (; n < count && n < 2 && left > 0; n++) {
        few[n] = parts[n];
        if (few[n].iov_len > left)
            few[n].iov_len = left;
        left -= few[n].iov_len;
    }
    return promised(fd, POLLOUT) ? writev(fd, few, n) : -1;
}

static ssize_t write_pipe(mp__stream *stream, const struct iovec *parts, int count)
{
    if (!stream->is_patient) {
        ssize_t n = pwritev2(stream->fd, parts, count, -1, RWF_NOWAIT);
        if (n >= 0 || !lacks_nowait(errno))
            return n;
        stream->is_patient = true;
    }
    return write_promised(stream->fd, parts, count);
}

static ssize_t write_pipe_quietly(mp__stream *stream, const struct iovec *parts, int count)
{
    sigset_t set, before, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    sigemptyset(&pending);
    if (sigismember(&before, SIGPIPE)) /* else it would have been delivered */
        sigpending(&pending);

    ssize_t n = write_pipe(stream, parts, count);
    int cause = errno;
    if (n < 0 && cause == EPIPE && !sigismember(&pending, SIGPIPE)) {
        struct timespec at_once = {0, 0};
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = cause;
    return n;
}

static ssize_t write_socket(int fd, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t mp__stream_write(mp__stream *stream, const struct iovec *parts, int count)
{
    int saved = errno;
    ssize_t n;
    do
        n = stream->is_socket ? write_socket(stream->fd, parts, count)
                              : write_pipe_quietly(stream, parts, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        n = code_of(errno);
    errno = saved;
    return n;
}
