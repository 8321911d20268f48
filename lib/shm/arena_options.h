/* SPDX-License-Identifier: MIT */
/* How large the arena may become: what the program says, else the environment, else the machine. */
#ifndef MPROC_SHM_ARENA_OPTIONS_H
#define MPROC_SHM_ARENA_OPTIONS_H

#include <mproc/shared.h>

/* Less than this is of no use. */
#define MP__ARENA_SMALLEST ((size_t)1 << 20)

/* Both under the guard of arena.c. Return 0 or MP_EINVAL. */
int mp__arena_set_options(const mp_arena_options *options);
/* The bytes that blocks may take. */
int mp__arena_limit(size_t *limit);

#endif
