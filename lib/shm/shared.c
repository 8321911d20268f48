/* SPDX-License-Identifier: MIT */
#include <mproc/shared.h>

#include "shm/chunk.h"
#include "shm/reserve.h"
#include "shm/retire.h"
#include "shm/shared_block.h"
#include "shm/shared_leaks.h"
#include "shm/span.h"

#include <mproc/error.h>
#include <string.h>

static _Thread_local int last_error;

int mp_shared_error(void)
{
    return last_error;
}

void *mp__block_fail(int code)
{
    last_error = code;
    return NULL;
}

/* The class whose blocks hold the size and lie at multiples of the alignment: a span begins at a
 * page, so these are the classes of multiples. */
static unsigned class_for(size_t size, size_t alignment)
{
    unsigned class = mp__span_class(size);
    if (alignment <= 16)
        return class;
    while ((mp__span_block_size(class) & (alignment - 1)) != 0)
        class ++;
    return class;
}

/* A block and how many bytes it has. */
static void *take(mp__arena *a, size_t size, size_t alignment, size_t *whole)
{
    if (size > MP__SPAN_LARGEST) {
        *whole = mp__align_up(size, MP__CHUNK_SIZE);
        return mp__run_alloc(a, size);
    }
    unsigned class = class_for(size, alignment);
    *whole = mp__span_block_size(class);
    void *p = mp__span_alloc(a, class);
    if (p != NULL || mp__span_chunks(class) == 1)
        return p;
    *whole = MP__CHUNK_SIZE; /* there may be free chunks, but not so many in a row */
    return mp__run_alloc(a, MP__CHUNK_SIZE);
}

void *mp__block_alloc(size_t size, size_t alignment, const void *caller)
{
    int rc = mp_init();
    if (rc < 0)
        return mp__block_fail(rc);
    mp__arena *a = mp__arena_get();
    size_t whole;
    char *p = size <= SIZE_MAX / 2 ? take(a, size + a->tag, alignment, &whole) : NULL;
    if (p == NULL)
        return mp__block_fail(MP_ENOMEM);
    if (__builtin_expect(a->tag != 0, 0))
        mp__leaks_tag(p, whole, size, caller);
    mp__array_forget(p, whole - a->tag);
    last_error = 0;
    return p;
}

void *mp__block_calloc(size_t size, size_t alignment, const void *caller)
{
    void *p = mp__block_alloc(size, alignment, caller);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

size_t mp__block_usable(const mp__arena *a, const void *p)
{
    uint32_t head, d;
    if (a == NULL || !mp__chunk_find(a, p, &head, &d))
        return 0;
    if (mp__chunk_kind_of(d) == MP__CHUNK_SPAN) {
        const mp__span *span = &a->spans[mp__chunk_value(d)];
        return mp__span_holds(span, p) ? span->block_size - a->tag : 0;
    }
    if (p != mp__chunk_address(a, head) || (d & (MP__CHUNK_MARK | MP__CHUNK_SHELVED)))
        return 0;
    return mp__chunk_value(d) * MP__CHUNK_SIZE - a->tag;
}

void *mp_shared_alloc(size_t size)
{
    return mp__block_alloc(size, 16, __builtin_return_address(0));
}

void *mp_shared_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!mp__multiply(n, size, &bytes))
        return mp__block_fail(MP_EINVAL);
    return mp__block_calloc(bytes, 16, __builtin_return_address(0));
}

void mp_shared_free(void *p)
{
    last_error = 0;
    if (p == NULL)
        return;
    mp__arena *a = mp__arena_get();
    uint32_t head, d;
    int rc = MP_EINVAL;
    if (a != NULL && mp__chunk_find(a, p, &head, &d))
        rc = mp__chunk_kind_of(d) == MP__CHUNK_SPAN
                 ? mp__span_free(a, p, (uint32_t)mp__chunk_value(d))
                 : mp__run_free(a, p, head);
    last_error = rc;
    if (mp__reserve_due(a))
        mp__retire_idle(a);
}
