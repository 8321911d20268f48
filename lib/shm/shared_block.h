/* SPDX-License-Identifier: MIT */
/* Blocks of any size, with their caller's name on them if the family asks for that. */
#ifndef MPROC_SHM_SHARED_BLOCK_H
#define MPROC_SHM_SHARED_BLOCK_H

#include "shm/arena.h"

/* The strictest alignment that can be asked for. */
#define MP__BLOCK_ALIGNMENT ((size_t)4096)

/* At the end of each block, when leaks are to be reported. */
typedef struct mp__tag {
    const void *caller;
    size_t size; /* as asked for */
    int pid;
    uint32_t check;
} mp__tag;

/* At least `size` bytes for `caller`; NULL: see mp_shared_error(). */
void *mp__block_alloc(size_t size, size_t alignment, const void *caller);

/* The same, zeroed. */
void *mp__block_calloc(size_t size, size_t alignment, const void *caller);

/* Notes why a call failed, or 0: it did not; returns NULL. */
void *mp__block_fail(int code);

/* How many bytes the user may use of the block in use that begins at p; 0 if there is none. */
size_t mp__block_usable(const mp__arena *a, const void *p);

/* A block with so many usable bytes is no array; see shm/shared_value.c. */
void mp__array_forget(void *block, size_t usable);

#endif
