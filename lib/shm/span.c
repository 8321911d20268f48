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
 * A span is made under the table's lock and published by its descriptor, after its record is whole.
 *
 * Why nobody takes a block of a span that is gone. Who allocates holds no lock; it may have read in
 * `current` where to take a block, sleep, and go on when the span is retired and its chunks are
 * somebody's data. So what it then changes must not lie in these chunks, and it must not get a
 * block:
 *
 * - Records (mp__span) lie in a table of their own and are never anything but records.
 * - `current` names the span's generation, each word of the bitmap carries it, and the
 *   compare-and-swap that takes a block compares the whole word. Retiring (retire.c) replaces each
 *   word by a closed one; making the record anew gives it the next generation.
 * - A block that is taken keeps its span from being retired, so what the record says about it holds
 *   until it is freed. After 65534 makings of one record a generation comes back; who has slept
 *   through them takes a block of a living span, and asks for the class after that.
 *
 * `class_search`, `record_search`, `search` and MP__SPAN_FULL are hints: a stale one costs a longer
 * search, or a span more than needed. Before there is said to be no memory all spans are looked at.
 */
#include "shm/span.h"

#include "os/region.h"
#include "os/step.h"
#include "os/thread.h"
#include "shm/chunk.h"
#include "shm/retire.h"

#include <mproc/error.h>

#define BLOCKS_GOAL 16 /* a span has at least about so many blocks */

/* Records are populated in such portions: the first is within a page, the others take 12 KiB. */
#define RECORDS_AT_FIRST 5
#define RECORDS_AT_ONCE  16

#define LOSSES_MOST 8 /* lost races for a bit before a thread goes to another shard */

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

uint64_t mp__span_empty_bits(const mp__span *span, uint32_t word)
{
    uint32_t here =
        mp__load_relaxed(&span->blocks) - word * MP__SPAN_BITS; /* blocks from this word on */
    return here >= MP__SPAN_BITS ? 0 : MP__SPAN_MASK & ~((UINT64_C(1) << here) - 1);
}

uint32_t mp__span_in_use(const mp__span *span)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < mp__load_relaxed(&span->words); w++) {
        uint64_t taken = mp__load_relaxed(&span->taken[w]);
        if (taken >> MP__SPAN_BITS != MP__SPAN_CLOSED)
            count += (uint32_t)__builtin_popcountll(taken & MP__SPAN_MASK &
                                                    ~mp__span_empty_bits(span, w));
    }
    return count;
}

static uint64_t empty_word(const mp__span *span, uint32_t word)
{
    return (uint64_t)span->generation << MP__SPAN_BITS | mp__span_empty_bits(span, word);
}

void mp__span_open(mp__span *span)
{
    for (uint32_t w = 0; w < mp__load_relaxed(&span->words); w++)
        if (mp__load_relaxed(&span->taken[w]) >> MP__SPAN_BITS == MP__SPAN_CLOSED)
            mp__store_release(&span->taken[w], empty_word(span, w)); /* pairs with take() */
}

static inline bool is_backed(const mp__span *span, size_t page)
{
    return (mp__load_relaxed(&span->backed[page / 64]) >> page % 64 & 1) != 0;
}

/* Populates the pages of [from, to), offsets in the span, that are not yet. */
static int back(mp__span *span, size_t from, size_t to)
{
    size_t page = from / MP__CHUNK_PAGE, end = (to - 1) / MP__CHUNK_PAGE + 1;
    for (; page < end; page++) {
        if (is_backed(span, page))
            continue;
        size_t first = page;
        while (page + 1 < end && !is_backed(span, page + 1))
            page++;
        if (mp__region_populate(span->start + first * MP__CHUNK_PAGE,
                                (page + 1 - first) * MP__CHUNK_PAGE) < 0)
            return MP_ENOMEM;
        MP_STEP("shared.alloc.page_populated");
        for (size_t p = first; p <= page; p++)
            mp__or_relaxed(&span->backed[p / 64], UINT64_C(1) << p % 64);
    }
    return 0;
}

