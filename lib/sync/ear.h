/* SPDX-License-Identifier: MIT */
/* The sockets that calls listen to their doorbells with, each for as long as it lasts. */
#ifndef MPROC_SYNC_EAR_H
#define MPROC_SYNC_EAR_H

#include "os/datagram.h"
#include "os/owned.h"

typedef struct mp__ear {
    mp__owned socket;
    mp__datagram_name name;
} mp__ear;

/* Borrows one, with nothing in it. Returns 0 or a code. One is kept for the next call. */
int mp__ear_borrow(mp__ear **ear);
void mp__ear_return(mp__ear *ear);

#endif
