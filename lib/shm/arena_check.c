/* SPDX-License-Identifier: MIT */
/* The validator of the arena: what must hold whenever nobody is inside the allocator. */
#include "shm/arena.h"

#include "shm/chunk.h"
#include "shm/span.h"

#include <mproc/error.h>
#include <mproc/shared.h>

static const char *check_tails(const mp__arena *a, uint32_t head, size_t count)
{
    if (count == 0 || count > mp__load_relaxed(&a->top) - head)
        return "a run reaches beyond the used chunks";
    for (uint32_t i = 1; i < count; i++)
        if (mp__load_relaxed(&a->table[head + i]) != mp__chunk_make(MP__CHUNK_TAIL, i))
            return "a run's tail belongs to another run";
    return NULL;
}

static const char *check_span(const mp__arena *a, uint32_t head, uint32_t descriptor)
{
    size_t class = mp__chunk_value(descriptor);
    if (class >= MP__SIZE_CLASSES)
        return "a span of no known size class";
    const mp__span *span = (const mp__span *)(const void *)mp__chunk_address(a, head);
    size_t bytes = mp__span_chunks((unsigned)class) * MP__CHUNK_SIZE;
    if (span->magic != MP__SPAN_MAGIC)
        return "a span's header is written over";
    if (span->block_size != mp__span_block_size((unsigned)class))
        return "a span's block size is not its class's";
    if (span->blocks == 0 || span->first + (size_t)span->blocks * span->block_size > bytes)
        return "a span's blocks reach beyond its end";
    if (span->first < sizeof *span + mp__span_words(span) * sizeof(uint64_t))
        return "a span's first block overlaps its bitmap";
    if (span->blocks % 64 != 0) {
        uint64_t beyond = ~UINT64_C(0) << span->blocks % 64;
        if ((mp__load_relaxed(&span->taken[span->blocks / 64]) & beyond) != beyond)
            return "a span offers a block beyond its end";
    }
    return NULL;
}

/* Before anything is followed that the header says. */
static const char *check_header(const mp__arena *a)
{
    const char *base = (const char *)a, *table = (const char *)a->table;
    if (a->magic != MP__ARENA_MAGIC || a->layout != MP__ARENA_LAYOUT)
        return "the header is written over";
    if (table < base + sizeof *a || table > a->data || a->data > base + a->size ||
        a->chunks > (size_t)(base + a->size - a->data) / MP__CHUNK_SIZE ||
        a->chunks > (size_t)(a->data - table) / sizeof *a->table)
        return "the header's table and chunks are not where they can be";
    return NULL;
}

static const char *check_table(const mp__arena *a)
{
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t retained = 0;
    if (top > a->chunks)
        return "more chunks are in use than there are";
    for (uint32_t i = 0; i < top;) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        size_t count = 1;
        const char *problem = NULL;
        switch (mp__chunk_kind_of(d)) {
        case MP__CHUNK_TAIL:
            return "a tail belongs to no run";
        case MP__CHUNK_FREE:
            retained += (d & MP__CHUNK_MARK) != 0;
            break;
        case MP__CHUNK_SPAN:
            problem = check_span(a, i, d);
            count = problem == NULL ? mp__span_chunks((unsigned)mp__chunk_value(d)) : 1;
            break;
        case MP__CHUNK_RUN:
            count = mp__chunk_value(d);
            break;
        }
        if (problem == NULL)
            problem = check_tails(a, i, count);
        if (problem != NULL)
            return problem;
        i += (uint32_t)count;
    }
    return retained == mp__load_relaxed(&a->retained)
               ? NULL
               : "the count of populated free chunks is wrong";
}

int mp_shared_check(const char **problem)
{
    int rc = mp_init();
    if (problem != NULL)
        *problem = NULL;
    if (rc < 0)
        return rc;
    mp__arena *a = mp__arena_get();
    const char *found = check_header(a);
    if (found == NULL) {
        mp__chunk_lock(a);
        found = check_table(a);
        mp__chunk_unlock(a);
    }
    if (problem != NULL)
        *problem = found;
    return found == NULL ? 0 : MP_EBROKEN;
}
