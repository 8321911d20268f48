/* SPDX-License-Identifier: MIT */
/* Messages that are taken without a copy: who takes one that lay in the ring, and who clears away
 * what a dead taker has in hand, dies at each step; join tells the truth all the same. */
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LENGTH = 40, MESSAGES = 3, BLOCKS_MOST = 4096 /* bytes that the dead may take along */ };

static mp_queue *q;
static size_t used;

static void begin(void)
{
    unsigned char bytes[LENGTH];
    used = bytes_before();
    assert_int_equal(mp_queue_new(&q), 0);
    for (int i = 0; i < MESSAGES; i++) {
        memset(bytes, i, sizeof bytes);
        assert_int_equal(mp_queue_put(q, bytes, sizeof bytes, 0), 0);
    }
}

/* Takes one; *(bool *)arg: and dies with it in hand. */
static int take_one(void *arg)
{
    const void *message;
    size_t length;
    CHECK(mp_queue_take(q, &message, &length, LONG) == 0 && length == LENGTH);
    if (*(bool *)arg)
        kill(getpid(), SIGKILL);
    CHECK(mp_queue_release(q, message) == 0);
    CHECK(mp_queue_task_done(q) == 0);
    return 0;
}

static int join_it(void *arg)
{
    (void)arg;
    CHECK(mp_queue_join(q, LONG) == 0);
    return 0;
}

/* What is left is whole and in order, from `next` on, and join ends; so many were lost. */
static void finish(int next, int lost)
{
    unsigned char bytes[LENGTH], expected[LENGTH];
    for (; next < MESSAGES; next++) {
        memset(expected, next, sizeof expected);
        assert_int_equal(mp_queue_get(q, bytes, sizeof bytes, LONG), LENGTH);
        assert_memory_equal(bytes, expected, LENGTH);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_get(q, bytes, sizeof bytes, 0), MP_EEMPTY);
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(mp_queue_lost(q), lost);
    mp_queue_free(q);
    q = NULL;
    assert_int_equal(mp_shared_check(NULL), 0);
    assert_in_range(bytes_in_use() - used, 0, BLOCKS_MOST);
}

static int taker_dies(const char *step, int nth, void *arg)
{
    begin();
    int end = kill_at(step, nth, SIGKILL, take_one, &(bool){false});
    assert_int_not_equal(end, STEP_FAILED);
    int left = mp_queue_size(q);
    assert_in_range(left, MESSAGES - 1, MESSAGES);
    if (arg != NULL) /* there it has its message */
        assert_int_equal(left, end == STEP_REACHED ? MESSAGES - 1 : left);
    bool done = end == STEP_PASSED;
    finish(MESSAGES - left, left < MESSAGES && !done);
    return end;
}

static void test_taker_dies(void **state)
{
    (void)state;
    assert_true(each_step("loan.take.", 2, taker_dies, &(int){1}) >= 1);
    assert_true(each_step("queue.get", 2, taker_dies, NULL) >= 1);
}

/* One has died with a message in hand; another joins, and dies clearing that away. */
static int heir_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    begin();
    assert_int_equal(child_end(child_start(take_one, &(bool){true})), -SIGKILL);
    int next = MESSAGES - mp_queue_size(q);
    assert_int_equal(next, 1);
    unsigned char bytes[LENGTH];
    while (mp_queue_get(q, bytes, sizeof bytes, 0) == LENGTH)
        assert_int_equal(mp_queue_task_done(q), 0);
    int end = kill_at(step, nth, SIGKILL, join_it, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    finish(MESSAGES, 1);
    return end;
}

static void test_heir_dies(void **state)
{
    (void)state;
    assert_true(each_step("lease.settle.", 2, heir_dies, NULL) >= 3);
}

static int setup(void **state)
{
    (void)state;
    return mp_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taker_dies),
        cmocka_unit_test(test_heir_dies),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
