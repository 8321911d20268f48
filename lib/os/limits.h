/* SPDX-License-Identifier: MIT */
/* What this process may use: processors and memory, as affinity and control groups allow. */
#ifndef MPROC_OS_LIMITS_H
#define MPROC_OS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Usable processors, at least 1. */
int mp__limits_cpus(void);

/* The same as of the first call, in this process or in those it was forked from: for what should
 * fit the machine and need not be exact. Asking each time takes a hundred microseconds. */
int mp__limits_cpus_at_first(void);

/* Restricts the calling thread to the n-th (modulo their number) of its usable processors. */
void mp__limits_pin(unsigned n);

/* The lesser of the machine's memory and the control group's limit, in bytes. */
uint64_t mp__limits_memory(void);

#endif
