/* SPDX-License-Identifier: MIT */
/* Who waits in a queue's get or put is killed or stopped, and what it was woken for goes to
 * another. Python's getter has the reader's lock while it waits (A4, C8). */
#include "pains/pain.h"

#define CROWD 4

static mp_queue *q;
static pid_t pid[CROWD];

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    q = NULL;
    return mp_shared_check(NULL);
}

static int get_each(void *arg)
{
    (void)arg;
    char c;
    signal_word(&notes->ready);
    while (mp_queue_get(q, &c, 1, MP_FOREVER) == 1)
        signal_word(&notes->done);
    return 1;
}

static int put_each(void *arg)
{
    (void)arg;
    signal_word(&notes->ready);
    while (mp_queue_put(q, "p", 1, MP_FOREVER) == 0)
        signal_word(&notes->done);
    return 1;
}

static void join_crowd(int i, int (*run)(void *))
{
    uint32_t ready = mp__load_acquire(&notes->ready);
    pid[i] = child_start(run, NULL);
    assert_true(await(&notes->ready, ready + 1));
    until_asleep(pid[i]);
}

static void crowd(int (*run)(void *))
{
    for (int i = 0; i < CROWD; i++)
        join_crowd(i, run);
}

static void disperse(void)
{
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(child_kill(pid[i]), -SIGKILL);
}

/* One more is done, by whomever, within the time that is left to a message among the living. */
static void await_one_more(uint32_t done)
{
    double start = seconds();
    assert_true(await(&notes->done, done + 1));
    assert_true(seconds() - start < LONG / 2);
}

/* Each in turn, so also who has waited longest; all but one at last. */
static void stopped_getters_leave_the_messages_to_others(void **state)
{
    (void)state;
    assert_int_equal(mp_queue_new(&q), 0);
    crowd(get_each);
    for (int round = 0; round < 5 * CROWD; round++) {
        bool all = round >= 4 * CROWD;
        for (int i = 0; i < CROWD; i++)
            until_asleep(pid[i]);
        for (int i = 0; i < CROWD; i++)
            if (all ? i != round % CROWD : i == round % CROWD)
                assert_true(child_stop(pid[i]));
        uint32_t done = mp__load_acquire(&notes->done);
        assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
        await_one_more(done);
        for (int i = 0; i < CROWD; i++)
            kill(pid[i], SIGCONT);
    }
    disperse();
}

static void stopped_putters_leave_the_room_to_others(void **state)
{
    (void)state;
    char c;
    assert_int_equal(mp_queue_new(&q, .maxsize = 1), 0);
    assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
    crowd(put_each);
    for (int round = 0; round < 5 * CROWD; round++) {
        bool all = round >= 4 * CROWD;
        for (int i = 0; i < CROWD; i++)
            until_asleep(pid[i]);
        for (int i = 0; i < CROWD; i++)
            if (all ? i != round % CROWD : i == round % CROWD)
                assert_true(child_stop(pid[i]));
        uint32_t done = mp__load_acquire(&notes->done);
        assert_int_equal(mp_queue_get(q, &c, 1, LONG), 1);
        await_one_more(done);
        for (int i = 0; i < CROWD; i++)
            kill(pid[i], SIGCONT);
    }
    disperse();
}

/* First while all wait, then when there is room already, so that the dead one may be who was woken
 * for it. */
static void dead_putters_leave_the_room_to_others(void **state)
{
    (void)state;
    char c;
    random_state random = random_start("dead putters");
    int rounds = fewer(100);
    assert_int_equal(mp_queue_new(&q, .maxsize = 1), 0);
    assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
    crowd(put_each);
    for (int round = 0; round < 2 * rounds; round++) {
        int victim = (int)random_below(&random, CROWD);
        if (round < rounds)
            assert_int_equal(child_kill(pid[victim]), -SIGKILL);
        assert_int_equal(mp_queue_get(q, &c, 1, LONG), 1);
        if (round >= rounds)
            assert_int_equal(child_kill(pid[victim]), -SIGKILL);
        double start = seconds();
        while (!mp_queue_full(q)) /* by somebody living, or by the dead before */
            nap(0.0001);
        assert_true(seconds() - start < LONG / 2);
        join_crowd(victim, put_each);
        for (int i = 0; i < CROWD; i++)
            until_asleep(pid[i]);
    }
    disperse();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, desk_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(stopped_getters_leave_the_messages_to_others),
        TEST(stopped_putters_leave_the_room_to_others),
        TEST(dead_putters_leave_the_room_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
