/* SPDX-License-Identifier: MIT */
/* Tests that run once with each kind of queue: one that loses what the dead have, and one that
 * redelivers it. The test's setup and teardown call kind_setup() and kind_teardown(). */
#ifndef MPROC_TESTS_KINDS_H
#define MPROC_TESTS_KINDS_H

#include "support/shared.h"

#include <mproc/queue.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static size_t used;

static int lose = MP_LOSE, redeliver = MP_REDELIVER;

/* A test of a list, with one of these two, or with another int that is an on_death. */
#define TEST_AS(f, mode)                                                                           \
    {                                                                                              \
        .name = #f "/" #mode, .test_func = f, .setup_func = setup, .teardown_func = teardown,      \
        .initial_state = &mode                                                                     \
    }
#define TEST_BOTH(f) TEST_AS(f, lose), TEST_AS(f, redeliver)

static inline int kind_setup(void **state)
{
    if (mp_init() < 0)
        return -1;
    used = bytes_before();
    return mp_queue_new(&q, .on_death = *(int *)*state);
}

static inline int kind_teardown(void)
{
    mp_queue_free(q);
    if (bytes_in_use() != used)
        return -1;
    return mp_shared_check(NULL);
}

static inline bool redelivers(void **state)
{
    return *(int *)*state == MP_REDELIVER;
}

static inline void remake(int on_death, int maxsize, size_t capacity)
{
    mp_queue_free(q);
    assert_int_equal(
        mp_queue_new(&q, .on_death = on_death, .maxsize = maxsize, .capacity = capacity), 0);
}

#endif
