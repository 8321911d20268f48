/* SPDX-License-Identifier: MIT */
/* The transport of foreign pipes and stream sockets: plain frames, as Python's Connection sends. */
#ifndef MPROC_CHAN_FRAME_H
#define MPROC_CHAN_FRAME_H

#include "chan/connection.h"

extern const mp__transport mp__frame_transport;

/* Returns 0 or a code. */
int mp__frame_state(int fd, bool is_socket, void **state);

#endif
