/* SPDX-License-Identifier: MIT */
/*
 * The reserve: how many pages may be idle, in free chunks and on shelves, before some are given
 * back. It begins with 8 MiB. Pages that have to be populated within a second after as many were
 * given back should not have been: the reserve grows by them. What was idle all through a second
 * was not needed: it shrinks by that. Nothing but that a page was wrongly given back, or kept, can
 * come of a wrong figure, and all are changed under the table's lock; a death leaves one of the
 * two. An idle family calls nobody, and keeps up to its reserve.
 */
#include "shm/reserve.h"

#include "os/clock.h"
#include "shm/shelf.h"

#define MOST_PAGES MP__RESERVE_PAGES(128)
#define MOST_SHARE 16u /* and at most such a part of the limit */
#define SPAN_PAGES MP__RESERVE_PAGES(6)
#define PERIOD     MP__NS_PER_S

uint32_t mp__reserve_most(const mp__arena *a)
{
    size_t share = (size_t)a->chunks * MP__CHUNK_PAGES / MOST_SHARE;
    return (uint32_t)mp__max_size(MP__RESERVE_LEAST, mp__min_size(MOST_PAGES, share));
}

bool mp__reserve_exceeded(const mp__arena *a)
{
    uint32_t reserve = mp__load_relaxed(&a->reserve), free = mp__load_relaxed(&a->retained);
    if (free + mp__load_relaxed(&a->shelf_room) <= reserve)
        return false;
    return free + mp__shelf_pages(a) > reserve;
}

uint32_t mp__reserve_goal(const mp__arena *a)
{
    return mp__load_relaxed(&a->reserve) - SPAN_PAGES;
}

void mp__reserve_given(mp__arena *a, uint32_t pages)
{
    int64_t now = mp__now();
    a->given = (now - a->given_at > PERIOD ? 0 : a->given) + pages;
    a->given_at = now;
}

void mp__reserve_missed(mp__arena *a, uint32_t pages)
{
    if (a->given == 0 || pages == 0)
        return;
    int64_t now = mp__now();
    if (now - a->given_at > PERIOD) {
        a->given = 0;
        return;
    }
    uint32_t reserve = mp__load_relaxed(&a->reserve), most = mp__reserve_most(a);
    uint32_t more = (uint32_t)mp__min_size(pages, a->given);
    a->given -= more;
    if (reserve == MP__RESERVE_LEAST) {
        a->idle_since = now;
        a->idle_least = UINT32_MAX;
    }
    mp__store_relaxed(&a->reserve, (uint32_t)mp__min_size(most, reserve + more));
}

void mp__reserve_look(mp__arena *a)
{
    uint32_t reserve = mp__load_relaxed(&a->reserve);
    if (reserve == MP__RESERVE_LEAST)
        return;
    uint32_t idle = mp__load_relaxed(&a->retained) + mp__shelf_pages(a);
    int64_t now = mp__now(), over = now - a->idle_since - PERIOD;
    if (idle < a->idle_least || over > PERIOD) /* nobody has come for a whole second */
        a->idle_least = idle;
    if (over < 0)
        return;
    uint32_t spare = reserve - MP__RESERVE_LEAST;
    mp__store_relaxed(&a->reserve, reserve - (uint32_t)mp__min_size(spare, a->idle_least));
    a->idle_least = idle;
    a->idle_since = now;
}
