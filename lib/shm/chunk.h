/* SPDX-License-Identifier: MIT */
/* Runs of chunks: large blocks, and the ground of spans. */
#ifndef MPROC_SHM_CHUNK_H
#define MPROC_SHM_CHUNK_H

#include "shm/arena.h"

/* The longest span, in chunks. */
#define MP__CLAIM_NOTED 8

/* Chunks that belong to the caller, and which of their pages are populated. */
typedef struct mp__claim {
    uint32_t first;
    bool backed;                     /* all of them */
    uint16_t pages[MP__CLAIM_NOTED]; /* one bit each, of the first chunks */
} mp__claim;

/* Locks the table, and repairs it if the last holder died. */
void mp__chunk_lock(mp__arena *a);
/* The same, but a holder that does not come to its end is given up: MP_ETIMEDOUT; else 0. */
int mp__chunk_lock_patiently(mp__arena *a);
void mp__chunk_unlock(mp__arena *a);

/* With the lock held: finds `count` free chunks in a row and makes them its tails; the caller then
 * publishes the head's descriptor. Returns 0 or MP_ENOMEM. */
int mp__chunk_claim(mp__arena *a, uint32_t count, mp__claim *claim);

/* With the lock held: gives chunks back, from the head on; `pages` of each are populated. */
void mp__chunk_release(mp__arena *a, uint32_t first, uint32_t count, uint32_t pages);

/* The head of the chunk that p lies in; false if p is in no allocated chunk. */
bool mp__chunk_find(const mp__arena *a, const void *p, uint32_t *head, uint32_t *descriptor);

/* How many chunks the span or run has that begins with this descriptor. */
uint32_t mp__chunk_length(const mp__arena *a, uint32_t descriptor);

/* A large block of whole chunks, populated; NULL if there is no memory. */
void *mp__run_alloc(mp__arena *a, size_t size);
/* Frees it. Returns 0; MP_EINVAL: p is not the start of a run in use. */
int mp__run_free(mp__arena *a, void *p, uint32_t head);

#endif
