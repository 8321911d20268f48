/* SPDX-License-Identifier: MIT */
/*
 * An arena whose administration is written over, anywhere: the validator must say so, and never
 * follow what is written there to outside, crash, or go on for ever. Of what no two sound arenas
 * can differ in, a single change must be told.
 *
 * The blocks are of many sizes; the arena is put back after each input.
 */
#include "fuzz/fuzz.h"
#include "shm/arena.h"
#include "shm/chunk.h"
#include "shm/span.h"

#include <stddef.h>

enum { EDITS = 16 };

/* A part of the administration, and how it was. */
typedef struct part {
    uint8_t *at, *saved;
    size_t size;
} part;

static mp__arena *a;
static part parts[4]; /* the header, the table, the spans' classes, their records */

static void save(part *p, void *at, size_t size)
{
    *p = (part){at, malloc(size), size};
    memcpy(p->saved, at, size);
}

static void make(void)
{
    static const size_t sizes[] = {1, 40, 100, 300, 1000, 4000, 9000, 30000, 40000, 70000, 200000};
    void *blocks[300] = {0};
    DEMAND(mp_arena_configure(&(mp_arena_options){sizeof(mp_arena_options), 16 << 20}) == 0);
    DEMAND(mp_init() == 0);
    for (int i = 0; i < 300; i++) {
        blocks[i] = mp_shared_alloc(sizes[i % 11] + (size_t)i);
        if (i % 3 == 2) /* so that there are holes, and free chunks between */
            mp_shared_free(blocks[i - 1 - i % 2]);
    }
    DEMAND(mp_shared_check(NULL) == 0);
    a = mp__arena_get();
    size_t spans = mp__load_relaxed(&a->spans_top);
    save(&parts[0], a, sizeof *a);
    save(&parts[1], (void *)a->table, mp__load_relaxed(&a->top) * sizeof *a->table);
    save(&parts[2], (void *)a->classes, spans);
    save(&parts[3], a->spans, spans * sizeof *a->spans);
}

static void put_back(void)
{
    for (int i = 0; i < 4; i++)
        memcpy(parts[i].at, parts[i].saved, parts[i].size);
}

static bool within(size_t offset, size_t begin, size_t end)
{
    return offset >= begin && offset < end;
}

/* Whether the validator must tell of a lone change of this byte. Descriptors of free chunks and
 * sums are in balance with each other, and told as well. Behind `top` nothing is in use: one that
 * is higher is sound. */
static bool must_be_told(int which, size_t offset)
{
    switch (which) {
    case 0:
        return within(offset, 0, offsetof(mp__arena, shards)) ||
               within(offset, offsetof(mp__arena, used),
                      offsetof(mp__arena, used) + sizeof a->used);
    case 1:
        return true;
    case 2:
        return false; /* one bit is a hint */
    default:
        return offset % sizeof(mp__span) < offsetof(mp__span, search) &&
               parts[2].saved[offset / sizeof(mp__span)] != 0;
    }
}

/* A run that is SHELVED on no shelf is what a death may leave, so the flag alone is no damage. */
static bool is_only_shelved(const part *p, size_t offset)
{
    uint32_t before, now;
    memcpy(&before, p->saved + offset / 4 * 4, sizeof before);
    memcpy(&now, p->at + offset / 4 * 4, sizeof now);
    return mp__chunk_kind_of(before) == MP__CHUNK_RUN && (before ^ now) == MP__CHUNK_SHELVED;
}

/* Changes up to 4 bytes. The owner of a lock is left alone, mostly: a lock that somebody holds who
 * lives is waited for. Returns whether the validator must tell. */
static bool edit(input *in)
{
    uint8_t how = next_byte(in);
    int which = how & 3, width = 1 << (how >> 2 & 1) * 2;
    part *p = &parts[which];
    size_t offset = next_number(in, 3) % p->size / (size_t)width * (size_t)width;
    uint32_t value = (uint32_t)next_number(in, width);
    bool told = false;
    if (which == 0 && how < 250 &&
        within(offset, offsetof(mp__arena, lock), offsetof(mp__arena, top)))
        return false;
    for (int i = 0; i < width; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        p->at[offset + (size_t)i] = how & 8 ? byte : p->at[offset + (size_t)i] ^ byte;
        told = told || (must_be_told(which, offset + (size_t)i) &&
                        p->at[offset + (size_t)i] != p->saved[offset + (size_t)i]);
    }
    return told && !(which == 1 && is_only_shelved(p, offset));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    const char *problem = NULL;
    if (a == NULL)
        make();
    int edits = 0;
    bool told = false;
    for (; in.left > 0 && edits < EDITS; edits++)
        told = edit(&in);
    int rc = mp_shared_check(&problem);
    DEMAND((rc == 0 && problem == NULL) || (rc == MP_EBROKEN && problem != NULL));
    DEMAND(edits != 1 || !told || rc == MP_EBROKEN);
    put_back();
    DEMAND(mp_shared_check(NULL) == 0);
    return 0;
}
