/* SPDX-License-Identifier: MIT */
/* Shelves: large blocks that nobody uses, kept whole for who needs that size next. */
#ifndef MPROC_SHM_SHELF_H
#define MPROC_SHM_SHELF_H

#include "shm/arena.h"

/* Takes a run of just so many chunks; false: there is none. */
bool mp__shelf_take(mp__arena *a, uint32_t count, uint32_t *head);

/* Frees a run in use, whose descriptor is `d`. Returns MP_EINVAL: somebody else has freed it; true:
 * that is all; false: the caller has to mp__shelf_settle() it. */
int mp__shelf_put(mp__arena *a, uint32_t head, uint32_t d);

/* With the table locked: what mp__shelf_put() found no place for gets one, or its chunks become
 * free. */
void mp__shelf_settle(mp__arena *a, uint32_t head, uint32_t count);

/* With the table locked: all that is on the shelves becomes free chunks. */
void mp__shelf_clear(mp__arena *a);

/* The same, and so do runs that dead processes had not yet put there. */
void mp__shelf_gather(mp__arena *a);

/* Pages of what is on the shelves. Without the lock it is a guess. */
uint32_t mp__shelf_pages(const mp__arena *a);

/* The longest run that belongs on this shelf. */
uint32_t mp__shelf_longest(unsigned shelf);

#endif
