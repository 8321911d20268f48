/* SPDX-License-Identifier: MIT */
/* Waiting for one of many results. */
#ifndef MPROC_POOL_COLLECT_H
#define MPROC_POOL_COLLECT_H

#include "pool/handle.h"

/* So many can be waited for exactly at a time. */
#define MP__COLLECT_MOST 64

/* Sleeps until one of the results may be done, something may have become due (pool/callback.h), or
 * it is time to look again. */
void mp__collect_sleep(mp_result *const *rs, int count, mp__deadline until);

/* Runs what is due, until the pool's supervisor is gone, nothing can become due, or the deadline
 * has passed. Returns 0 or MP_EINTR. */
int mp__collect_until_gone(mp_pool *pool, mp__deadline until);

/* What is waited for. */
typedef struct mp__collection {
    /* -1: it is there. Else fills in the results whose end may bring it, those first that can end
     * first; returns how many, at most MP__COLLECT_MOST. */
    int (*look)(void *arg, mp_result **open);
    void *arg;
} mp__collection;

/* Waits until it is there, and meanwhile runs what is due. Returns 0, MP_ETIMEDOUT or MP_EINTR. */
int mp__collect_await(const mp__collection *c, mp__deadline until);

/* A result, and where it stands in the caller's array. */
typedef struct mp__collected {
    mp_result *result;
    size_t place;
} mp__collected;

/* Sorts results so that of each pool those come first that are worked on first. */
void mp__collect_sort(mp__collected *all, size_t count);

#endif
