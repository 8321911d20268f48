/* SPDX-License-Identifier: MIT */
/* What waits for many things see of a queue. */
#ifndef MPROC_CHAN_READY_H
#define MPROC_CHAN_READY_H

#include "chan/queue.h"

/* Whether get would not wait: a message is there, or the end. */
bool mp__queue_is_readable(const mp_queue *q);

/* Whether put would not wait, as far as it can be seen: of a queue without a limit of bytes. */
bool mp__queue_is_writable(const mp_queue *q);

#endif
