/* SPDX-License-Identifier: MIT */
/* Whoever is stopped with a lock of a queue's books, or of its puts, in hand: others keep their
 * time, and wait as long as they were told. */
#include "support/shared.h"
#include "support/still.h"

#include <mproc/error.h>
#include <mproc/queue.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int setup(void **state)
{
    (void)state;
    return mp_init();
}

static int lend_and_stop(void *arg)
{
    void *block;
    CHECK(mp_queue_loan(arg, 8, &block, 0) == 0);
    mp__step_arm("queue.put.loan_announced", 1, SIGSTOP);
    return mp_queue_publish(arg, block, LONG);
}

static int get_and_die(void *arg)
{
    char byte;
    CHECK(mp_queue_get(arg, &byte, 1, LONG) == 1);
    raise(SIGKILL);
    return 1;
}

static int join_in_time(void *arg)
{
    return mp_queue_join(arg, 0.05) == MP_ETIMEDOUT ? 0 : 1;
}

/* Who publishes is stopped, with put_lock; join looks after one who is dead, and keeps its time. */
static void test_join_beside_a_stopped_lender(void **state)
{
    (void)state;
    mp_queue *one;
    assert_int_equal(mp_queue_new(&one), 0);
    assert_int_equal(mp_queue_put(one, "1", 1, 0), 0);
    assert_int_equal(mp_queue_put(one, "2", 1, 0), 0);
    pid_t lender = child_start(lend_and_stop, one);
    assert_true(child_stopped(lender));
    assert_int_equal(child_end(child_start(get_and_die, one)), -SIGKILL);
    assert_int_equal(child_end(child_start(join_in_time, one)), 0);
    assert_int_equal(mp_queue_lost(one), 1);
    kill(lender, SIGCONT);
    assert_int_equal(child_end(lender), 0);
    mp_queue_free(one);
}

static int count_lost(void *arg)
{
    return mp_queue_lost(arg) == 0 ? 0 : 1;
}

static int get_first(void *arg)
{
    char byte;
    return mp_queue_get(arg, &byte, 1, LONG) == 1 ? 0 : 1;
}

static int lend_first(void *arg)
{
    void *block;
    CHECK(mp_queue_loan(arg, 1, &block, LONG) == 0);
    CHECK(mp_queue_discard(arg, block) == 0);
    return 0;
}

/* The holder of the books is stopped; a thread's first call is as patient as it was told. */
static void first_call(int (*call)(void *))
{
    mp_queue *q;
    pid_t holder;
    assert_int_equal(mp_queue_new(&q, .on_death = MP_REDELIVER), 0);
    assert_int_equal(mp_queue_put(q, "1", 1, 0), 0);
    assert_int_equal(stop_at("lease.unlock.looked", 1, count_lost, q, &holder), STEP_REACHED);
    pid_t caller = child_start(call, q);
    until_still(caller);
    nap(0.05); /* more than a try would wait */
    assert_int_equal(step_go_on(holder), 0);
    assert_int_equal(child_end(caller), 0);
    mp_queue_free(q);
}

static void test_first_get(void **state)
{
    (void)state;
    first_call(get_first);
}

static void test_first_loan(void **state)
{
    (void)state;
    first_call(lend_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_beside_a_stopped_lender),
        cmocka_unit_test(test_first_get),
        cmocka_unit_test(test_first_loan),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
