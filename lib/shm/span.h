/* SPDX-License-Identifier: MIT */
/* Spans: chunks cut into blocks of one size, with one bit for each block. */
#ifndef MPROC_SHM_SPAN_H
#define MPROC_SHM_SPAN_H

#include "shm/arena.h"

/* The largest block that comes from a span. */
#define MP__SPAN_LARGEST ((size_t)32 << 10)

#define MP__SPAN_PAGE ((size_t)4096) /* unit of `backed` */

#define MP__SPAN_MAGIC UINT64_C(0x6d70726f63737061)

typedef struct mp__span {
    uint64_t magic;
    uint32_t block_size;
    uint32_t blocks;
    uint32_t first;             /* offset of block 0 from the span's start */
    _Atomic uint32_t search;    /* word of the bitmap where the last block was found; a hint */
    _Atomic uint64_t backed[2]; /* pages that are populated, from the span's start */
    uint64_t reserved[2];
    _Atomic uint64_t taken[]; /* one bit per block; those beyond `blocks` are set */
} mp__span;

unsigned mp__span_class(size_t size);
size_t mp__span_block_size(unsigned class);
uint32_t mp__span_chunks(unsigned class);
uint32_t mp__span_words(const mp__span *span);

/* A block of at least `size` <= MP__SPAN_LARGEST bytes; NULL if there is no memory. */
void *mp__span_alloc(mp__arena *a, size_t size);
/* Frees it. Returns 0; MP_EINVAL: p is not the start of a block in use. */
int mp__span_free(mp__arena *a, void *p, uint32_t head);

#endif
