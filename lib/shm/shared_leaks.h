/* SPDX-License-Identifier: MIT */
/* Who allocated what, on request (MPROC_DEBUG=leaks). */
#ifndef MPROC_SHM_SHARED_LEAKS_H
#define MPROC_SHM_SHARED_LEAKS_H

#include "shm/arena.h"

/* While the arena is founded: reads MPROC_DEBUG. Returns 0 or a code. */
int mp__leaks_begin(mp__arena *a);

/* Writes down who has asked for so many bytes, at the end of a block of `whole` bytes. */
void mp__leaks_tag(void *block, size_t whole, size_t size, const void *caller);

#endif
