/* SPDX-License-Identifier: MIT */
/* What a child and its parent share: the gate at which the child waits, and its exit status. */
#ifndef MPROC_PROC_RECORD_H
#define MPROC_PROC_RECORD_H

#include <mproc/defs.h>
#include <stdbool.h>

typedef struct mp__record mp__record;

/* In the parent, before the fork. Returns 0 or a code. */
int mp__record_create(mp__record **out);

/* In the parent, when the child has ended or was never made; NULL is allowed. */
void mp__record_free(mp__record *r);

/* In the parent: lets the child go on, or sends it away. */
void mp__record_open(mp__record *r, bool go);

/* In the child: waits for that. False: leave at once, the parent has no use for you or is gone. */
bool mp__record_wait(mp__record *r, pid_t parent);

/* In the child, as the last thing: its exit status. */
void mp__record_settle(mp__record *r, pid_t parent, int status);

/* In the parent: the exit code, given what the kernel says. */
int mp__record_exitcode(const mp__record *r, int kernels);

#endif
