/* SPDX-License-Identifier: MIT */
/* Founding the family's arena. Why it is right: the header is written before the first fork can
 * share it, by one thread, under a guard that forks wait for. */
#include "shm/arena.h"

#include "os/atfork.h"
#include "os/guard.h"
#include "os/limits.h"
#include "os/region.h"

#include <mproc/defs.h>
#include <mproc/error.h>

/* Less than this is of no use; more than 2^29 chunks a descriptor cannot count. */
#define SMALLEST ((size_t)1 << 20)
#define LARGEST  (MP__CHUNK_SIZE << 29)

_Atomic(mp__arena *) mp__arena_here;

static mp__guard guard = MP__GUARD_INITIALIZER;

static void lock_guard(void)
{
    mp__guard_lock(&guard);
}

static void unlock_guard(void)
{
    mp__guard_unlock(&guard);
}

static size_t wanted_size(void)
{
    uint64_t half = mp__limits_memory() / 2;
    if (half > LARGEST)
        half = LARGEST;
    if (half < SMALLEST)
        half = SMALLEST;
    return mp__align_up((size_t)half, MP__CHUNK_SIZE);
}

/* Places the table behind the header, and the chunks behind the table. */
static int lay_out(char *base, size_t size)
{
    if (mp__region_populate(base, sizeof(mp__arena)) < 0)
        return MP_ENOMEM;
    mp__arena *a = (mp__arena *)(void *)base;
    size_t table = mp__align_up(sizeof *a, mp__region_page_size());
    size_t chunks = (size - table) / (MP__CHUNK_SIZE + sizeof(uint32_t));
    size_t data = mp__align_up(table + chunks * sizeof(uint32_t), MP__CHUNK_SIZE);
    chunks = (size - data) / MP__CHUNK_SIZE;
    if (chunks < 1)
        return MP_ENOMEM;
    a->layout = MP__ARENA_LAYOUT;
    a->size = size;
    a->chunks = (uint32_t)chunks;
    a->table = (_Atomic uint32_t *)(void *)(base + table);
    a->data = base + data;
    a->magic = MP__ARENA_MAGIC;
    return 0;
}

static int found(void)
{
    void *base = NULL;
    size_t size = wanted_size();
    int rc = mp__region_reserve(&base, &size, SMALLEST);
    if (rc < 0)
        return rc;
    rc = lay_out(base, size);
    if (rc < 0)
        mp__region_release(base, size);
    else
        mp__store_release(&mp__arena_here, base); /* pairs with mp__arena_get() */
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
