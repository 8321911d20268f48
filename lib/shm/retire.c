/* SPDX-License-Identifier: MIT */
/*
 * Memory on its way back. Why it is right, and why a death leaves nothing behind.
 *
 * Retiring a span. With the table locked `retiring` names it; each word of its bitmap is replaced
 * by a closed one, by a compare-and-swap from the word without blocks. If one has a block, the
 * words that were closed are opened again. If all are closed the span has no block in use and
 * nobody can take one, whatever they remember of it (span.c): its chunks become free and its record
 * too. Who holds no block has no reason to touch the span, so nobody notices. After a death in
 * between the next holder of the lock opens what is closed, unless the descriptor is gone already;
 * then the rest follows from that (chunk.c).
 *
 * Trimming. Free chunks know which of their pages are populated. When these, with what lies on
 * shelves, are more than the reserve (reserve.c), the shelves are cleared, and one process at
 * a time, under `trim_lock`, takes free chunks out of the table as a marked run that `trimming`
 * names, discards their pages without the table's lock, and makes them free. If it dies the next
 * one to trim discards them again; who frees memory trims when `trimming` is set, but does what is
 * left to do only once it has `trim_lock`, so a living one is not disturbed. Who finds it held
 * leaves its own to the holder, who looks again when it has given it up.
 *
 * No room. What is being discarded, or empty and not yet retired, is room, too: so one who found
 * none tries again while it holds `trim_lock`, before it believes it.
 *
 * Looking whether a span is empty, or current, before that, are hints. A span that became empty
 * while it was current is looked at again when its shard goes to another, and at each trim.
 */
#include "shm/retire.h"

#include "os/region.h"
#include "os/step.h"
#include "shm/chunk.h"
#include "shm/reserve.h"
#include "shm/shelf.h"

#include <mproc/error.h>

#define TRIM_MOST 32u /* chunks that are discarded in one go: 2 MiB */

/* Whether it has no block in use. Without the lock it is a guess. */
static bool is_empty(const mp__span *span)
{
    for (uint32_t w = 0; w < mp__load_relaxed(&span->words); w++)
        if ((mp__load_relaxed(&span->taken[w]) & MP__SPAN_MASK) != mp__span_empty_bits(span, w))
            return false;
    return true;
}

/* With the table locked: nobody can take a block any more; false if one is in use. */
static bool close_words(mp__span *span)
{
    uint64_t tag = (uint64_t)span->generation << MP__SPAN_BITS;
    for (uint32_t w = 0; w < mp__load_relaxed(&span->words); w++) {
        uint64_t empty = tag | mp__span_empty_bits(span, w);
        /* Pairs with mp__span_free(): whoever had a block is done with it. */
        if (!mp__cas_acquire(&span->taken[w], &empty, ~UINT64_C(0))) {
            mp__span_open(span);
            return false;
        }
        MP_STEP("shared.retire.word_closed");
    }
    return true;
}

/* With the table locked: the span's chunks become free. */
static void dissolve(mp__arena *a, uint32_t number)
{
    mp__span *span = &a->spans[number];
    uint32_t chunks = mp__span_chunks(span->class);
    for (uint32_t i = 0; i < chunks; i++) {
        uint64_t pages = mp__load_relaxed(&span->backed[i / 4]) >> i % 4 * MP__CHUNK_PAGES;
        mp__chunk_release(a, span->chunk + i, 1, (uint32_t)pages & MP__CHUNK_FULL);
    }
    MP_STEP("shared.retire.chunks_released");
    mp__store_relaxed(&a->classes[number], 0);
    if (number < a->record_search)
        a->record_search = number;
}

/* With the table locked. Returns whether it is gone. */
static bool retire(mp__arena *a, uint32_t number)
{
    mp__span *span = &a->spans[number];
    if (!is_empty(span))
        return false;
    a->retiring = number + 1;
    MP_STEP("shared.retire.named");
    bool closed = close_words(span);
    if (closed)
        dissolve(a, number);
    a->retiring = 0;
    return closed;
}

void mp__retire_span(mp__arena *a, uint32_t number, unsigned class)
{
    /* We have cleared a bit, or exchanged what is current: of two who do that at once the later one
     * sees both. */
    mp__fence_after_change();
    if (mp__span_is_current(a, number, class) || !is_empty(&a->spans[number]))
        return;
    bool gone = false;
    mp__chunk_lock(a);
    unsigned now = mp__load_relaxed(&a->classes[number]) & ~MP__SPAN_FULL;
    if (now != 0 && !mp__span_is_current(a, number, now - 1))
        gone = retire(a, number);
    mp__chunk_unlock(a);
    if (gone)
        mp__retire_trim(a);
}

void mp__retire_repair(mp__arena *a)
{
    uint32_t top = mp__load_relaxed(&a->spans_top);
    for (uint32_t n = 0; n < top; n++) {
        if (mp__load_relaxed(&a->classes[n]) == 0)
            continue;
        uint32_t d = mp__load_relaxed(&a->table[a->spans[n].chunk]);
        if (d != mp__chunk_make(MP__CHUNK_SPAN, n)) /* not yet published, or released already */
            mp__store_relaxed(&a->classes[n], 0);
        else if (n + 1 == a->retiring)
            mp__span_open(&a->spans[n]);
    }
    a->retiring = 0;
    a->record_search = 0;
}

