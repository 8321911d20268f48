/* SPDX-License-Identifier: MIT */
/* Time limits of items: what the supervisor makes of them. */
#ifndef MPROC_POOL_LIMIT_H
#define MPROC_POOL_LIMIT_H

#include "pool/control.h"

/*
 * A worker writes an item's deadlines, soft and hard, between the item's two words (running not,
 * running): so a deadline that stands there while the same running item is seen before and after is
 * that item's.
 *
 * | verdict | means                                            | the supervisor                   |
 * | NONE    | no limit has passed, or that was acted upon      | -                                |
 * | SOFT    | the soft limit has, and this is the first look   | sends the pool's soft_signal     |
 * | HARD    | the hard limit has                               | kills; settles by that deadline  |
 *
 * The signal is no more exact than a look at another process can be: the item may end before it
 * arrives, and then it finds the next one, or none. A kill is exact: who was killed for a deadline
 * that is not its item's runs it again.
 */
enum mp__limit_verdict { MP__LIMIT_NONE, MP__LIMIT_SOFT, MP__LIMIT_HARD };

/* One round over the slots. */
typedef struct mp__limit_round {
    int64_t now;
    int64_t next; /* when something that runs now passes its next limit */
} mp__limit_round;

/* Begins a round. What begins later passes no limit before `shortest` ns have gone. */
mp__limit_round mp__limit_begin(int64_t shortest);

/* Looks at a slot. *deadline becomes the one that has passed; *warned is the caller's for each
 * worker, 0 at first, and keeps the soft deadline that was told. */
enum mp__limit_verdict mp__limit_look(mp__limit_round *round, const mp__slot *s, int64_t *deadline,
                                      int64_t *warned);

#endif
