/* SPDX-License-Identifier: MIT */
/* The transport of mp_pipe(): a message is one packet. */
#ifndef MPROC_CHAN_PACKET_H
#define MPROC_CHAN_PACKET_H

#include "chan/connection.h"

extern const mp__transport mp__packet_transport;

/* The state of the two ends of a new pipe, which share their page of locks. Returns 0 or a code. */
int mp__packet_state_pair(int fd, void *states[2]);

/* The state of an end that was taken over. */
int mp__packet_state(int fd, void **state);

/* Of ends that became no connections. NULL is allowed. */
void mp__packet_dispose_state(void *state);

#endif
