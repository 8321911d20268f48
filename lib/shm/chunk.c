/* SPDX-License-Identifier: MIT */
/*
 * Why a death harms nobody.
 *
 * The table is changed under a robust lock. A run comes into being in this order: `top` covers it;
 * its chunks become TAILs; the head's descriptor, stored last with release order, makes it a RUN or
 * a SPAN. It goes in the reverse order: the head becomes FREE first, then the tails. So at any
 * moment a walk from head to head sees only whole runs, free chunks, and TAILs that belong to
 * nobody; these are what a death in between leaves. The next holder of the lock gives their pages
 * back to the system, since nobody knows which of them are populated, and makes them FREE; and it
 * counts anew what is counted.
 *
 * A run that is freed goes to a shelf, where the next one takes it (shelf.c), neither of them with
 * the lock; the shelves are cleared before pages are populated for what they could have given. A
 * run that is freed twice is seen: the second finds no run in use.
 *
 * Memory is populated outside the lock, by the one who owns the run by then; a death there leaks
 * that run, the block in flight, and nothing else.
 */
#include "shm/chunk.h"

#include "os/clock.h"
#include "os/region.h"
#include "os/step.h"
#include "shm/reserve.h"
#include "shm/retire.h"
#include "shm/shelf.h"

#include <mproc/error.h>

#define PATIENCE_NS (2000 * MP__NS_PER_MS)

uint32_t mp__chunk_length(const mp__arena *a, uint32_t descriptor)
{
    if (mp__chunk_kind_of(descriptor) == MP__CHUNK_RUN)
        return (uint32_t)mp__chunk_value(descriptor);
    return mp__span_chunks(a->spans[mp__chunk_value(descriptor)].class);
}

static uint32_t count_pages(uint32_t descriptor)
{
    return (uint32_t)__builtin_popcount((unsigned)mp__chunk_value(descriptor));
}

/* TAILs of no run, from i on: their maker or their breaker died. Returns the next chunk. */
static uint32_t free_orphans(mp__arena *a, uint32_t i)
{
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t end = i;
    while (end < top && mp__chunk_kind_of(mp__load_relaxed(&a->table[end])) == MP__CHUNK_TAIL)
        end++;
    mp__region_discard(mp__chunk_address(a, i), (end - i) * MP__CHUNK_SIZE);
    for (; i < end; i++)
        mp__store_relaxed(&a->table[i], mp__chunk_make(MP__CHUNK_FREE, 0));
    return end;
}

static void repair(mp__arena *a)
{
    uint32_t top = mp__load_relaxed(&a->top);
    uint32_t retained = 0, used = 0;
    mp__retire_repair(a);
    for (uint32_t i = 0; i < top;) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        uint32_t length = 1;
        switch (mp__chunk_kind_of(d)) {
        case MP__CHUNK_TAIL:
            i = free_orphans(a, i);
            continue;
        case MP__CHUNK_FREE:
            retained += count_pages(d);
            break;
        default:
            length = mp__chunk_length(a, d);
            used += d & MP__CHUNK_MARK ? 0 : length;
            break;
        }
        i += length;
    }
    mp__store_relaxed(&a->retained, retained);
    a->used = used;
    mp__store_relaxed(&a->search, 0);
    mp__store_relaxed(&a->trim_search, top);
    mp__shelf_gather(a);
}

void mp__chunk_lock(mp__arena *a)
{
    if (mp__mutex_lock(&a->lock))
        repair(a);
    MP_STEP("shared.table.locked");
}

