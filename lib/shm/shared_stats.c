/* SPDX-License-Identifier: MIT */
/* Figures of the arena. They are counted when they are asked for, out of what the allocator itself
 * goes by, so that no death makes them wrong; only the peak is kept. */
#include "os/region.h"
#include "shm/chunk.h"
#include "shm/span.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

_Static_assert(MP_SHARED_CLASSES == MP__SIZE_CLASSES, "the public table has all classes");

static size_t whole_pages(size_t bytes)
{
    return mp__align_up(bytes, mp__region_page_size());
}

static void count_span(mp_shared_usage *s, const mp__span *span)
{
    size_t blocks = mp__span_in_use(span);
    s->classes[span->class].blocks += blocks;
    s->blocks += blocks;
    s->in_use += blocks * span->block_size;
    for (int i = 0; i < 2; i++)
        s->committed +=
            (size_t)__builtin_popcountll(mp__load_relaxed(&span->backed[i])) * MP__CHUNK_PAGE;
}

/* *shelved counts what lies on shelves, or is on its way there. */
static void count_run(mp_shared_usage *s, uint32_t descriptor, size_t *shelved)
{
    size_t bytes = mp__chunk_value(descriptor) * MP__CHUNK_SIZE;
    s->committed += bytes;
    if (descriptor & MP__CHUNK_SHELVED)
        *shelved += bytes;
    if (descriptor & (MP__CHUNK_MARK | MP__CHUNK_SHELVED)) /* nobody's */
        return;
    s->large_blocks++;
    s->large_bytes += bytes;
    s->blocks++;
    s->in_use += bytes;
}

/* With the table locked. */
static void count(const mp__arena *a, mp_shared_usage *s)
{
    uint32_t top = mp__load_relaxed(&a->top);
    size_t shelved = 0;
    for (uint32_t i = 0; i < top;) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        switch (mp__chunk_kind_of(d)) {
        case MP__CHUNK_SPAN:
            count_span(s, &a->spans[mp__chunk_value(d)]);
            i += mp__chunk_length(a, d);
            break;
        case MP__CHUNK_RUN:
            count_run(s, d, &shelved);
            i += mp__chunk_length(a, d);
            break;
        default:
            i++;
        }
    }
    uint32_t records = mp__load_relaxed(&a->spans_top);
    s->committed += mp__load_relaxed(&a->retained) * MP__CHUNK_PAGE;
    s->committed += whole_pages(sizeof *a) + whole_pages(a->table_backed * sizeof(uint32_t)) +
                    whole_pages(records) + whole_pages(records * sizeof(mp__span));
    s->reserved = a->used * MP__CHUNK_SIZE - shelved;
    s->peak = a->peak * MP__CHUNK_SIZE;
    s->limit = a->chunks * MP__CHUNK_SIZE;
}

int mp_shared_stats(mp_shared_usage *out)
{
    mp_shared_usage s = {.size = sizeof s};
    if (out == NULL || out->size < offsetof(mp_shared_usage, classes))
        return MP_EINVAL;
    int rc = mp_init();
    if (rc < 0)
        return rc;
    mp__arena *a = mp__arena_get();
    for (unsigned c = 0; c < MP_SHARED_CLASSES; c++)
        s.classes[c].block_size = mp__span_block_size(c);
    mp__chunk_lock(a);
    count(a, &s);
    mp__chunk_unlock(a);
    size_t theirs = out->size;
    if (theirs > sizeof s)
        memset((char *)out + sizeof s, 0, theirs - sizeof s);
    memcpy(out, &s, mp__min_size(theirs, sizeof s));
    out->size = theirs;
    return 0;
}
