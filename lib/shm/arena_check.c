/* SPDX-License-Identifier: MIT */
/* The validator of the arena: what must hold whenever nobody is inside the allocator. */
#include "shm/arena.h"

#include "shm/chunk.h"
#include "shm/reserve.h"
#include "shm/shelf.h"
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

static const char *check_span(const mp__arena *a, uint32_t head, uint32_t number)
{
    if (number >= mp__load_relaxed(&a->spans_top))
        return "a span has no record";
    const mp__span *span = &a->spans[number];
    size_t class = span->class;
    if (span->magic != MP__SPAN_MAGIC)
        return "a span's record is written over";
    unsigned known = mp__load_relaxed(&a->classes[number]) & ~MP__SPAN_FULL;
    if (class >= MP__SIZE_CLASSES || known != class + 1)
        return "a span of no known size class";
    if (span->chunk != head || span->start != mp__chunk_address(a, head))
        return "a span's record is another's";
    if (span->block_size != mp__span_block_size((unsigned)class))
        return "a span's block size is not its class's";
    size_t bytes = mp__span_chunks((unsigned)class) * MP__CHUNK_SIZE;
    uint32_t blocks = mp__load_relaxed(&span->blocks);
    if (blocks != bytes / span->block_size)
        return "a span's blocks reach beyond its end, or not to it";
    uint32_t words = mp__load_relaxed(&span->words);
    if (words != (blocks + MP__SPAN_BITS - 1) / MP__SPAN_BITS)
        return "a span's bitmap has not its size";
    for (uint32_t w = 0; w < words; w++) {
        uint64_t taken = mp__load_relaxed(&span->taken[w]), empty = mp__span_empty_bits(span, w);
        if (taken >> MP__SPAN_BITS != span->generation)
            return "a span's bitmap is of another generation";
        if ((taken & empty) != empty)
            return "a span offers a block beyond its end";
    }
    return NULL;
}

/* Each record in use is one that a descriptor names: as many as there are spans. */
static const char *check_records(const mp__arena *a, uint32_t spans)
{
    uint32_t top = mp__load_relaxed(&a->spans_top);
    for (uint32_t n = 0; n < top; n++)
        spans -= mp__load_relaxed(&a->classes[n]) != 0;
    return spans == 0 ? NULL : "a span's record is in use without a span";
}

/* A record that a class says is in use: what is followed of it. */
static const char *reach_record(const mp__arena *a, uint32_t number)
{
    const mp__span *span = &a->spans[number];
    if (mp__load_relaxed(&a->classes[number]) == 0)
        return NULL;
    if (span->class >= MP__SIZE_CLASSES || span->chunk >= mp__load_relaxed(&a->top) ||
        mp__load_relaxed(&span->words) > MP__SPAN_WORDS)
        return "a span's record is beyond all bounds";
    return NULL;
}

static const char *reach_chunk(const mp__arena *a, uint32_t i)
{
    uint32_t d = mp__load_relaxed(&a->table[i]);
    size_t value = mp__chunk_value(d), left = mp__load_relaxed(&a->top) - i;
    switch (mp__chunk_kind_of(d)) {
    case MP__CHUNK_SPAN:
        if (value >= mp__load_relaxed(&a->spans_top))
            return "a span has no record";
        if (a->spans[value].class >= MP__SIZE_CLASSES || mp__chunk_length(a, d) > left)
            return "a span reaches beyond the used chunks";
        return NULL;
    case MP__CHUNK_RUN:
        return value == 0 || value > left ? "a run reaches beyond the used chunks" : NULL;
    default:
        return NULL;
    }
}

/* Before anything is followed, and without the lock, for what a death left is repaired by who takes
 * it: whether all of it is where it can be. */
static const char *check_reach(const mp__arena *a)
{
    if (!mp__arena_is_laid_out(a))
        return "the header is written over";
    uint32_t top = mp__load_relaxed(&a->top), spans = mp__load_relaxed(&a->spans_top);
    if (top > a->chunks)
        return "more chunks are in use than there are";
    if (spans > a->chunks)
        return "more records are in use than there are";
    const char *problem = NULL;
    for (uint32_t n = 0; n < spans && problem == NULL; n++)
        problem = reach_record(a, n);
    for (uint32_t i = 0; i < top && problem == NULL; i++)
        problem = reach_chunk(a, i);
    return problem;
}