int mp__chunk_lock_patiently(mp__arena *a)
{
    int rc = mp__mutex_acquire(&a->lock, mp__deadline_in_ns(PATIENCE_NS), false);
    if (rc == MP_ETIMEDOUT)
        return rc;
    if (rc == MP_EDEADLK) /* a dead thread had our id */
        rc = mp__mutex_lock(&a->lock) ? MP_OWNERDEAD : 0;
    if (rc == MP_OWNERDEAD)
        repair(a);
    return 0;
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
    MP_STEP("shared.table.extended");
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

/* Makes a free chunk the i-th of a claim. */
static void claim_one(mp__arena *a, mp__claim *claim, uint32_t i)
{
    _Atomic uint32_t *descriptor = &a->table[claim->first + i];
    uint32_t d = mp__load_relaxed(descriptor);
    if (i < MP__CLAIM_NOTED)
        claim->pages[i] = (uint16_t)mp__chunk_value(d);
    claim->backed = claim->backed && mp__chunk_value(d) == MP__CHUNK_FULL;
    mp__sub_relaxed(&a->retained, count_pages(d));
    mp__store_relaxed(descriptor, mp__chunk_make(MP__CHUNK_TAIL, i));
}

static uint32_t find_start(mp__arena *a, uint32_t count)
{
    uint32_t from = skip_used(a, mp__load_relaxed(&a->search));
    mp__store_relaxed(&a->search, from);
    return find_free(a, from, count);
}

/* How many pages of these chunks, which are free or were never used, are not populated. */
static uint32_t count_missing(const mp__arena *a, uint32_t start, uint32_t count)
{
    uint32_t top = mp__load_relaxed(&a->top), pages = count * MP__CHUNK_PAGES;
    for (uint32_t i = 0; i < count && start + i < top; i++)
        pages -= count_pages(mp__load_relaxed(&a->table[start + i]));
    return pages;
}

int mp__chunk_claim(mp__arena *a, uint32_t count, mp__claim *claim)
{
    uint32_t start = find_start(a, count);
    if (mp__load_relaxed(&a->shelf_room) != 0 &&
        count_missing(a, start, count) >= MP__CHUNK_PAGES) {
        mp__shelf_clear(a);
        start = find_start(a, count);
    }
    if (count > a->chunks || start > a->chunks - count)
        return MP_ENOMEM;
    if (start + count > mp__load_relaxed(&a->top)) {
        int rc = extend(a, start + count);
        if (rc < 0)
            return rc;
    }
    claim->first = start;
    claim->backed = true;
    mp__reserve_missed(a, count_missing(a, start, count));
    for (uint32_t i = 0; i < count; i++)
        claim_one(a, claim, i);
    a->used += count;
    if (a->used > a->peak)
        a->peak = a->used;
    mp__reserve_look(a);
    MP_STEP("shared.table.claimed");
    return 0;
}

void mp__chunk_release(mp__arena *a, uint32_t first, uint32_t count, uint32_t pages)
{
    uint32_t free = mp__chunk_make(MP__CHUNK_FREE, pages);
    for (uint32_t i = 0; i < count; i++) {
        mp__store_relaxed(&a->table[first + i], free);
        if (i == 0)
            MP_STEP("shared.table.head_released");
    }
    a->used -= count;
    mp__add_relaxed(&a->retained, count * count_pages(free));
    if (first < mp__load_relaxed(&a->search))
        mp__store_relaxed(&a->search, first);
    if (pages != 0 && first + count > mp__load_relaxed(&a->trim_search))
        mp__store_relaxed(&a->trim_search, first + count);
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

static int claim_run(mp__arena *a, uint32_t count, mp__claim *claim)
{
    mp__chunk_lock(a);
    int rc = mp__chunk_claim(a, count, claim);
    if (rc == 0) /* publishes the run; pairs with mp__chunk_find() */
        mp__store_release(&a->table[claim->first], mp__chunk_make(MP__CHUNK_RUN, count));
    mp__chunk_unlock(a);
    return rc;
}

void *mp__run_alloc(mp__arena *a, size_t size)
{
    if (size > mp__min_size(a->chunks, MP__CHUNK_LONGEST) * MP__CHUNK_SIZE)
        return NULL;
    uint32_t count = (uint32_t)(mp__align_up(size, MP__CHUNK_SIZE) / MP__CHUNK_SIZE);
    mp__claim claim;
    if (mp__shelf_take(a, count, &claim.first))
        return mp__chunk_address(a, claim.first);
    int rc = claim_run(a, count, &claim);
    if (rc < 0) {
        mp__retire_all(a);
        rc = claim_run(a, count, &claim);
        mp__retire_done(a);
    }
    if (rc < 0)
        return NULL;
    MP_STEP("shared.alloc.run_published");
    char *block = mp__chunk_address(a, claim.first);
    if (!claim.backed && mp__region_populate(block, (size_t)count * MP__CHUNK_SIZE) < 0) {
        mp__region_discard(block, (size_t)count * MP__CHUNK_SIZE);
        mp__chunk_lock(a);
        mp__chunk_release(a, claim.first, count, 0);
        mp__chunk_unlock(a);
        return NULL;
    }
    MP_STEP("shared.alloc.run_populated");
    return block;
}

int mp__run_free(mp__arena *a, void *p, uint32_t head)
{
    uint32_t d = mp__load_relaxed(&a->table[head]);
    if (p != mp__chunk_address(a, head) || mp__chunk_kind_of(d) != MP__CHUNK_RUN ||
        (d & (MP__CHUNK_MARK | MP__CHUNK_SHELVED)))
        return MP_EINVAL;
    int rc = mp__shelf_put(a, head, d);
    if (rc < 0)
        return rc;
    if (__builtin_expect(rc > 0, 1))
        return 0;
    mp__chunk_lock(a);
    mp__shelf_settle(a, head, (uint32_t)mp__chunk_value(d));
    mp__chunk_unlock(a);
    MP_STEP("shared.free.run_released");
    mp__retire_trim(a);
    return 0;
}