/* With the table locked: a record that is not in use. */
static int find_record(mp__arena *a, uint32_t *number)
{
    uint32_t top = mp__load_relaxed(&a->spans_top);
    uint32_t n = a->record_search;
    while (n < top && mp__load_relaxed(&a->classes[n]) != 0)
        n++;
    a->record_search = *number = n;
    if (n < top)
        return 0;
    uint32_t upto = top + (top == 0 ? RECORDS_AT_FIRST : RECORDS_AT_ONCE);
    if (upto > a->chunks)
        upto = a->chunks;
    if (n >= upto || mp__region_populate(&a->spans[top], (upto - top) * sizeof(mp__span)) < 0 ||
        mp__region_populate((void *)&a->classes[top], upto - top) < 0)
        return MP_ENOMEM;
    mp__store_release(&a->spans_top, upto); /* pairs with mp_shared_stats() */
    return 0;
}

/* Fills in a record that nobody uses. */
static void lay_out(const mp__arena *a, mp__span *span, unsigned class, const mp__claim *claim)
{
    uint32_t chunks = mp__span_chunks(class);
    uint64_t backed[2] = {0, 0};
    for (uint32_t i = 0; i < chunks; i++)
        backed[i / 4] |= (uint64_t)claim->pages[i] << i % 4 * MP__CHUNK_PAGES;
    span->magic = MP__SPAN_MAGIC;
    span->class = class;
    span->block_size = (uint32_t)mp__span_block_size(class);
    uint32_t blocks = (uint32_t)(chunks * MP__CHUNK_SIZE / span->block_size);
    mp__store_relaxed(&span->blocks, blocks);
    span->chunk = claim->first;
    span->generation = span->generation % (uint32_t)(MP__SPAN_CLOSED - 1) + 1;
    span->start = mp__chunk_address(a, claim->first);
    mp__store_relaxed(&span->search, 0);
    mp__store_relaxed(&span->backed[0], backed[0]);
    mp__store_relaxed(&span->backed[1], backed[1]);
    uint32_t words = (blocks + MP__SPAN_BITS - 1) / MP__SPAN_BITS;
    mp__store_relaxed(&span->words, words);
    for (uint32_t w = 0; w < words; w++)
        mp__store_release(&span->taken[w], empty_word(span, w)); /* pairs with take() */
}

/* With the table locked: makes a span. */
static mp__span *make(mp__arena *a, unsigned class)
{
    mp__claim claim;
    uint32_t number;
    if (find_record(a, &number) < 0 || mp__chunk_claim(a, mp__span_chunks(class), &claim) < 0)
        return NULL;
    mp__span *span = &a->spans[number];
    lay_out(a, span, class, &claim);
    MP_STEP("shared.span.laid_out");
    mp__store_relaxed(&a->classes[number], (uint8_t)(class + 1));
    MP_STEP("shared.span.classed");
    /* Publishes the span; pairs with mp__chunk_find(). */
    mp__store_release(&a->table[claim.first], mp__chunk_make(MP__CHUNK_SPAN, number));
    MP_STEP("shared.span.published");
    return span;
}

/* Takes a block of this generation; -1 if there is none. *lost counts the races for a bit. */
static int64_t take(mp__span *span, uint64_t generation, uint32_t *lost)
{
    uint32_t words = mp__load_relaxed(&span->words);
    uint32_t start = mp__load_relaxed(&span->search);
    if (start >= words)
        start = 0;
    for (uint32_t n = 0; n < words; n++) {
        uint32_t w = start + n < words ? start + n : start + n - words;
        uint64_t taken = mp__load_relaxed(&span->taken[w]);
        while (taken >> MP__SPAN_BITS == generation && (~taken & MP__SPAN_MASK) != 0) {
            uint64_t seen = taken;
            unsigned bit = (unsigned)__builtin_ctzll(~taken);
            /* Pairs with the release in mp__span_free(): what the last user wrote is past; and
             * with lay_out(): the record is whole. */
            if (mp__cas_acquire(&span->taken[w], &taken, taken | UINT64_C(1) << bit)) {
                MP_STEP("shared.alloc.bit_taken");
                if (w != start)
                    mp__store_relaxed(&span->search, w);
                return (int64_t)w * MP__SPAN_BITS + bit;
            }
            *lost += (taken & ~seen) != 0;
        }
    }
    return -1;
}

