/* SPDX-License-Identifier: MIT */
/*
 * Large blocks from hand to hand, without a lock and without a walk along their chunks.
 *
 * A run that is freed stays whole: its descriptor becomes SHELVED, which says that it is nobody's
 * and populated, and a shelf, one for each length or few lengths, gets a hint where it is. Who
 * needs such a run takes the hint and makes the descriptor one in use.
 *
 * Why it is right. Whose a run is, its descriptor alone says, and it is changed by compare-and-swap
 * of the whole word, which holds the length:
 *
 * | from     | to       | by                                                     |
 * | RUN      | SHELVED  | who frees it; of two that do, one                      |
 * | SHELVED  | RUN      | who takes it; of two that try, one                     |
 * | SHELVED  | FREE     | the holder of the table's lock, then the tails as ever |
 *
 * So a run has one owner at most, whatever hints say: one that comes late, or twice, or out of
 * a damaged arena, finds no such descriptor there, and is dropped. A run that was taken for another
 * life in between and is SHELVED again is as good as it was. The tails do not change, so that walks
 * along the table see a whole run at any time.
 *
 * Why none is lost while nobody dies. A hint is written after the descriptor is SHELVED and by who
 * made it so; who finds no place for it has the run's chunks freed. It is taken out of its place by
 * compare-and-swap before the descriptor is looked at, and by that one process.
 *
 * Who dies between the descriptor and the hint, on either side, leaves a SHELVED run that no shelf
 * knows. mp__shelf_gather() finds it in the table: at each trim, after a death under the lock, and
 * before there is said to be no memory. It may take a run from a living process between the two,
 * which then finds it gone. After that a death leaks the block in flight, as ever.
 *
 * How much. `room` says how many places of a shelf are used, and is changed under the lock; all
 * that has room (`shelf_room`) and what is free and populated are within the reserve (reserve.c)
 * when room is made. The last in is the first out, so that its bytes are in a cache still.
 */
#include "shm/shelf.h"

#include "os/step.h"
#include "shm/chunk.h"

#include <mproc/error.h>

#define SINGLE  16u /* shelves of one length; then four for each doubling */
#define TRIES   4   /* looks at a shelf where others took what was seen */
#define NOWHERE MP__SHELVES

static uint32_t shelf_for(uint32_t count)
{
    if (count <= SINGLE)
        return count - 1;
    unsigned power = mp__log2_floor(count - 1);
    uint32_t quarter = (count - 1 - (1u << power)) >> (power - 2);
    uint32_t shelf = SINGLE + (power - 4) * 4 + quarter;
    return shelf < MP__SHELVES ? shelf : NOWHERE;
}

uint32_t mp__shelf_longest(unsigned shelf)
{
    if (shelf < SINGLE)
        return shelf + 1;
    if (shelf >= MP__SHELVES)
        return 0;
    unsigned power = 4 + (shelf - SINGLE) / 4;
    return (1u << power) + ((shelf - SINGLE) % 4 + 1) * (1u << (power - 2));
}

static uint32_t shelved(uint32_t count)
{
    return mp__chunk_make(MP__CHUNK_RUN, count) | MP__CHUNK_SHELVED;
}

/* The descriptor that a hint leads to; 0, a free chunk's, if it leads nowhere. */
static uint32_t follow(const mp__arena *a, uint32_t hint)
{
    if (hint == 0 || hint > mp__load_acquire(&a->top)) /* pairs with extend() */
        return 0;
    return mp__load_relaxed(&a->table[hint - 1]);
}

/* Returns whether somebody was quicker somewhere. */
static bool try_take(mp__arena *a, mp__shelf *s, uint32_t count, uint32_t *head)
{
    bool beaten = false;
    for (unsigned i = MP__SHELF_PLACES; i-- > 0;) {
        uint32_t hint = mp__load_acquire(&s->place[i]); /* pairs with place_hint() */
        uint32_t d = follow(a, hint);
        if (d != shelved(count))
            continue;
        if (!mp__cas_relaxed(&s->place[i], &hint, 0)) {
            beaten = true;
            continue;
        }
        MP_STEP("shared.shelf.hint_taken");
        /* Pairs with mp__shelf_put(): what the last user did with it is past. */
        if (mp__cas_acquire(&a->table[hint - 1], &d, mp__chunk_make(MP__CHUNK_RUN, count))) {
            *head = hint - 1;
            return false;
        }
        beaten = true;
    }
    return beaten;
}

bool mp__shelf_take(mp__arena *a, uint32_t count, uint32_t *head)
{
    uint32_t shelf = shelf_for(count);
    if (shelf == NOWHERE || mp__load_relaxed(&a->shelves[shelf].room) == 0)
        return false;
    *head = UINT32_MAX;
    for (int n = 0; n < TRIES && try_take(a, &a->shelves[shelf], count, head); n++)
        continue;
    if (*head == UINT32_MAX)
        return false;
    MP_STEP("shared.shelf.run_taken");
    return true;
}

/* The lowest place that is empty. */
static bool place_hint(mp__shelf *s, uint32_t head)
{
    uint32_t room = mp__load_relaxed(&s->room);
    for (uint32_t i = 0; i < room && i < MP__SHELF_PLACES; i++) {
        uint32_t none = mp__load_relaxed(&s->place[i]);
        /* Pairs with try_take(): the descriptor is SHELVED. */
        if (none == 0 && mp__cas_release(&s->place[i], &none, head + 1))
            return true;
    }
    return false;
}

int mp__shelf_put(mp__arena *a, uint32_t head, uint32_t d)
{
    /* Pairs with try_take() and break_up(). */
    if (!mp__cas_release(&a->table[head], &d, d | MP__CHUNK_SHELVED))
        return MP_EINVAL;
    MP_STEP("shared.shelf.run_shelved");
    uint32_t shelf = shelf_for((uint32_t)mp__chunk_value(d));
    return shelf != NOWHERE && place_hint(&a->shelves[shelf], head);
}

