/* SPDX-License-Identifier: MIT */
/* Tests of pools, with asserts: pools, and work that runs until release() is called. */
#ifndef MPROC_TESTS_POOLS_H
#define MPROC_TESTS_POOLS_H

#include "support/workers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static inline mp_pool *make(int processes)
{
    mp_pool *pool = NULL;
    assert_int_equal(mp_pool_new(&pool, .processes = processes), 0);
    return pool;
}

/* Work that runs until release(i), as soon as a worker has time for it. */
static inline mp_result *hold(mp_pool *pool, int i)
{
    mp_result *r;
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &i, sizeof i, sizeof i), 0);
    return r;
}

/* The same; it runs when this returns. */
static inline mp_result *hold_running(mp_pool *pool, int i)
{
    mp_result *r = hold(pool, i);
    assert_true(await(&board->pid[i]));
    return r;
}

static inline void free_all(mp_result **rs, int n)
{
    for (int i = 0; i < n; i++)
        mp_result_free(rs[i]);
}

#endif
