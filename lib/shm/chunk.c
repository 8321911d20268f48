/* SPDX-License-Identifier: MIT */
/*
 * Why a death harms nobody.
 *
 * The table is changed under a robust lock. A run comes into being in this order: `top` covers it;
 * its chunks become TAILs; the head's descriptor, stored last with release order, makes it a RUN or
 * a SPAN. It goes in the reverse order: the head becomes FREE first, then the tails. So at any
 * moment a walk from head to head sees only whole runs, free chunks, and TAILs that belong to
 * nobody; these are what a death in between leaves, and the next holder of the lock makes them
 * FREE.
 *
 * Memory is populated, and given back to the system, outside the lock, by the one who owns the run
 * at that time; a death there leaks that run, the block in flight, and nothing else. Frees are
 * decided by one compare-and-swap on the head, so that freeing twice is seen and does no harm.
 */
#include "shm/chunk.h"

#include "os/region.h"

#include <mproc/error.h>

/* So many free chunks stay populated; a larger stock goes back to the system. */
#define RETAIN_MOST ((uint32_t)((32u << 20) / MP__CHUNK_SIZE))

static size_t span_or_run_length(const mp__arena *a, uint32_t chunk, uint32_t descriptor)
{
    if (mp__chunk_kind_of(descriptor) == MP__CHUNK_RUN)
        return mp__chunk_value(descriptor);
    /* A span's length follows from its class, but its tails tell as well. */
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t n = 1;
    while (chunk + n < top &&
           mp__load_relaxed(&a->table[chunk + n]) == mp__chunk_make(MP__CHUNK_TAIL, n))
        n++;
    return n;
}

static void repair(mp__arena *a)
{
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t retained = 0;
    for (uint32_t i = 0; i < top;) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        switch (mp__chunk_kind_of(d)) {
        case MP__CHUNK_TAIL: /* of no run: its maker or its breaker died */
            mp__store_relaxed(&a->table[i], mp__chunk_make(MP__CHUNK_FREE, 0));
            i++;
            break;
        case MP__CHUNK_FREE:
            retained += (d & MP__CHUNK_MARK) != 0;
            i++;
            break;
        default:
            i += (uint32_t)span_or_run_length(a, i, d);
            break;
        }
    }
    mp__store_relaxed(&a->retained, retained);
    mp__store_relaxed(&a->search, 0);
}

void mp__chunk_lock(mp__arena *a)
{
    if (mp__mutex_lock(&a->lock))
        repair(a);
}

void mp__chunk_unlock(mp__arena *a)
{
    mp__mutex_unlock(&a->lock);
}

/* Extends the used part of the table, whose pages are populated as it grows. */
static int extend(mp__arena *a, uint32_t top)
{
    if (top > a->chunks)
        return MP_ENOMEM;
    if (top > a->table_backed) {
        uint32_t per_page = (uint32_t)(mp__region_page_size() / sizeof(uint32_t));
        uint32_t upto = (uint32_t)mp__align_up(top, per_page);
        if (upto > a->chunks)
            upto = a->chunks;
        int rc = mp__region_populate((void *)&a->table[a->table_backed],
                                     (upto - a->table_backed) * sizeof(uint32_t));
        if (rc < 0)
            return rc;
        a->table_backed = upto;
    }
    mp__store_release(&a->top, top); /* pairs with mp__chunk_find() */
    return 0;
}

/* The first `count` free chunks in a row from `from` on, which may reach beyond top. */
static uint32_t find_free(const mp__arena *a, uint32_t from, uint32_t count)
{
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t start = from;
    for (uint32_t i = from; i < top; i++) {
        if (mp__chunk_kind_of(mp__load_relaxed(&a->table[i])) != MP__CHUNK_FREE)
            start = i + 1;
        else if (i + 1 - start == count)
            break;
    }
    return start;
}

static uint32_t skip_used(const mp__arena *a, uint32_t i)
{
    uint32_t top = mp__load_relaxed(&a->top);
    while (i < top && mp__chunk_kind_of(mp__load_relaxed(&a->table[i])) != MP__CHUNK_FREE)
        i++;
    return i;
}

