/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * Records lie in blocks that double in size and are never freed: block k has FIRST << k of them.
 * Taking one is done under a robust lock: first the serial goes up, which makes every older id
 * "over" for good, then the word is taken. Who dies in between leaves a record that nobody holds,
 * free for the next; a block whose maker died before publishing it is a leaked block.
 *
 * "Over" is read word first, serial second. If the word had a holder at the first moment and the
 * serial is the id's at the second, then, serials only grow and grow before a word is taken, that
 * holder was the id's. A word without holder needs no serial: an id exists only once the word is
 * taken.
 *
 * The word carries MP__WAITERS from the start, so that the kernel wakes one who sleeps on it.
 */
#include "sync/life.h"

#include "base/bits.h"
#include "os/step.h"
#include "shm/arena.h"

#include <mproc/shared.h>

#define FIRST 64u /* records in block 0 */

#define INDEX_MASK ((UINT64_C(1) << MP__LIFE_INDEX_BITS) - 1)

static mp__life *record(const mp__arena *a, uint32_t place)
{
    unsigned block = mp__log2_floor(place / FIRST + 1);
    mp__life *first = (mp__life *)mp__load_acquire(&a->lives[block]); /* pairs with add_block() */
    return first == NULL ? NULL : &first[place - FIRST * ((1u << block) - 1)];
}

mp__life *mp__life_at(uint32_t index)
{
    const mp__arena *a = mp__arena_get();
    if (a == NULL || index == 0 || index > FIRST * ((1u << MP__LIFE_BLOCKS) - 1))
        return NULL;
    return record(a, index - 1);
}

/* With the lock held. */
static mp__life *add_block(mp__arena *a, unsigned block)
{
    uint32_t count = FIRST << block;
    uint32_t before = FIRST * ((1u << block) - 1);
    mp__life *records = mp_shared_calloc(count, sizeof *records);
    if (records == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        records[i].index = before + i + 1;
    MP_STEP("life.block.made");
    mp__store_release(&a->lives[block], (uintptr_t)records); /* pairs with record() */
    return records;
}

/* With the lock held: a record that nobody holds. */
static mp__life *find_free(mp__arena *a)
{
    for (unsigned block = 0; block < MP__LIFE_BLOCKS; block++) {
        mp__life *records = (mp__life *)mp__load_acquire(&a->lives[block]);
        if (records == NULL)
            return add_block(a, block);
        for (uint32_t i = 0; i < FIRST << block; i++)
            if (mp__robust_abandoned(mp__load_acquire(&records[i].node.word)) &&
                mp__load_acquire(&records[i].engaged) == 0)
                return &records[i];
    }
    return NULL;
}

static void take(mp__thread *self, mp__life *life)
{
    mp__add_seq(&life->serial, 1);
    MP_STEP("life.take.numbered");
    mp__store_relaxed(&life->pid, mp__process_id());
    mp__store_relaxed(&life->started, 0);
    mp__store_relaxed(&life->uses, 0);
    mp__robust_announce(self, &life->node);
    mp__store_seq(&life->node.word, self->tid | MP__WAITERS); /* pairs with mp__life_is_over() */
    MP_STEP("life.take.taken");
    mp__robust_link(self, &life->node);
    mp__robust_announce(self, NULL);
    self->held--; /* it is none of the locks that a thread may hold 1024 of */
    self->life = life;
}

static mp__life *mine(bool patient)
{
    mp__thread *self = mp__thread_self();
    if (self->life != NULL)
        return self->life;
    if (mp_init() < 0)
        return NULL;
    mp__arena *a = mp__arena_get();
    /* A death in it left nothing that find_free() minds. */
    if (patient)
        mp__mutex_lock(&a->lives_lock);
    else if (mp__mutex_lock_briefly(&a->lives_lock) < 0)
        return NULL;
    mp__life *life = find_free(a);
    if (life != NULL)
        take(self, life);
    mp__mutex_unlock(&a->lives_lock);
    return life;
}

mp__life *mp__life_mine(void)
{
    return mine(true);
}

mp__life *mp__life_mine_soon(void)
{
    return mine(false);
}

mp__life_id mp__life_id_of(const mp__life *life)
{
    uint64_t serial = mp__load_relaxed(&life->serial) & INDEX_MASK;
    return life->index | serial << MP__LIFE_INDEX_BITS;
}

mp__life *mp__life_find(mp__life_id id)
{
    return mp__life_at((uint32_t)(id & INDEX_MASK));
}

bool mp__life_is_over(mp__life_id id)
{
    const mp__life *life = mp__life_find(id);
    if (life == NULL)
        return true;
    bool held = !mp__robust_abandoned(mp__load_seq(&life->node.word));
    return !held || mp__life_id_of(life) != id;
}

bool mp__life_ask_over(mp__life_id id)
{
    mp__life *life = mp__life_find(id);
    if (life == NULL)
        return true;
    /* If another holds the record by now, that one is asked about, with as little harm. */
    mp__robust_reclaim(&life->node.word);
    return mp__life_is_over(id);
}
