/* SPDX-License-Identifier: MIT */
/*
 * Unix datagram sockets with names in the abstract namespace. /proc/net/unix tells the names, and
 * who sends to one makes it readable for no reason, which users of this file put up with.
 *
 * One unbound socket per process sends; it is made at the first send. Since a signal handler may
 * come here there is no lock: the socket and what tells whether the number is still ours are one
 * word, and of two who make it at once one throws his away. A forked child makes its own. What is
 * sent and not yet received counts for its sender, so a full socket may be the sender's fault:
 * then a socket is made for that one byte.
 */
#include "os/datagram.h"

#include "base/atomic.h"
#include "os/atfork.h"
#include "os/fd.h"

#include <errno.h>
#include <mproc/error.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PREFIX "mproc-"
#define DIGITS 16

/* Number and inode of the socket that sends; 0: there is none. A descriptor of ours is above 2. */
static _Atomic uint64_t sender;

static socklen_t address_of(mp__datagram_name name, struct sockaddr_un *to)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    char *p = to->sun_path + 1;
    memcpy(p, PREFIX, sizeof PREFIX - 1);
    p += sizeof PREFIX - 1;
    for (int i = 0; i < DIGITS; i++)
        *p++ = "0123456789abcdef"[name >> (60 - 4 * i) & 15];
    return (socklen_t)(p - (char *)to);
}

static int code_of(int cause)
{
    return cause == ENOBUFS ? MP_ENOMEM : MP_ESYS(cause);
}

static int make(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? code_of(errno) : mp__fd_above_stdio(fd);
}

static void after_fork(void)
{
    uint64_t had = mp__exchange_seq(&sender, 0);
    struct stat s;
    int fd = (int)(had >> 32);
    if (had != 0 && fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode) &&
        (uint32_t)s.st_ino == (uint32_t)had)
        mp__fd_close(fd);
}

/* When the library is loaded: a lock for doing it later could be held at a signal. */
__attribute__((constructor)) static void install_hook(void)
{
    static mp__atfork part = {.child = after_fork};
    mp__atfork_add(&part);
}

int mp__datagram_open(mp__datagram_name *name)
{
    int saved = errno;
    int fd = make();
    int rc = fd;
    while (rc >= 0) {
        struct sockaddr_un address;
        if (getrandom(name, sizeof *name, 0) != (ssize_t)sizeof *name) {
            rc = MP_ESYS(errno);
            break;
        }
        socklen_t length = address_of(*name, &address);
        if (*name == 0)
            continue;
        if (bind(fd, (const struct sockaddr *)&address, length) == 0)
            break;
        if (errno != EADDRINUSE)
            rc = code_of(errno);
    }
    if (rc < 0)
        mp__fd_close(fd);
    errno = saved;
    return rc < 0 ? rc : fd;
}

/* The socket that sends, or a code. */
static int get_sender(void)
{
    struct stat s;
    uint64_t now = mp__load_relaxed(&sender);
    int fd = (int)(now >> 32);
    if (now != 0 && fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode) &&
        (uint32_t)s.st_ino == (uint32_t)now)
        return fd;
    fd = make();
    if (fd < 0)
        return fd;
    if (fstat(fd, &s) != 0) {
        mp__fd_close(fd);
        return MP_ESYS(EBADF);
    }
    uint64_t mine = (uint64_t)fd << 32 | (uint32_t)s.st_ino;
    if (mp__cas_seq(&sender, &now, mine))
        return fd;
    mp__fd_close(fd);
    return (int)(now >> 32);
}

/* Returns 0 or the cause. */
static int send_from(int fd, mp__datagram_name name)
{
    struct sockaddr_un address;
    socklen_t length = address_of(name, &address);
    ssize_t n;
    do
        n = sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address,
                   length);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

static int send_afresh(mp__datagram_name name)
{
    int fd = make();
    if (fd < 0)
        return fd;
    int cause = send_from(fd, name);
    mp__fd_close(fd);
    return cause;
}

int mp__datagram_send(mp__datagram_name name)
{
    int saved = errno;
    int rc = get_sender();
    if (rc >= 0)
        rc = send_from(rc, name);
    if (rc == EAGAIN)
        rc = send_afresh(name);
    errno = saved;
    if (rc == EAGAIN)
        return 0;
    return rc == ECONNREFUSED ? MP_EPIPE : rc > 0 ? code_of(rc) : rc;
}

int mp__datagram_send_from(int fd, mp__datagram_name name)
{
    int saved = errno;
    int cause = send_from(fd, name);
    errno = saved;
    return cause == 0 || cause == EAGAIN ? 0 : code_of(cause);
}

bool mp__datagram_exists(mp__datagram_name name)
{
    int saved = errno;
    struct sockaddr_un address;
    socklen_t length = address_of(name, &address);
    int fd = make();
    bool gone = fd >= 0 && connect(fd, (const struct sockaddr *)&address, length) != 0 &&
                errno == ECONNREFUSED;
    mp__fd_close(fd);
    errno = saved;
    return !gone;
}

bool mp__datagram_drain(int fd)
{
    int saved = errno;
    char byte;
    bool any = false;
    while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT) >= 0)
        any = true;
    errno = saved;
    return any;
}
