/* SPDX-License-Identifier: MIT */
/* Restartable sequences: what the C library has arranged with the kernel for each thread, so that a
 * thread can read which processor it runs on. */
#ifndef MPROC_OS_RSEQ_H
#define MPROC_OS_RSEQ_H

#include <stdbool.h>

/* A process that was made by vfork() has lost the arrangement, and so have its forked children,
 * while their C library believes in it: sched_getcpu() and per-processor allocators would go by a
 * number that nobody keeps up. Whether mp__rseq_renew() can put that right: it knows what the C
 * library has arranged, and so that nobody else has arranged anything. */
bool mp__rseq_renewable(void);

/* In such a child, while it has one thread; after that asked and answered with yes. */
void mp__rseq_renew(void);

#endif
