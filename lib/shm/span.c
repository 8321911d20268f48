/* SPDX-License-Identifier: MIT */
/*
 * Why a death harms nobody.
 *
 * A block is taken by one compare-and-swap that sets its bit, and freed by one atomic and that
 * clears it; there is no list that could be left half-linked, and no lock. Who dies between taking
 * the bit and using the block leaks that block. The pages under a block are populated by whoever
 * takes a block on them first, before it is handed out; `backed` is set after that, so that a death
 * in between makes the next one populate them again, which changes nothing.
 *
 * A span is made under the table's lock and published by its descriptor, after its header is whole.
 * `current`, `class_search` and `search` are hints: a stale one costs a longer search.
 */
#include "shm/span.h"

#include "os/region.h"
#include "os/thread.h"
#include "shm/chunk.h"

#include <mproc/error.h>

#define BLOCKS_GOAL 16 /* a span has at least about so many blocks */

/* 16, 32 ... 128, then four sizes for each doubling: 160, 192, 224, 256, 320 ... 32768. */
unsigned mp__span_class(size_t size)
{
    if (size <= 128)
        return size == 0 ? 0 : (unsigned)((size + 15) / 16 - 1);
    unsigned power = mp__log2_floor(size - 1);
    return 8 + (power - 7) * 4 + (unsigned)((size - 1 - ((size_t)1 << power)) >> (power - 2));
}

size_t mp__span_block_size(unsigned class)
{
    if (class < 8)
        return (class + 1) * (size_t)16;
    unsigned power = 7 + (class - 8) / 4;
    return ((size_t)1 << power) + ((class - 8) % 4 + 1) * ((size_t)1 << (power - 2));
}

uint32_t mp__span_chunks(unsigned class)
{
    size_t bytes = mp__span_block_size(class) * BLOCKS_GOAL;
    return (uint32_t)(mp__align_up(bytes, MP__CHUNK_SIZE) / MP__CHUNK_SIZE);
}

uint32_t mp__span_words(const mp__span *span)
{
    return (span->blocks + 63) / 64;
}

/* Populates the pages of [from, to), offsets in the span, that are not yet. */
static int back(mp__span *span, size_t from, size_t to)
{
    for (size_t page = from / MP__SPAN_PAGE; page <= (to - 1) / MP__SPAN_PAGE; page++) {
        uint64_t bit = UINT64_C(1) << page % 64;
        _Atomic uint64_t *word = &span->backed[page / 64];
        if (mp__load_relaxed(word) & bit)
            continue;
        if (mp__region_populate((char *)span + page * MP__SPAN_PAGE, MP__SPAN_PAGE) < 0)
            return MP_ENOMEM;
        mp__or_relaxed(word, bit);
    }
    return 0;
}

/* Fills in a header in populated memory. */
static void lay_out(mp__span *span, unsigned class, size_t bytes)
{
    size_t size = mp__span_block_size(class);
    size_t blocks = bytes / size;
    size_t first;
    do { /* the bitmap takes room from the blocks */
        first = mp__align_up(sizeof *span + (blocks + 63) / 64 * 8, MP__CACHE_LINE);
    } while (first + blocks * size > bytes && blocks-- > 0);
    span->block_size = (uint32_t)size;
    span->blocks = (uint32_t)blocks;
    span->first = (uint32_t)first;
    mp__store_relaxed(&span->search, 0);
    mp__store_relaxed(&span->backed[0], 0);
    mp__store_relaxed(&span->backed[1], 0);
    for (uint32_t i = 0; i < mp__span_words(span); i++)
        mp__store_relaxed(&span->taken[i], 0);
    if (blocks % 64 != 0)
        mp__store_relaxed(&span->taken[blocks / 64], ~UINT64_C(0) << blocks % 64);
    span->magic = MP__SPAN_MAGIC;
}

/* With the table locked: makes a span. */
static mp__span *make(mp__arena *a, unsigned class, uint32_t *chunk)
{
    uint32_t count = mp__span_chunks(class);
    bool backed;
    if (mp__chunk_claim(a, count, chunk, &backed) < 0)
        return NULL;
    mp__span *span = (mp__span *)(void *)mp__chunk_address(a, *chunk);
    if (mp__region_populate(span, MP__SPAN_PAGE) < 0) {
        mp__chunk_release(a, *chunk, count, false);
        return NULL;
    }
    lay_out(span, class, count * MP__CHUNK_SIZE);
    /* Publishes the span; pairs with mp__chunk_find() and find(). */
    mp__store_release(&a->table[*chunk], mp__chunk_make(MP__CHUNK_SPAN, class));
    return span;
}

