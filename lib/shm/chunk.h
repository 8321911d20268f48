/* SPDX-License-Identifier: MIT */
/* Runs of chunks: large blocks, and the ground of spans. */
#ifndef MPROC_SHM_CHUNK_H
#define MPROC_SHM_CHUNK_H

#include "shm/arena.h"

/* Locks the table, and repairs it if the last holder died. */
void mp__chunk_lock(mp__arena *a);
void mp__chunk_unlock(mp__arena *a);

/* With the lock held: finds `count` free chunks in a row and makes them its tails; the caller then
 * publishes the head's descriptor. *backed tells whether all are populated. Returns 0 or
 * MP_ENOMEM. */
int mp__chunk_claim(mp__arena *a, uint32_t count, uint32_t *first, bool *backed);

/* With the lock held: gives chunks back. */
void mp__chunk_release(mp__arena *a, uint32_t first, uint32_t count, bool backed);

/* The head of the chunk that p lies in; false if p is in no allocated chunk. */
bool mp__chunk_find(const mp__arena *a, const void *p, uint32_t *head, uint32_t *descriptor);

/* A large block of whole chunks, populated; NULL if there is no memory. */
void *mp__run_alloc(mp__arena *a, size_t size);
/* Frees it. Returns 0; MP_EINVAL: p is not its start, or it is being freed. */
int mp__run_free(mp__arena *a, void *p, uint32_t head, uint32_t descriptor);

#endif
