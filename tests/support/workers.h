/* SPDX-License-Identifier: MIT */
/* Tests of pools: tasks, and what must be true again after each test. */
#ifndef MPROC_TESTS_WORKERS_H
#define MPROC_TESTS_WORKERS_H

#include "support/program.h"

#include <stdarg.h>

static int descriptors_before;

static inline int nothing(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return 0;
}

/* For cmocka. What the library opens once and keeps is open before the first test. */
static inline int workers_setup(void **state)
{
    mp_pool *pool;
    if (board_setup(state) != 0 || mp_pool_new(&pool, .processes = 1) != 0)
        return -1;
    mp_pool_free(pool);
    descriptors_before = open_descriptors();
    return 0;
}

static inline int workers_teardown(void **state)
{
    (void)state;
    if (open_descriptors() != descriptors_before) {
        fprintf(stderr, "%d descriptors, %d before\n", open_descriptors(), descriptors_before);
        return -1;
    }
    return no_children_left() ? 0 : -1;
}

#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, workers_setup, workers_teardown)

/* Tasks. */

static inline int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

static inline int own_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(int *)out = getpid();
    return 0;
}

static inline int supervisor_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(int *)out = getppid();
    return 0;
}

/* Says that it has started, and runs until it is told not to: by input i, on the board's slot i. */
static inline int held(const void *in, void *out, void *context)
{
    (void)context;
    int i = *(const int *)in;
    atomic_store(&board->pid[i], getpid());
    if (await(&board->flag[i]) == 0)
        return -1;
    if (out != NULL)
        *(int *)out = i;
    return 0;
}

static inline void release(int i)
{
    atomic_store(&board->flag[i], 1);
}

/* The supervisor of a pool: a worker's parent. */
static inline pid_t supervisor_of(mp_pool *pool)
{
    int pid = 0;
    return mp_pool_apply(pool, supervisor_pid, NULL, 0, &pid, sizeof pid, LONG) == 0 ? pid : 0;
}

/* Closes, joins and frees. */
static inline int finish(mp_pool *pool)
{
    int rc = mp_pool_close(pool);
    if (rc == 0)
        rc = mp_pool_join(pool, LONG);
    mp_pool_free(pool);
    return rc;
}

static inline void count_up(long *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = (long)i;
}

#endif
