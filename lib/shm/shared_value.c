/* SPDX-License-Identifier: MIT */
/*
 * One value, and arrays that know their length. The length stands behind the elements, at the end
 * of the block, so that nothing stands before them; beside it a check word that is mixed from the
 * address and the length. A block that is no array has another word there: it is wiped when a block
 * is handed out.
 */
#include "shm/shared_block.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

typedef struct trailer {
    uint64_t count, check;
} trailer;

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t check_word(const void *array, uint64_t count)
{
    return mix((uint64_t)(uintptr_t)array + mix(count + UINT64_C(0x6d705f6172726179)));
}

static trailer *trailer_of(void *block, size_t usable)
{
    return (trailer *)(void *)((char *)block + usable - sizeof(trailer));
}

void mp__array_forget(void *block, size_t usable)
{
    if (usable >= sizeof(trailer))
        trailer_of(block, usable)->check = 0;
}

static bool is_alignment(size_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0 && alignment <= MP__BLOCK_ALIGNMENT;
}

void *mp_shared_value(const void *initial, size_t size, size_t alignment)
{
    if (!is_alignment(alignment))
        return mp__block_fail(MP_EINVAL);
    void *p = mp__block_alloc(size, alignment, __builtin_return_address(0));
    if (p != NULL && initial != NULL)
        memcpy(p, initial, size);
    else if (p != NULL)
        memset(p, 0, size);
    return p;
}

void *mp_shared_array(ssize_t count, size_t size, size_t alignment)
{
    size_t bytes;
    if (count < 0 || size == 0 || !is_alignment(alignment) ||
        !mp__multiply((size_t)count, size, &bytes) || bytes > SIZE_MAX / 2 - sizeof(trailer))
        return mp__block_fail(MP_EINVAL);
    void *p = mp__block_calloc(bytes + sizeof(trailer), alignment, __builtin_return_address(0));
    if (p == NULL)
        return NULL;
    size_t usable = mp__block_usable(mp__arena_get(), p);
    *trailer_of(p, usable) = (trailer){(uint64_t)count, check_word(p, (uint64_t)count)};
    return p;
}

ssize_t mp_array_length(const void *array)
{
    size_t usable = mp__block_usable(mp__arena_get(), array);
    if (usable < sizeof(trailer))
        return MP_EINVAL;
    const trailer *t = (const trailer *)(const void *)((const char *)array + usable - sizeof *t);
    return t->check == check_word(array, t->count) ? (ssize_t)t->count : MP_EINVAL;
}

void *mp_array_at(const void *array, size_t size, ssize_t index)
{
    ssize_t count = mp_array_length(array);
    size_t usable = mp__block_usable(mp__arena_get(), array);
    if (index < 0)
        index += count < 0 ? 0 : count;
    /* A size that is not the elements' must not lead out of the block. */
    if (index < 0 || index >= count || size > (usable - sizeof(trailer)) / ((size_t)index + 1))
        return mp__block_fail(MP_EINVAL);
    mp__block_fail(0);
    return (char *)(uintptr_t)array + (size_t)index * size;
}