/* What the walk along the table counts. */
typedef struct census {
    uint32_t retained, used, spans;
} census;

static const char *check_chunk(const mp__arena *a, uint32_t i, census *c, size_t *count)
{
    uint32_t d = mp__load_relaxed(&a->table[i]);
    const char *problem = NULL;
    *count = 1;
    if ((d & (MP__CHUNK_MARK | MP__CHUNK_SHELVED)) && mp__chunk_kind_of(d) != MP__CHUNK_RUN)
        return "what is no run is marked as one";
    switch (mp__chunk_kind_of(d)) {
    case MP__CHUNK_TAIL:
        return "a tail belongs to no run";
    case MP__CHUNK_FREE:
        c->retained += (uint32_t)__builtin_popcount((unsigned)mp__chunk_value(d));
        return mp__chunk_value(d) > MP__CHUNK_FULL ? "a free chunk has too many pages" : NULL;
    case MP__CHUNK_SPAN:
        problem = check_span(a, i, (uint32_t)mp__chunk_value(d));
        if (problem == NULL)
            *count = mp__chunk_length(a, d);
        c->spans++;
        break;
    case MP__CHUNK_RUN:
        *count = mp__chunk_value(d);
        break;
    }
    c->used += d & MP__CHUNK_MARK ? 0 : (uint32_t)*count;
    return problem;
}

/* Places are hints, and may be stale. */
static const char *check_shelves(const mp__arena *a)
{
    uint32_t pages = 0, reserve = mp__load_relaxed(&a->reserve);
    for (uint32_t shelf = 0; shelf < MP__SHELVES; shelf++) {
        uint32_t room = mp__load_relaxed(&a->shelves[shelf].room);
        if (room > MP__SHELF_PLACES)
            return "a shelf has more room than places";
        for (unsigned i = 0; i < MP__SHELF_PLACES; i++)
            if (mp__load_relaxed(&a->shelves[shelf].place[i]) > mp__load_relaxed(&a->top))
                return "a shelf names a chunk that was never used";
        pages += room * mp__shelf_longest(shelf) * MP__CHUNK_PAGES;
    }
    if (pages != mp__load_relaxed(&a->shelf_room))
        return "the count of the shelves' room is wrong";
    if (reserve < MP__RESERVE_LEAST || reserve > mp__reserve_most(a))
        return "the reserve is not what it can be";
    return NULL;
}

static const char *check_table(const mp__arena *a)
{
    uint32_t top = mp__load_relaxed(&a->top);
    census c = {0};
    const char *problem = NULL;
    for (uint32_t i = 0; i < top;) {
        size_t count;
        problem = check_chunk(a, i, &c, &count);
        if (problem == NULL)
            problem = check_tails(a, i, count);
        if (problem != NULL)
            return problem;
        i += (uint32_t)count;
    }
    if (c.retained != mp__load_relaxed(&a->retained))
        return "the count of populated free pages is wrong";
    if (c.used != a->used || a->used > a->peak || a->peak > a->chunks)
        return "the count of chunks in use is wrong";
    problem = check_shelves(a);
    return problem != NULL ? problem : check_records(a, c.spans);
}

int mp_shared_check(const char **problem)
{
    int rc = mp_init();
    if (problem != NULL)
        *problem = NULL;
    if (rc < 0)
        return rc;
    mp__arena *a = mp__arena_get();
    const char *found = check_reach(a);
    if (found == NULL && mp__chunk_lock_patiently(a) < 0)
        found = "the lock of the table is not given up";
    if (found == NULL) {
        found = check_table(a);
        mp__chunk_unlock(a);
    }
    if (problem != NULL)
        *problem = found;
    return found == NULL ? 0 : MP_EBROKEN;
}
