/* SPDX-License-Identifier: MIT */
#include "os/poller.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <errno.h>
#include <mproc/error.h>

int mp__poll(struct pollfd *fds, int count, mp__deadline until)
{
    int saved = errno;
    bool slices = mp__thread_self()->is_main;
    for (;;) {
        mp__deadline next = slices ? mp__deadline_look_again(until) : until;
        int ready = poll(fds, (nfds_t)count, mp__deadline_poll_ms(next));
        int cause = errno;
        errno = saved;
        if (ready > 0)
            return ready;
        if (ready < 0 && cause != EINTR && cause != EAGAIN)
            return MP_ESYS(cause);
        if (until.ns != 0 && mp__interrupted())
            return MP_EINTR;
        if (mp__deadline_passed(until))
            return 0;
    }
}

int mp__poll_one(int fd, short events, mp__deadline until)
{
    struct pollfd one = {.fd = fd, .events = events};
    int rc = mp__poll(&one, 1, until);
    if (rc > 0 && (one.revents & POLLNVAL))
        return MP_EINVAL;
    return rc;
}