/* How many pages of the chunk are populated for nobody. */
static uint32_t pages_of_free(const mp__arena *a, uint32_t chunk)
{
    uint32_t d = mp__load_relaxed(&a->table[chunk]);
    if (mp__chunk_kind_of(d) != MP__CHUNK_FREE)
        return 0;
    return (uint32_t)__builtin_popcount((unsigned)mp__chunk_value(d));
}

/* With the table locked: makes free chunks with populated pages a run that is to be discarded,
 * the highest first, since the lowest are used first. Returns how many. */
static uint32_t pick(mp__arena *a, uint32_t least, uint32_t *first)
{
    uint32_t end = mp__load_relaxed(&a->trim_search);
    uint32_t count = 0, pages = 0;
    while (end > 0 && pages_of_free(a, end - 1) == 0)
        end--;
    mp__store_relaxed(&a->trim_search, end);
    while (count < TRIM_MOST && count < end && mp__load_relaxed(&a->retained) > least + pages) {
        uint32_t here = pages_of_free(a, end - count - 1);
        if (here == 0)
            break;
        pages += here;
        count++;
    }
    *first = end - count;
    if (count == 0)
        return 0;
    mp__store_relaxed(&a->trimming, *first + 1);
    for (uint32_t i = 0; i < count; i++)
        mp__store_relaxed(&a->table[*first + i], mp__chunk_make(MP__CHUNK_TAIL, i));
    MP_STEP("shared.trim.claimed");
    mp__sub_relaxed(&a->retained, pages);
    mp__reserve_given(a, pages);
    mp__store_release(&a->table[*first], mp__chunk_make(MP__CHUNK_RUN, count) | MP__CHUNK_MARK);
    return count;
}

static void discard(mp__arena *a, uint32_t first, uint32_t count)
{
    MP_STEP("shared.trim.published");
    mp__region_discard(mp__chunk_address(a, first), count * MP__CHUNK_SIZE);
    MP_STEP("shared.trim.discarded");
    mp__chunk_lock(a);
    a->used += count; /* it was not counted in between */
    mp__chunk_release(a, first, count, 0);
    mp__store_relaxed(&a->trimming, 0);
    mp__chunk_unlock(a);
}

/* With trim_lock held: what one who died has begun. */
static void finish(mp__arena *a)
{
    mp__chunk_lock(a);
    uint32_t first = mp__load_relaxed(&a->trimming);
    uint32_t d = first != 0 ? mp__load_relaxed(&a->table[first - 1]) : 0;
    bool left = mp__chunk_kind_of(d) == MP__CHUNK_RUN && (d & MP__CHUNK_MARK) != 0;
    if (!left)
        mp__store_relaxed(&a->trimming, 0);
    mp__chunk_unlock(a);
    if (left)
        discard(a, first - 1, (uint32_t)mp__chunk_value(d));
}

/* Empty spans that shards allocate from, or did: who comes back to one makes another; and what lies
 * on shelves. */
static void retire_current(mp__arena *a)
{
    mp__chunk_lock(a);
    mp__shelf_gather(a);
    for (uint32_t i = 0; i < MP__SHARDS * MP__SIZE_CLASSES; i++) {
        uint64_t hint = mp__load_relaxed(&a->current[i / MP__SIZE_CLASSES][i % MP__SIZE_CLASSES]);
        if (hint != 0 && mp__load_relaxed(&a->classes[(uint32_t)hint]) != 0)
            retire(a, (uint32_t)hint);
    }
    mp__chunk_unlock(a);
}

/* Returns whether there was anything to discard. */
static bool trim_to(mp__arena *a, uint32_t least)
{
    for (bool any = false;; any = true) {
        uint32_t first, count;
        mp__chunk_lock(a);
        count = pick(a, least, &first);
        mp__chunk_unlock(a);
        if (count == 0)
            return any;
        discard(a, first, count);
    }
}

void mp__retire_trim(mp__arena *a)
{
    /* Again, for whoever came while we held the lock has left it to us. */
    for (bool any = true; any;) {
        if (!mp__reserve_exceeded(a) && mp__load_relaxed(&a->trimming) == 0)
            return;
        if (mp__mutex_acquire(&a->trim_lock, MP__AT_ONCE, false) < 0)
            return; /* somebody is at it */
        finish(a);
        retire_current(a);
        any = trim_to(a, mp__reserve_goal(a));
        mp__mutex_unlock(&a->trim_lock);
    }
}

void mp__retire_idle(mp__arena *a)
{
    mp__chunk_lock(a);
    mp__reserve_look(a);
    mp__chunk_unlock(a);
    mp__retire_trim(a);
}

void mp__retire_all(mp__arena *a)
{
    mp__mutex_lock(&a->trim_lock); /* what is being discarded comes back */
    finish(a);
    mp__chunk_lock(a);
    mp__shelf_gather(a);
    for (uint32_t n = 0; n < mp__load_relaxed(&a->spans_top); n++)
        if (mp__load_relaxed(&a->classes[n]) != 0)
            retire(a, n);
    mp__chunk_unlock(a);
}

void mp__retire_done(mp__arena *a)
{
    mp__mutex_unlock(&a->trim_lock);
    mp__retire_trim(a); /* what others have left to us meanwhile */
}
