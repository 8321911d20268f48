/* SPDX-License-Identifier: MIT */
/*
 * O_NONBLOCK is never set: it belongs to the open file, which other processes share. Sockets are
 * asked call by call (MSG_DONTWAIT); how pipes are asked, see stream.c.
 */
#include "os/socket.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <mproc/error.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Room for one descriptor beside what a socket's owner may have asked for (credentials and
 * such). */
#define CONTROL_SIZE 128

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static enum mp__channel socket_kind(int fd)
{
    if (option_of(fd, SO_ACCEPTCONN) == 1)
        return MP__CHANNEL_NONE;
    int type = option_of(fd, SO_TYPE);
    if (type == SOCK_STREAM)
        return MP__CHANNEL_SOCKET;
    if (type == SOCK_SEQPACKET && option_of(fd, SO_DOMAIN) == AF_UNIX)
        return MP__CHANNEL_PACKET;
    return MP__CHANNEL_NONE;
}

enum mp__channel mp__channel_of(int fd, bool *readable, bool *writable)
{
    int saved = errno;
    enum mp__channel kind = MP__CHANNEL_NONE;
    struct stat s;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_PATH) && fstat(fd, &s) == 0) {
        if (S_ISSOCK(s.st_mode))
            kind = socket_kind(fd);
        else if (S_ISFIFO(s.st_mode))
            kind = MP__CHANNEL_PIPE;
        *readable = (flags & O_ACCMODE) != O_WRONLY;
        *writable = (flags & O_ACCMODE) != O_RDONLY;
    }
    errno = saved;
    return kind;
}

void mp__fd_set_cloexec(int fd)
{
    int saved = errno;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    errno = saved;
}

bool mp__fd_is_open(int fd)
{
    int saved = errno;
    bool open = fcntl(fd, F_GETFD) >= 0;
    errno = saved;
    return open;
}

static int code_of(int cause)
{
    switch (cause) {
    case EAGAIN:
        return MP_EAGAIN;
    case EPIPE:
    case ECONNRESET:
        return MP_EPIPE;
    case ENOBUFS:
        return MP_ENOMEM;
    default:
        return MP_ESYS(cause);
    }
}

int mp__socket_pair(int ends[2])
{
    int saved = errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        int rc = code_of(errno);
        errno = saved;
        return rc;
    }
    ends[0] = mp__fd_above_stdio(ends[0]);
    ends[1] = mp__fd_above_stdio(ends[1]);
    errno = saved;
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    mp__fd_close(ends[0]);
    mp__fd_close(ends[1]);
    return ends[0] < 0 ? ends[0] : ends[1];
}

void mp__socket_end_sending(int fd)
{
    int saved = errno;
    shutdown(fd, SHUT_WR);
    errno = saved;
}

size_t mp__socket_packet_most(int fd)
{
    int saved = errno;
    int room = option_of(fd, SO_SNDBUF);
    errno = saved;
    return room > 0 ? (size_t)room / 3 : 1024;
}

static ssize_t send_message(int fd, const struct msghdr *message)
{
    int saved = errno;
    ssize_t n;
    do
        n = sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        n = code_of(errno);
    errno = saved;
    return n;
}

int mp__socket_send(int fd, const struct iovec *parts, int count, int carried)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    if (carried >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof carried);
        memcpy(CMSG_DATA(part), &carried, sizeof carried);
    }
    ssize_t n = send_message(fd, &message);
    return n < 0 ? (int)n : 0;
}

/* A peer that closed while our own messages to it were unread leaves ECONNRESET, which is told
 * once, ahead of what can still be received: the next call finds that, or the end. */
static ssize_t receive_message(int fd, struct msghdr *message, int flags)
{
    int saved = errno;
    ssize_t n;
    do
        n = recvmsg(fd, message, flags | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        n = code_of(errno);
    errno = saved;
    return n;
}

int mp__socket_peek(int fd, const struct iovec *parts, int count, size_t *length)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t n = receive_message(fd, &message, MSG_PEEK);
    if (n <= 0)
        return (int)n;
    *length = (size_t)n;
    return 1;
}

int mp__socket_take(int fd, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t n = receive_message(fd, &message, 0);
    return n > 0 ? 1 : (int)n;
}

/* Keeps the first descriptor; a packet of ours never has more. */
static int collect(struct msghdr *message)
{
    int carried = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (carried < 0)
                carried = fd;
            else
                mp__fd_close(fd);
        }
    }
    return carried;
}

int mp__socket_peek_carried(int fd)
{
    union {
        char bytes[CONTROL_SIZE];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = receive_message(fd, &message, MSG_PEEK);
    if (n <= 0)
        return n == 0 ? MP_ESYS(EBADMSG) : (int)n;
    int saved = errno;
    int carried = collect(&message);
    if (carried >= 0)
        carried = mp__fd_above_stdio(carried);
    else
        carried = message.msg_flags & MSG_CTRUNC ? MP_ESYS(EMFILE) : MP_ESYS(EBADMSG);
    errno = saved;
    return carried;
}