/* The thread's shard: another after it has lost races for bits to others in it. */
static _Thread_local struct {
    uint32_t tid, shard, lost;
} home;

bool mp__span_is_current(const mp__arena *a, uint32_t number, unsigned class)
{
    uint32_t shards = mp__span_shards(a, class);
    for (uint32_t i = 0; i < shards; i++) { /* our own first: the likely one */
        uint64_t hint = mp__load_relaxed(&a->current[(home.shard + i) % shards][class]);
        if (hint != 0 && (uint32_t)hint == number)
            return true;
    }
    return false;
}

/* Where to look for a block. */
typedef struct scope {
    unsigned class;
    uint32_t from, to;
    bool any; /* also in the spans that other shards allocate from */
} scope;

/* A record; said to be there for the analyser, which takes the table for changeable. */
__attribute__((returns_nonnull)) static mp__span *record_at(const mp__arena *a, uint32_t n)
{
    return &a->spans[n];
}

/* With the table locked: a block of span n, which is marked if it has none. */
static int64_t take_or_mark(const mp__arena *a, uint32_t n)
{
    mp__span *span = record_at(a, n);
    uint32_t lost = 0;
    int64_t block = take(span, span->generation, &lost);
    if (block < 0 && !(mp__load_relaxed(&a->classes[n]) & MP__SPAN_FULL)) {
        mp__or_seq(&a->classes[n], MP__SPAN_FULL); /* pairs with mark_room(): one sees the other */
        mp__fence_after_change();
        block = take(span, span->generation, &lost);
    }
    return block;
}

/* After a block was freed. */
static void mark_room(mp__arena *a, uint32_t number)
{
    mp__fence_after_change(); /* of the block's bit */
    if (mp__load_relaxed(&a->classes[number]) & MP__SPAN_FULL)
        mp__and_seq(&a->classes[number], (uint8_t)~MP__SPAN_FULL);
}

/* With the table locked: a block of the first span with room. */
static int64_t search(const mp__arena *a, scope where, mp__span **found)
{
    for (uint32_t n = where.from; n < where.to; n++) {
        unsigned class = mp__load_relaxed(&a->classes[n]);
        if (where.any)
            class &= ~MP__SPAN_FULL;
        if (class != where.class + 1 || (!where.any && mp__span_is_current(a, n, where.class)))
            continue;
        int64_t block = take_or_mark(a, n);
        if (block >= 0) {
            *found = &a->spans[n];
            return block;
        }
    }
    return -1;
}

/* A block from a span of the class: an old one that no shard uses, a new one, or any. */
static int64_t take_anywhere(mp__arena *a, unsigned class, mp__span **found)
{
    uint32_t lost = 0;
    mp__chunk_lock(a);
    uint32_t hint = mp__load_relaxed(&a->class_search[class]);
    uint32_t top = mp__load_relaxed(&a->spans_top);
    int64_t block = search(a, (scope){class, hint, top, false}, found);
    if (block < 0 && (*found = make(a, class)) != NULL)
        block = take(*found, (*found)->generation, &lost);
    if (block < 0) /* below the hint, too: a free beside a search may have been overlooked */
        block = search(a, (scope){class, 0, top, true}, found);
    if (block >= 0) /* unless a free has lowered it meanwhile */
        mp__cas_relaxed(&a->class_search[class], &hint, (uint32_t)(*found - a->spans));
    mp__chunk_unlock(a);
    return block;
}

static uint32_t my_shard(const mp__arena *a, unsigned class)
{
    uint32_t tid = mp__thread_self()->tid;
    if (__builtin_expect(home.tid != tid, 0)) { /* the first time, or a forked child */
        home.tid = tid;
        home.shard = tid;
        home.lost = 0;
    } else if (__builtin_expect(home.lost >= LOSSES_MOST, 0)) {
        home.shard++;
        home.lost = 0;
    }
    return home.shard % mp__span_shards(a, class);
}

