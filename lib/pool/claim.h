/* SPDX-License-Identifier: MIT */
/* Claims: which worker has which items of a work, exactly, whoever dies when. */
#ifndef MPROC_POOL_CLAIM_H
#define MPROC_POOL_CLAIM_H

#include "pool/work.h"

/*
 * work->next holds the first index that nobody has claimed (40 bits) and, in its low 16 bits, the
 * slot number + 1 of who claimed last. slot->claim holds a range: its start (40 bits), a serial
 * number (6), its length (16) and a state (2):
 *
 * | state  | means                                                       | becomes                  |
 * | NONE   | the slot has nothing                                        | WANTED                   |
 * | WANTED | the worker is about to take the range, or just has taken it | HELD, NONE, WANTED       |
 * | HELD   | the range is the slot's, until it has settled every item    | NONE, HELD (of the rest) |
 *
 * A worker takes a range in three steps: it writes the range as WANTED; moves work->next past it by
 * a compare-and-swap that leaves its number; makes its claim HELD. Before anybody moves work->next
 * on, it makes the claim of the one who moved it last HELD on his behalf. So when a worker has died
 * with a WANTED claim, the range is its own if and only if work->next still ends there and carries
 * its number: mp__claim_resolve().
 *
 * A work is done when all is claimed and no slot has a claim on it. Who drops its claim looks at
 * all others afterwards, sequentially consistent; so the last one finds them all dropped.
 */
enum mp__claim_state { MP__CLAIM_NONE, MP__CLAIM_WANTED, MP__CLAIM_HELD };

typedef struct mp__range {
    uint64_t start, end;
} mp__range;

/* In a worker: finds work and claims a range of it. Returns false if there is none. */
bool mp__claim_take(mp__pool_control *c, uint32_t slot, mp__range *range);

/* The range of a slot's HELD claim; false if it has none. */
bool mp__claim_get(const mp__slot *s, mp__range *range);

/* In a worker, or in the supervisor for a slot without process: the slot's claim is now this range
 * of the same work; an empty one: it has none, and the work is finished if that was the last. */
void mp__claim_set(mp__pool_control *c, mp__slot *s, mp__range range);

/* In a worker that has no claim: it does not look at a work any more. */
void mp__claim_forget(mp__slot *s);

/* In the supervisor, for a slot whose worker is dead: what has become of a WANTED claim. */
void mp__claim_resolve(mp__pool_control *c, uint32_t slot);

/* Nobody claims any more of it. Returns the first index that nobody had claimed. With `untouched`
 * only if none was, else work->count. */
uint64_t mp__claim_stop(mp__pool_control *c, mp__work *w, bool untouched);

/* Marks a work done if it is, and wakes who waits for it. */
void mp__claim_finish(mp__pool_control *c, mp__work *w);

/* The same without looking: nobody works on it any more. */
void mp__claim_finish_now(mp__work *w);

/* How many items are claimed and not settled, or not claimed: for progress only. */
uint64_t mp__claim_left(const mp__pool_control *c, const mp__work *w);

/* In the supervisor: whether there is anything to claim, or claimed and not settled. */
bool mp__claim_any(mp__pool_control *c);

#endif
