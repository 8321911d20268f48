/* SPDX-License-Identifier: MIT */
/* Waiting on descriptors. */
#ifndef MPROC_OS_POLLER_H
#define MPROC_OS_POLLER_H

#include "base/deadline.h"

#include <poll.h>

/* poll() until the deadline: goes on after signal handlers. Returns how many are ready, 0 at the
 * deadline, MP_EINTR when mp_interrupt() ended it (main thread), or another code. In the main
 * thread it looks for an interrupt at least every 100 ms: a handler in another thread cannot end a
 * poll. */
int mp__poll(struct pollfd *fds, int count, mp__deadline until);

/* The same for one: whether any of `events` (or a hang-up or error) is there. 1, 0 or a code. */
int mp__poll_one(int fd, short events, mp__deadline until);

#endif