/* With the table locked: makes the run free chunks, if it is a SHELVED one. */
static void break_up(mp__arena *a, uint32_t head, uint32_t d)
{
    if (mp__chunk_kind_of(d) != MP__CHUNK_RUN || !(d & MP__CHUNK_SHELVED))
        return;
    /* Pairs with mp__shelf_put(). */
    if (mp__cas_acquire(&a->table[head], &d, mp__chunk_make(MP__CHUNK_FREE, MP__CHUNK_FULL)))
        mp__chunk_release(a, head, (uint32_t)mp__chunk_value(d), MP__CHUNK_FULL);
}

/* With the table locked: sets how many places of a shelf are used. */
static void set_room(mp__arena *a, uint32_t shelf, uint32_t room)
{
    mp__shelf *s = &a->shelves[shelf];
    uint32_t before = mp__load_relaxed(&s->room), each = mp__shelf_longest(shelf) * MP__CHUNK_PAGES;
    if (before == room)
        return;
    mp__store_relaxed(&s->room, room);
    MP_STEP("shared.shelf.room_set"); /* mp__shelf_clear() makes up for a death here */
    mp__store_relaxed(&a->shelf_room,
                      mp__load_relaxed(&a->shelf_room) + (room - before) * each); /* modulo 2^32 */
}

/* With the table locked: drops the hints of a shelf that lead to no SHELVED run. Who clears a place
 * looks behind it, for the run may have become SHELVED meanwhile. */
static void sweep(mp__arena *a, mp__shelf *s)
{
    for (unsigned i = 0; i < MP__SHELF_PLACES; i++) {
        uint32_t hint = mp__load_relaxed(&s->place[i]);
        if (hint != 0 && !(follow(a, hint) & MP__CHUNK_SHELVED) &&
            mp__cas_acquire(&s->place[i], &hint, 0))
            break_up(a, hint - 1, follow(a, hint));
    }
}

/* With the table locked: takes back the room that nothing lies in. */
static void narrow(mp__arena *a)
{
    for (uint32_t shelf = 0; shelf < MP__SHELVES; shelf++) {
        mp__shelf *s = &a->shelves[shelf];
        uint32_t room = mp__load_relaxed(&s->room);
        while (room > 0 && mp__load_relaxed(&s->place[room - 1]) == 0)
            room--;
        set_room(a, shelf, room);
    }
}

/* With the table locked: whether the reserve has room for one more on this shelf. */
static bool has_leave(const mp__arena *a, uint32_t shelf)
{
    uint32_t kept = mp__load_relaxed(&a->retained) + mp__load_relaxed(&a->shelf_room);
    return kept + mp__shelf_longest(shelf) * MP__CHUNK_PAGES <= mp__load_relaxed(&a->reserve);
}

/* With the table locked: one more place. */
static bool widen(mp__arena *a, uint32_t shelf)
{
    if (!has_leave(a, shelf))
        narrow(a);
    uint32_t room = mp__load_relaxed(&a->shelves[shelf].room);
    if (room == MP__SHELF_PLACES || !has_leave(a, shelf))
        return false;
    set_room(a, shelf, room + 1);
    MP_STEP("shared.shelf.widened");
    return true;
}

void mp__shelf_settle(mp__arena *a, uint32_t head, uint32_t count)
{
    uint32_t shelf = shelf_for(count);
    if (shelf != NOWHERE) {
        mp__shelf *s = &a->shelves[shelf];
        sweep(a, s);
        if (place_hint(s, head) || (widen(a, shelf) && place_hint(s, head)))
            return;
    }
    break_up(a, head, shelved(count));
}

void mp__shelf_clear(mp__arena *a)
{
    for (uint32_t shelf = 0; shelf < MP__SHELVES; shelf++) {
        mp__shelf *s = &a->shelves[shelf];
        set_room(a, shelf, 0);
        for (unsigned i = 0; i < MP__SHELF_PLACES; i++) {
            uint32_t hint = mp__load_relaxed(&s->place[i]);
            if (hint == 0 || !mp__cas_acquire(&s->place[i], &hint, 0))
                continue;
            MP_STEP("shared.shelf.hint_cleared");
            break_up(a, hint - 1, follow(a, hint));
        }
    }
    mp__store_relaxed(&a->shelf_room, 0); /* as it is, unless somebody died in set_room() */
}

void mp__shelf_gather(mp__arena *a)
{
    mp__shelf_clear(a);
    uint32_t top = mp__load_relaxed(&a->top);
    for (uint32_t i = 0; i < top;) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        enum mp__chunk_kind kind = mp__chunk_kind_of(d);
        uint32_t length =
            kind == MP__CHUNK_RUN || kind == MP__CHUNK_SPAN ? mp__chunk_length(a, d) : 1;
        break_up(a, i, d);
        i += length;
    }
}

uint32_t mp__shelf_pages(const mp__arena *a)
{
    uint32_t chunks = 0;
    for (uint32_t shelf = 0; shelf < MP__SHELVES; shelf++) {
        const mp__shelf *s = &a->shelves[shelf];
        uint32_t room = mp__load_relaxed(&s->room);
        for (uint32_t i = 0; i < room && i < MP__SHELF_PLACES; i++) {
            uint32_t d = follow(a, mp__load_relaxed(&s->place[i]));
            chunks += d & MP__CHUNK_SHELVED ? (uint32_t)mp__chunk_value(d) : 0;
        }
    }
    return chunks * MP__CHUNK_PAGES;
}
