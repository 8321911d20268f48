/* SPDX-License-Identifier: MIT */
/* Which process a number means: numbers are used again, but never with the same start. */
#ifndef MPROC_OS_IDENTITY_H
#define MPROC_OS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* It exists, and /proc does not tell since when. */
#define MP__STARTED_UNKNOWN UINT64_C(1)

/* When the process started, in a unit of its own; 0: there is none. One whose last thread is on
 * its way out counts as gone; one whose first thread alone has ended does not. Without /proc a dead
 * process is there until its parent reaps it. */
uint64_t mp__process_started(int pid);

/* Whether two starts of the same number may be one process's. */
static inline bool mp__started_alike(uint64_t a, uint64_t b)
{
    return a == b || a == MP__STARTED_UNKNOWN || b == MP__STARTED_UNKNOWN;
}

/* Whether the process that had this number and this start is gone. */
bool mp__process_is_gone(int pid, uint64_t started);

#endif
