/* SPDX-License-Identifier: MIT */
/* What the example programs share: sleeping at the reader's pace, and giving up with a reason. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>

/* The scripts' time.sleep(), times the environment variable PACE: 0.1 is ten times as fast. */
static inline void nap(double seconds)
{
    const char *pace = getenv("PACE");
    mp_wait(NULL, 0, pace != NULL ? seconds * atof(pace) : seconds);
}

static inline void check(long rc, const char *call)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", call, mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

/* Ends the process if the call failed, as an exception that nobody catches. */
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__)

#endif