static bool has_room(const mp__span *span)
{
    for (uint32_t i = 0; i < mp__span_words(span); i++)
        if (~mp__load_relaxed(&span->taken[i]) != 0)
            return true;
    return false;
}

/* With the table locked: the first span of the class with room in [from, to). */
static mp__span *search(const mp__arena *a, unsigned class, uint32_t from, uint32_t to,
                        uint32_t *chunk)
{
    uint32_t wanted = mp__chunk_make(MP__CHUNK_SPAN, class);
    for (uint32_t i = from; i < to; i++) {
        if (mp__load_acquire(&a->table[i]) != wanted)
            continue;
        mp__span *span = (mp__span *)(void *)mp__chunk_address(a, i);
        if (has_room(span)) {
            *chunk = i;
            return span;
        }
    }
    return NULL;
}

/* With the table locked: a span of the class with room, an old one or a new one. */
static mp__span *find(mp__arena *a, unsigned class, uint32_t *chunk)
{
    uint32_t from = mp__load_relaxed(&a->class_search[class]);
    mp__span *span = search(a, class, from, mp__load_relaxed(&a->top), chunk);
    if (span == NULL)
        span = make(a, class, chunk);
    if (span == NULL) /* a free beside a search may have been overlooked below the hint */
        span = search(a, class, 0, from, chunk);
    if (span != NULL) /* unless a free has lowered it meanwhile */
        mp__cas_relaxed(&a->class_search[class], &from, *chunk);
    return span;
}

/* Takes a block; -1 if there is none. */
static int64_t take(mp__span *span)
{
    uint32_t words = mp__span_words(span);
    uint32_t start = mp__load_relaxed(&span->search);
    for (uint32_t n = 0; n < words; n++) {
        uint32_t w = start + n < words ? start + n : start + n - words;
        uint64_t taken = mp__load_relaxed(&span->taken[w]);
        while (~taken != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(~taken);
            /* Pairs with the release in mp__span_free(): what the last user wrote is past. */
            if (mp__cas_acquire(&span->taken[w], &taken, taken | UINT64_C(1) << bit)) {
                if (w != start)
                    mp__store_relaxed(&span->search, w);
                return (int64_t)w * 64 + bit;
            }
        }
    }
    return -1;
}

static void give_back(mp__span *span, size_t block)
{
    mp__and_release(&span->taken[block / 64], ~(UINT64_C(1) << block % 64));
}

static void *take_backed(mp__span *span, bool *full)
{
    int64_t block = take(span);
    *full = block < 0;
    if (*full)
        return NULL;
    size_t offset = span->first + (size_t)block * span->block_size;
    if (back(span, offset, offset + span->block_size) < 0) {
        give_back(span, (size_t)block);
        return NULL;
    }
    return (char *)span + offset;
}

void *mp__span_alloc(mp__arena *a, size_t size)
{
    unsigned class = mp__span_class(size);
    _Atomic uint32_t *current = &a->current[mp__thread_self()->tid % MP__SHARDS][class];
    uint32_t chunk = mp__load_acquire(current); /* pairs with the store below */
    bool full = true;
    void *block = NULL;
    if (chunk != 0)
        block = take_backed((mp__span *)(void *)mp__chunk_address(a, chunk - 1), &full);
    while (block == NULL && full) {
        mp__chunk_lock(a);
        mp__span *span = find(a, class, &chunk);
        mp__chunk_unlock(a);
        if (span == NULL)
            return NULL;
        mp__store_release(current, chunk + 1);
        block = take_backed(span, &full);
    }
    return block;
}

int mp__span_free(mp__arena *a, void *p, uint32_t head)
{
    mp__span *span = (mp__span *)(void *)mp__chunk_address(a, head);
    size_t offset = (size_t)((char *)p - (char *)span);
    if (offset < span->first || (offset - span->first) % span->block_size != 0)
        return MP_EINVAL;
    size_t block = (offset - span->first) / span->block_size;
    if (block >= span->blocks)
        return MP_EINVAL;
    uint64_t bit = UINT64_C(1) << block % 64;
    if (!(mp__and_release(&span->taken[block / 64], ~bit) & bit)) /* pairs with take() */
        return MP_EINVAL;
    _Atomic uint32_t *search = &a->class_search[mp__span_class(span->block_size)];
    uint32_t lowest = mp__load_relaxed(search);
    while (head < lowest && !mp__cas_relaxed(search, &lowest, head))
        continue;
    return 0;
}
