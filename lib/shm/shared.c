/* SPDX-License-Identifier: MIT */
#include <mproc/shared.h>

#include "shm/chunk.h"
#include "shm/span.h"

#include <mproc/error.h>
#include <string.h>

static _Thread_local int last_error;

int mp_shared_error(void)
{
    return last_error;
}

static void *fail(int code)
{
    last_error = code;
    return NULL;
}

void *mp_shared_alloc(size_t size)
{
    int rc = mp_init();
    if (rc < 0)
        return fail(rc);
    mp__arena *a = mp__arena_get();
    void *p = size <= MP__SPAN_LARGEST ? mp__span_alloc(a, size) : mp__run_alloc(a, size);
    if (p == NULL)
        return fail(MP_ENOMEM);
    last_error = 0;
    return p;
}

void *mp_shared_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!mp__multiply(n, size, &bytes))
        return fail(MP_EINVAL);
    void *p = mp_shared_alloc(bytes);
    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

void mp_shared_free(void *p)
{
    last_error = 0;
    if (p == NULL)
        return;
    mp__arena *a = mp__arena_get();
    uint32_t head, descriptor;
    int rc = MP_EINVAL;
    if (a != NULL && mp__chunk_find(a, p, &head, &descriptor))
        rc = mp__chunk_kind_of(descriptor) == MP__CHUNK_SPAN ? mp__span_free(a, p, head)
                                                             : mp__run_free(a, p, head, descriptor);
    last_error = rc;
}