/* Clears the bit of a block in use. Returns whether its word is empty now; or MP_EINVAL. */
static int clear(mp__span *span, size_t block)
{
    uint32_t w = (uint32_t)(block / MP__SPAN_BITS);
    uint64_t bit = UINT64_C(1) << block % MP__SPAN_BITS;
    uint64_t empty = mp__span_empty_bits(span, w);         /* after the block the span may go */
    uint64_t old = mp__and_release(&span->taken[w], ~bit); /* pairs with take() */
    if (!(old & bit) || old >> MP__SPAN_BITS == MP__SPAN_CLOSED)
        return MP_EINVAL;
    return (old & ~bit & MP__SPAN_MASK) == empty;
}

static void *back_block(mp__span *span, int64_t block)
{
    size_t offset = (size_t)block * span->block_size;
    if (back(span, offset, offset + span->block_size) == 0)
        return span->start + offset;
    clear(span, (size_t)block);
    return NULL;
}

void *mp__span_alloc(mp__arena *a, unsigned class)
{
    _Atomic uint64_t *current = &a->current[my_shard(a, class)][class];
    uint64_t hint = mp__load_acquire(current); /* pairs with the exchange below */
    mp__span *span = &a->spans[(uint32_t)hint];
    MP_STEP("shared.alloc.current_read");
    if (__builtin_expect(hint != 0, 1)) {
        int64_t block = take(span, hint >> 32, &home.lost);
        if (__builtin_expect(block >= 0 && span->class == class, 1))
            return back_block(span, block);
        if (block >= 0)
            clear(span, (size_t)block);
    }
    int64_t block = take_anywhere(a, class, &span);
    if (block < 0) {
        mp__retire_all(a);
        block = take_anywhere(a, class, &span);
        mp__retire_done(a);
    }
    if (block < 0)
        return NULL;
    uint64_t number = (uint64_t)(span - a->spans);
    mp__exchange_seq(current, number | (uint64_t)span->generation << 32);
    MP_STEP("shared.alloc.current_set");
    if (hint != 0 && (uint32_t)hint != number)
        mp__retire_span(a, (uint32_t)hint,
                        class); /* perhaps emptied while it was the current one */
    return back_block(span, block);
}

bool mp__span_holds(const mp__span *span, const void *p)
{
    size_t offset = (size_t)((const char *)p - span->start);
    if (offset >= MP__CLAIM_NOTED * MP__CHUNK_SIZE || offset % span->block_size != 0)
        return false;
    uint32_t block = (uint32_t)offset / span->block_size;
    if (block >= mp__load_relaxed(&span->blocks))
        return false;
    uint64_t word = mp__load_relaxed(&span->taken[block / MP__SPAN_BITS]);
    return word >> MP__SPAN_BITS != MP__SPAN_CLOSED && (word >> block % MP__SPAN_BITS & 1) != 0;
}

int mp__span_free(mp__arena *a, void *p, uint32_t number)
{
    mp__span *span = &a->spans[number];
    uint32_t offset = (uint32_t)((char *)p - span->start);
    uint32_t block = offset / span->block_size;
    if (offset >= MP__CLAIM_NOTED * MP__CHUNK_SIZE || offset % span->block_size != 0 ||
        block >= mp__load_relaxed(&span->blocks))
        return MP_EINVAL;
    unsigned class = span->class;
    int empty = clear(span, block);
    if (empty < 0)
        return MP_EINVAL;
    MP_STEP("shared.free.bit_cleared");
    mark_room(a, number);
    _Atomic uint32_t *hint = &a->class_search[class];
    uint32_t lowest = mp__load_relaxed(hint);
    while (number < lowest && !mp__cas_relaxed(hint, &lowest, number))
        continue;
    if (empty)
        mp__retire_span(a, number, class);
    return 0;
}
