/* SPDX-License-Identifier: MIT */
/* Alignment, overflow, bits. */
#ifndef MPROC_BASE_BITS_H
#define MPROC_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP__CACHE_LINE 64

/* Rounds up to a multiple of a power of two; the caller knows that it does not overflow. */
static inline size_t mp__align_up(size_t n, size_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

static inline bool mp__is_aligned(const void *p, size_t alignment)
{
    return ((uintptr_t)p & (alignment - 1)) == 0;
}

/* Whether the product fits; only then is *product set. */
static inline bool mp__multiply(size_t a, size_t b, size_t *product)
{
    size_t result;
    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}

static inline unsigned mp__log2_floor(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

static inline size_t mp__min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t mp__max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
