/* SPDX-License-Identifier: MIT */
/* Claims: which worker has which items of a work, exactly, whoever dies when. */
#ifndef MPROC_POOL_CLAIM_H
#define MPROC_POOL_CLAIM_H

#include "pool/claim_word.h"

/*
 * Lanes. The units of a work are dealt out over its lanes when it is made: lane i is that of slot
 * i. A lane is one word: what is left in it is start .. end; the mark is the slot number + 1 of who
 * has cut its end last. Only the worker in its slot takes from the start; everybody else cuts from
 * the end, when his own lane is empty. Both is a compare-and-swap of the word, which says all there
 * is to say of the lane; start only rises and end only falls, so no value comes back.
 *
 * slot->claim says what of slot->work is the slot's: a lane (13 bits), from which unit on (24), how
 * many (13), a serial number (12) and a state (2):
 *
 * | state  | means                                                          | becomes              |
 * | NONE   | the slot has nothing                                           | OWN, WANTED          |
 * | OWN    | the worker takes, or has taken, these from its lane's start    | any                  |
 * | WANTED | the worker cuts these off, or just has cut them off, that lane | HELD, NONE, WANTED   |
 * | HELD   | they are the slot's, until it has settled every item           | any                  |
 *
 * So when a worker has died:
 * - OWN: they are its if and only if the lane's start is beyond the first of them.
 * - WANTED: they are its if the lane carries its mark and ends where they begin. Before anybody
 *   else cuts the lane he makes the claim of the one whose mark it carries HELD on his behalf. So
 *   if the lane does not look like that, and the claim still is WANTED, nothing was cut.
 * A mark may be an old one: then the lane ends higher than what its slot wants now.
 *
 * What of a claim is settled is in slot->item; it is written while the claim is NONE.
 *
 * A NONE that follows a claim says so (its length is 1) until the worker looks for another work. A
 * work that was only looked at may have been freed before it stood in the slot: the supervisor
 * leaves it alone.
 *
 * A work of one unit is done when who took it has run it. One of several is done when all lanes are
 * empty and no slot has a claim on it. Who has nothing to take from it any more drops its claim and
 * then looks at all lanes and all others' claims, sequentially consistent: the last one finds them
 * all dropped.
 */
/* How many units of a work its worker takes at a time, if the job leaves the choice. */
typedef struct mp__pace {
    uint64_t order; /* of the work; another one begins with 1 */
    uint64_t units;
} mp__pace;

/* In a worker whose last claim is settled: claims a range of the work that it was at, else of the
 * next. False: there is nothing. */
bool mp__claim_take(mp__pool_control *c, uint32_t slot, mp__pace *pace, mp__range *range);

/* The same, but only of the worker's own lane of the work that it is at, which has several units:
 * the common case. */
bool mp__claim_next(mp__pool_control *c, uint32_t slot, const mp__pace *pace, mp__range *range);

/* The same, unit by unit, for works where that must cost next to nothing. */
typedef struct mp__stroll {
    _Atomic uint64_t *lane, *claim, *item;
    uint64_t unit, dropped, own; /* the claim's words, but for the unit */
} mp__stroll;

/* Whether there is such a lane. */
bool mp__stroll_begin(mp__pool_control *c, uint32_t slot, mp__stroll *st);
/* False: the lane is empty. Else *item is the first of the next unit. */
bool mp__stroll_on(const mp__stroll *st, uint64_t *item);

/* In a worker: whether there may be more work than what it has claimed. */
bool mp__claim_leaves_more(const mp__slot *s);

/* What is left of a slot's HELD claim; false if it has none. */
bool mp__claim_get(const mp__slot *s, mp__range *range);

/* In a worker, or in the supervisor for a slot without process: of the slot's claim this end is
 * left; if it is empty the slot has none, and the work is done if that was the last. */
void mp__claim_set(mp__pool_control *c, mp__slot *s, mp__range range);

/* Before the end of a lane that was seen like that is cut: who has cut it last gets what it has cut
 * off. */
void mp__claim_help(mp__pool_control *c, const mp__work *w, uint64_t lane, uint64_t seen);

/* In a worker that has settled its last claim, and takes none instead. */
void mp__claim_end(mp__pool_control *c, mp__slot *s);

/* In a worker that has no claim: it does not look at a work any more. */
void mp__claim_forget(mp__slot *s);

/* In the supervisor, for a slot whose worker is dead: what has become of an OWN or WANTED claim. If
 * slot->work is not NULL then it may be used. */
void mp__claim_resolve(mp__pool_control *c, uint32_t slot);

/* Nobody claims any more of it: what nobody has claimed fails so. With `untouched` only
 * if nothing was claimed. Returns how many items that were. */
uint64_t mp__claim_stop(mp__pool_control *c, mp__work *w, bool untouched, const mp__verdict *why);

/* Marks a work done if it is, and wakes who waits for it. */
void mp__claim_finish(mp__pool_control *c, mp__work *w);

/* The same without looking: nobody works on it any more. */
void mp__claim_finish_now(mp__work *w);

/* How many items are claimed and not settled, or not claimed: for progress only. */
uint64_t mp__claim_left(const mp__pool_control *c, const mp__work *w);

/* In the supervisor: whether there is anything to claim. */
bool mp__claim_open(mp__pool_control *c);

/* In the supervisor: whether there is anything to claim, or claimed and not settled. */
bool mp__claim_any(mp__pool_control *c);

#endif
