/* SPDX-License-Identifier: MIT */
/* Lifelines: how a child learns, or is made to learn, that its parent is gone. */
#ifndef MPROC_OS_LIFELINE_H
#define MPROC_OS_LIFELINE_H

#include "os/owned.h"

#include <sys/types.h>

/* The line to one child, in memory that both see their own copy of. */
typedef struct mp__lifeline {
    mp__owned reader; /* an open file of the child's own */
    mp__owned writer; /* the parent's, for this child alone; most often there is none */
} mp__lifeline;

#define MP__LIFELINE_NONE ((mp__lifeline){MP__OWNED_NONE, MP__OWNED_NONE})

/* In the parent, before it forks: makes a line for the child that this thread forks next. Returns 0
 * or a code. */
int mp__lifeline_prepare(mp__lifeline *line);

/* In the parent, after fork(), also after a failed one: gives up the child's end. */
void mp__lifeline_sent(mp__lifeline *line);

/* In the parent, when the child has ended or was never made. Harmless for a line that is gone. */
void mp__lifeline_drop(mp__lifeline *line);

/* In the child: from now on the kernel kills it when its parent has ended. If that has happened
 * already, or cannot be arranged, it kills itself. */
void mp__lifeline_arm(mp__lifeline *line, pid_t parent);

/* In the child, instead: a descriptor that shows POLLHUP once the parent has ended; -1 if it was
 * closed by somebody. */
int mp__lifeline_fd(const mp__lifeline *line);

#endif
