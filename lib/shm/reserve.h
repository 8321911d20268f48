/* SPDX-License-Identifier: MIT */
/* How much idle memory stays populated: 8 MiB, and more where that is used again soon. */
#ifndef MPROC_SHM_RESERVE_H
#define MPROC_SHM_RESERVE_H

#include "shm/arena.h"

#define MP__RESERVE_PAGES(mib) ((uint32_t)(((size_t)(mib) << 20) / MP__CHUNK_PAGE))
#define MP__RESERVE_LEAST      MP__RESERVE_PAGES(8)

/* The most that the reserve may become. */
uint32_t mp__reserve_most(const mp__arena *a);

/* Whether more is idle than may be. Without the lock it is a guess. */
bool mp__reserve_exceeded(const mp__arena *a);

/* Down to so many pages is trimmed then. */
uint32_t mp__reserve_goal(const mp__arena *a);

/* With the table locked: so many pages are being given back; so many have to be populated. */
void mp__reserve_given(mp__arena *a, uint32_t pages);
void mp__reserve_missed(mp__arena *a, uint32_t pages);

/* With the table locked: takes a look at how much is idle. */
void mp__reserve_look(mp__arena *a);

/* After a block was freed: whether it is time for a look. */
static inline bool mp__reserve_due(const mp__arena *a)
{
    static _Thread_local uint32_t calls;
    return __builtin_expect(++calls % 64 == 0, 0) && a != NULL &&
           mp__load_relaxed(&a->reserve) != MP__RESERVE_LEAST;
}

#endif
