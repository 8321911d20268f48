/* SPDX-License-Identifier: MIT */
/* Spans: chunks cut into blocks of one size, with one bit for each block. */
#ifndef MPROC_SHM_SPAN_H
#define MPROC_SHM_SPAN_H

#include "shm/arena.h"

/* Beside a class in `classes`: no block was free when somebody looked, nor was one freed since. */
#define MP__SPAN_FULL 0x80u

/* The largest block that comes from a span. */
#define MP__SPAN_LARGEST ((size_t)32 << 10)

/* A word of the bitmap: the low bits stand for blocks (1: taken), the high ones are the span's
 * generation, or MP__SPAN_CLOSED in a word that nobody may take from. */
#define MP__SPAN_BITS   48u
#define MP__SPAN_MASK   ((UINT64_C(1) << MP__SPAN_BITS) - 1)
#define MP__SPAN_CLOSED UINT64_C(0xffff)
#define MP__SPAN_WORDS  86u /* for 4096 blocks */

#define MP__SPAN_MAGIC UINT32_C(0x6d707370)

typedef struct mp__span {
    uint32_t magic;
    uint32_t class;
    uint32_t block_size;
    _Atomic uint32_t blocks;
    uint32_t chunk;             /* where it lies */
    uint32_t generation;        /* of its words; another with each making */
    char *start;                /* block 0 */
    _Atomic uint32_t words;     /* of the bitmap */
    _Atomic uint32_t search;    /* word where the last block was found; a hint */
    _Atomic uint64_t backed[2]; /* pages that are populated, from the start */
    uint64_t reserved;
    _Atomic uint64_t taken[MP__SPAN_WORDS + 2]; /* bits of blocks beyond the last are set */
} mp__span;

_Static_assert(sizeof(mp__span) % MP__CACHE_LINE == 0, "no two records share a cache line");

unsigned mp__span_class(size_t size);
size_t mp__span_block_size(unsigned class);
uint32_t mp__span_chunks(unsigned class);

/* The bits of a word when no block is in use. */
uint64_t mp__span_empty_bits(const mp__span *span, uint32_t word);
/* Blocks in use. */
uint32_t mp__span_in_use(const mp__span *span);

/* How many shards a class has: of large blocks there are fewer, so that less lies idle. */
static inline uint32_t mp__span_shards(const mp__arena *a, unsigned class)
{
    return class < 20 ? a->shards : a->shards / 4; /* up to 1 KiB */
}

/* Whether a shard allocates from this span. */
bool mp__span_is_current(const mp__arena *a, uint32_t number, unsigned class);

/* Opens the words that are closed. */
void mp__span_open(mp__span *span);

/* A block of the class; NULL if there is no memory. */
void *mp__span_alloc(mp__arena *a, unsigned class);
/* Frees it. Returns 0; MP_EINVAL: p is not the start of a block in use. */
int mp__span_free(mp__arena *a, void *p, uint32_t number);
/* Whether p is the start of a block in use. */
bool mp__span_holds(const mp__span *span, const void *p);

#endif
