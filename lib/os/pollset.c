/* SPDX-License-Identifier: MIT */
#include "os/pollset.h"

#include "os/fd.h"

#include <errno.h>
#include <mproc/error.h>
#include <sys/epoll.h>

int mp__pollset_open(int a, int b)
{
    int saved = errno;
    int set = epoll_create1(EPOLL_CLOEXEC);
    int rc = set < 0 ? MP_ESYS(errno) : mp__fd_above_stdio(set);
    if (rc >= 0) {
        set = rc;
        struct epoll_event readable = {.events = EPOLLIN};
        if (epoll_ctl(set, EPOLL_CTL_ADD, a, &readable) != 0 ||
            epoll_ctl(set, EPOLL_CTL_ADD, b, &readable) != 0) {
            rc = MP_ESYS(errno);
            mp__fd_close(set);
        }
    }
    errno = saved;
    return rc;
}