int mp__chunk_claim(mp__arena *a, uint32_t count, uint32_t *first, bool *backed)
{
    uint32_t from = skip_used(a, mp__load_relaxed(&a->search));
    mp__store_relaxed(&a->search, from);
    uint32_t start = find_free(a, from, count);
    if (count > a->chunks || start > a->chunks - count)
        return MP_ENOMEM;
    if (start + count > mp__load_relaxed(&a->top)) {
        int rc = extend(a, start + count);
        if (rc < 0)
            return rc;
    }
    *backed = true;
    for (uint32_t i = 0; i < count; i++) {
        bool here = (mp__load_relaxed(&a->table[start + i]) & MP__CHUNK_MARK) != 0;
        mp__sub_relaxed(&a->retained, here);
        *backed = *backed && here;
        mp__store_relaxed(&a->table[start + i], mp__chunk_make(MP__CHUNK_TAIL, i));
    }
    *first = start;
    return 0;
}

void mp__chunk_release(mp__arena *a, uint32_t first, uint32_t count, bool backed)
{
    uint32_t free = mp__chunk_make(MP__CHUNK_FREE, 0) | (backed ? MP__CHUNK_MARK : 0);
    for (uint32_t i = 0; i < count; i++)
        mp__store_relaxed(&a->table[first + i], free);
    mp__add_relaxed(&a->retained, backed ? count : 0);
    if (first < mp__load_relaxed(&a->search))
        mp__store_relaxed(&a->search, first);
}

bool mp__chunk_find(const mp__arena *a, const void *p, uint32_t *head, uint32_t *descriptor)
{
    if ((const char *)p < a->data)
        return false;
    size_t chunk = (size_t)((const char *)p - a->data) / MP__CHUNK_SIZE;
    if (chunk >= mp__load_acquire(&a->top)) /* pairs with extend() */
        return false;
    uint32_t d = mp__load_acquire(&a->table[chunk]);
    if (mp__chunk_kind_of(d) == MP__CHUNK_TAIL) {
        if (mp__chunk_value(d) > chunk)
            return false;
        chunk -= mp__chunk_value(d);
        d = mp__load_acquire(&a->table[chunk]);
    }
    *head = (uint32_t)chunk;
    *descriptor = d;
    return mp__chunk_kind_of(d) == MP__CHUNK_SPAN || mp__chunk_kind_of(d) == MP__CHUNK_RUN;
}

static void release_run(mp__arena *a, uint32_t head, uint32_t count, bool backed)
{
    mp__chunk_lock(a);
    mp__chunk_release(a, head, count, backed);
    mp__chunk_unlock(a);
}

void *mp__run_alloc(mp__arena *a, size_t size)
{
    if (size > (size_t)a->chunks * MP__CHUNK_SIZE)
        return NULL;
    uint32_t count = (uint32_t)(mp__align_up(size, MP__CHUNK_SIZE) / MP__CHUNK_SIZE);
    uint32_t head = 0;
    bool backed = false;
    mp__chunk_lock(a);
    int rc = mp__chunk_claim(a, count, &head, &backed);
    if (rc == 0) /* publishes the run; pairs with mp__chunk_find() */
        mp__store_release(&a->table[head], mp__chunk_make(MP__CHUNK_RUN, count));
    mp__chunk_unlock(a);
    if (rc < 0)
        return NULL;

    char *block = mp__chunk_address(a, head);
    if (!backed && mp__region_populate(block, (size_t)count * MP__CHUNK_SIZE) < 0) {
        mp__region_discard(block, (size_t)count * MP__CHUNK_SIZE);
        release_run(a, head, count, false);
        return NULL;
    }
    return block;
}

int mp__run_free(mp__arena *a, void *p, uint32_t head, uint32_t descriptor)
{
    if (p != mp__chunk_address(a, head) || (descriptor & MP__CHUNK_MARK))
        return MP_EINVAL;
    if (!mp__cas_relaxed(&a->table[head], &descriptor, descriptor | MP__CHUNK_MARK))
        return MP_EINVAL;
    uint32_t count = (uint32_t)mp__chunk_value(descriptor);
    bool keep = mp__load_relaxed(&a->retained) + count <=
                RETAIN_MOST; /* a stale value only moves the border */
    if (!keep)
        mp__region_discard(p, (size_t)count * MP__CHUNK_SIZE);
    release_run(a, head, count, keep);
    return 0;
}
