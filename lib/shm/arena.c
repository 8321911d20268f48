/* SPDX-License-Identifier: MIT */
/* Founding the family's arena. Why it is right: the header is written before the first fork can
 * share it, by one thread, under a guard that forks wait for. */
#include "shm/arena.h"

#include "os/atfork.h"
#include "os/guard.h"
#include "os/limits.h"
#include "os/region.h"
#include "shm/arena_options.h"
#include "shm/reserve.h"
#include "shm/shared_leaks.h"
#include "shm/span.h"

#include <mproc/defs.h>
#include <mproc/error.h>

_Atomic(mp__arena *) mp__arena_here;

static size_t region; /* its size, where nobody writes over it */

static mp__guard guard = MP__GUARD_INITIALIZER;

static void lock_guard(void)
{
    mp__guard_lock(&guard);
}

static void unlock_guard(void)
{
    mp__guard_unlock(&guard);
}

/* What a chunk costs: itself, its descriptor, and a span's record and class. */
#define CHUNK_COST (MP__CHUNK_SIZE + sizeof(uint32_t) + sizeof(mp__span) + sizeof(uint8_t))

/* Where everything is, as offsets from the base: the header, the descriptors, the spans' classes
 * and records, the chunks. */
typedef struct plan {
    size_t chunks, table, classes, spans, data;
} plan;

static plan plan_for(size_t chunks)
{
    size_t page = mp__region_page_size();
    plan p = {.chunks = chunks, .table = mp__align_up(sizeof(mp__arena), page)};
    p.classes = p.table + mp__align_up(chunks * sizeof(uint32_t), page);
    p.spans = p.classes + mp__align_up(chunks, page);
    p.data = mp__align_up(p.spans + chunks * sizeof(mp__span), MP__CHUNK_SIZE);
    return p;
}

/* The region for so many bytes of blocks. */
static size_t region_size(size_t limit)
{
    plan p = plan_for(mp__align_up(limit, MP__CHUNK_SIZE) / MP__CHUNK_SIZE);
    return p.data + p.chunks * MP__CHUNK_SIZE;
}

/* What fits into a region of this size. */
static plan plan_within(size_t size)
{
    plan p = plan_for(size / CHUNK_COST);
    while (p.chunks > 0 && p.data + p.chunks * MP__CHUNK_SIZE > size)
        p = plan_for(p.chunks - 1);
    return p;
}

static int lay_out(char *base, size_t size)
{
    if (mp__region_populate(base, sizeof(mp__arena)) < 0)
        return MP_ENOMEM;
    mp__arena *a = (mp__arena *)(void *)base;
    plan p = plan_within(size);
    if (p.chunks == 0)
        return MP_ENOMEM;
    int cpus = mp__limits_cpus();
    a->shards = cpus < MP__SHARDS / 4 ? (uint32_t)cpus * 4 : MP__SHARDS;
    a->layout = MP__ARENA_LAYOUT;
    a->size = size;
    mp__store_relaxed(&a->reserve, MP__RESERVE_LEAST);
    a->chunks = (uint32_t)p.chunks;
    a->table = (_Atomic uint32_t *)(void *)(base + p.table);
    a->classes = (_Atomic uint8_t *)(void *)(base + p.classes);
    a->spans = (mp__span *)(void *)(base + p.spans);
    a->data = base + p.data;
    a->magic = MP__ARENA_MAGIC;
    return 0;
}

bool mp__arena_is_laid_out(const mp__arena *a)
{
    const char *base = (const char *)a;
    plan p = plan_within(region);
    return a->magic == MP__ARENA_MAGIC && a->layout == MP__ARENA_LAYOUT && a->size == region &&
           a->chunks == p.chunks && (const char *)a->table == base + p.table &&
           (const char *)a->classes == base + p.classes &&
           (const char *)a->spans == base + p.spans && a->data == base + p.data && a->shards > 0 &&
           a->shards <= MP__SHARDS;
}

static int found(void)
{
    void *base = NULL;
    size_t limit;
    int rc = mp__arena_limit(&limit);
    if (rc < 0)
        return rc;
    size_t size = region_size(limit);
    rc = mp__region_reserve(&base, &size, MP__ARENA_SMALLEST);
    if (rc < 0)
        return rc;
    rc = lay_out(base, size);
    if (rc == 0)
        rc = mp__leaks_begin(base);
    if (rc < 0) {
        mp__region_release(base, size);
        return rc;
    }
    region = size;
    mp__store_release(&mp__arena_here, base); /* pairs with mp__arena_get() */
    return 0;
}

int mp_arena_configure(const mp_arena_options *options)
{
    mp__guard_lock(&guard);
    int rc = mp__arena_get() != NULL ? MP_ESTATE : mp__arena_set_options(options);
    mp__guard_unlock(&guard);
    return rc;
}

int mp_init(void)
{
    static mp__atfork hooks = {
        .prepare = lock_guard, .parent = unlock_guard, .child = unlock_guard};

    if (__builtin_expect(mp__arena_get() != NULL, 1))
        return 0;
    /* Before our guard is taken: a fork takes the hooks' lock first, then ours. */
    int rc = mp__atfork_add(&hooks);
    if (rc == 0)
        rc = mp__robust_check();
    if (rc < 0)
        return rc;
    mp__guard_lock(&guard);
    rc = mp__arena_get() != NULL ? 0 : found();
    mp__guard_unlock(&guard);
    return rc;
}

bool mp__arena_contains(const void *p, size_t length)
{
    const mp__arena *a = mp__arena_get();
    if (a == NULL || (const char *)p < a->data)
        return false;
    size_t offset = (size_t)((const char *)p - a->data);
    size_t bytes = (size_t)a->chunks * MP__CHUNK_SIZE;
    return offset <= bytes && length <= bytes - offset;
}
