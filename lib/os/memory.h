/* SPDX-License-Identifier: MIT */
/* The calling process's memory. */
#ifndef MPROC_OS_MEMORY_H
#define MPROC_OS_MEMORY_H

#include <stddef.h>

/* Resident bytes that are not of files nor of shared memory: what it has inherited by fork() and
 * not written yet counts as well. 0 if that cannot be found out. */
size_t mp__memory_private(void);

#endif
