/* SPDX-License-Identifier: MIT */
/* The pains of Python's JoinableQueue (A6, C9), which this library has not. */
#include "pains/pain.h"

static mp_queue *q;

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    q = NULL;
    return mp_shared_check(NULL);
}

static int take_one(void *arg)
{
    char c;
    (void)arg;
    CHECK(mp_queue_get(q, &c, 1, LONG) == 1);
    signal_word(&notes->ready);
    pause();
    return 1;
}

static int join_all(void *arg)
{
    (void)arg;
    signal_word(&notes->ready);
    return mp_queue_join(q, LONG);
}

/* A worker dies between get and task_done while somebody waits in join. */
static void a_worker_dies_with_a_task(int on_death, bool again)
{
    char c = 0;
    memset(notes, 0, sizeof *notes);
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .on_death = on_death), 0);
    assert_int_equal(mp_queue_put(q, "t", 1, 0), 0);
    pid_t worker = child_start(take_one, NULL);
    assert_true(await(&notes->ready, 1));
    pid_t joiner = child_start(join_all, NULL);
    assert_true(await(&notes->ready, 2));
    until_asleep(joiner);
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
    assert_int_equal(child_kill(worker), -SIGKILL);
    if (again) {
        assert_int_equal(mp_queue_get(q, &c, 1, LONG), 1);
        assert_int_equal(c, 't');
        assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(child_end(joiner), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
    assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
    assert_int_equal(mp_queue_lost(q), again ? 0 : 1);
    assert_true(mp_queue_empty(q));
}

static void a6_join_outlives_a_worker(void **state)
{
    (void)state;
    a_worker_dies_with_a_task(0, false); /* not given: what the header says */
    a_worker_dies_with_a_task(MP_LOSE, false);
    a_worker_dies_with_a_task(MP_REDELIVER, true);
    ours("A6",
         "join() that waits when the worker with the item is killed returns, 1 message counted "
         "as lost; with MP_REDELIVER when another that got it again is done");
}

static int put_and_do(void *arg)
{
    char c;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK(mp_queue_get(q, &c, 1, LONG) == 1);
        if (i == 0)
            CHECK(mp_queue_put(q, "n", 1, 0) == 0); /* one more while somebody joins */
        CHECK(mp_queue_task_done(q) == 0);
    }
    return 0;
}

static void c9_join_has_a_deadline_and_comes_again(void **state)
{
    (void)state;
    assert_int_equal(mp_queue_new(&q), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
    assert_int_equal(mp_queue_put(q, "1", 1, 0), 0);
    assert_int_equal(mp_queue_put(q, "2", 1, 0), 0);
    double start = seconds();
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_queue_join(q, 0.1), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.1 && seconds() - start < LONG / 2);
    for (int i = 0; i < 20; i++) {
        pid_t pid[3];
        pid[0] = child_start(join_all, NULL);
        pid[1] = child_start(join_all, NULL);
        assert_true(await(&notes->ready, (uint32_t)(2 * i + 2)));
        pid[2] = child_start(put_and_do, NULL);
        assert_int_equal(mp_queue_join(q, LONG), 0);
        for (int k = 0; k < 3; k++)
            assert_int_equal(child_end(pid[k]), 0);
        assert_int_equal(mp_queue_join(q, 0), 0);
        assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
        assert_int_equal(mp_queue_put(q, "1", 1, 0), 0);
        assert_int_equal(mp_queue_put(q, "2", 1, 0), 0);
    }
    ours("C9",
         "join(0.1) of a task that is not done: MP_ETIMEDOUT; it is called again, by several, "
         "20 of 20 times");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, desk_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a6_join_outlives_a_worker),
        TEST(c9_join_has_a_deadline_and_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
