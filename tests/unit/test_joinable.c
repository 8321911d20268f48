/* SPDX-License-Identifier: MIT */
/* mp_queue_task_done(), mp_queue_join(), mp_queue_lost(), and what deaths of consumers do to them,
 * in queues that lose and in queues that redeliver. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "support/kinds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CONSUMERS = 4, MESSAGES = 4000, LONG_ONE = 6000 };

/* What the processes tell each other. */
static struct board {
    word words[8];
    word got[MESSAGES], done[MESSAGES];
} * board;

static int setup(void **state)
{
    board = common(sizeof *board);
    return board == NULL ? -1 : kind_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    munmap(board, sizeof *board);
    return kind_teardown();
}

static void put_some(int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(MP_PUT(q, i, LONG), 0);
}

static int get_one(void *arg)
{
    (void)arg;
    int i;
    CHECK(MP_GET(q, &i, LONG) == 0);
    return 0;
}

static int get_and_finish(void *arg)
{
    CHECK(get_one(arg) == 0);
    CHECK(mp_queue_task_done(q) == 0);
    return 0;
}

static int die_with(void *arg)
{
    for (int n = *(int *)arg; n > 0; n--)
        CHECK(get_one(NULL) == 0);
    kill(getpid(), SIGKILL);
    return 1;
}

static int join_it(void *arg)
{
    (void)arg;
    signal_word(&board->words[0]);
    CHECK(mp_queue_join(q, MP_FOREVER) == 0);
    return 0;
}

static void test_arguments(void **state)
{
    (void)state;
    mp_queue *none = calloc(1, 4096);
    mp_queue *wrong[] = {NULL, none};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_queue_task_done(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_queue_join(wrong[i], 0), MP_EINVAL);
        assert_int_equal(mp_queue_lost(wrong[i]), MP_EINVAL);
    }
    free(none);
    assert_int_equal(mp_queue_join(q, NAN), MP_EINVAL);
}

static void test_counts(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(mp_queue_join(q, 0), 0);
        assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
        put_some(0, 3);
        assert_int_equal(mp_queue_task_done(q), MP_ESTATE); /* nobody has got one */
        assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
        double start = seconds();
        assert_int_equal(mp_queue_join(q, 0.12), MP_ETIMEDOUT);
        assert_true(seconds() - start >= 0.12);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(get_one(NULL), 0);
            assert_int_equal(mp_queue_join(q, -1), MP_ETIMEDOUT);
            assert_int_equal(mp_queue_task_done(q), 0);
            assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
        }
        assert_int_equal(mp_queue_join(q, MP_FOREVER), 0);
        assert_int_equal(mp_queue_lost(q), 0);
    }
}

/* Many with one call, long ones and short ones. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 70 };
    static char in[LONG_ONE], out[N][LONG_ONE];
    mp_bytes put[N], get[N];
    for (int i = 0; i < N; i++) {
        put[i] = (mp_bytes){in, i % 9 == 4 ? LONG_ONE : (size_t)i, 0};
        get[i] = (mp_bytes){out[i], 0, LONG_ONE};
    }
    assert_int_equal(mp_queue_put_many(q, put, N, 0), N);
    assert_int_equal(mp_queue_size(q), N);
    assert_int_equal(mp_queue_get_many(q, get, N, 0), N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(get[i].length, put[i].length);
        assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_join(q, 0), 0);
}

static void test_close(void **state)
{
    (void)state;
    put_some(0, 2);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(get_and_finish(NULL), 0);
    assert_int_equal(get_one == NULL ? 1 : mp_queue_join(q, LONG), 0);
    int i;
    assert_int_equal(MP_GET(q, &i, LONG), MP_ECLOSED);
}

static void test_wakes_all_joiners(void **state)
{
    (void)state;
    pid_t child[4];
    put_some(0, 2);
    for (int i = 0; i < 4; i++)
        child[i] = child_start(join_it, NULL);
    assert_true(await(&board->words[0], 4));
    for (int i = 0; i < 4; i++)
        until_asleep(child[i]);
    assert_int_equal(get_and_finish(NULL), 0);
    assert_int_equal(get_and_finish(NULL), 0);
    put_some(2, 3); /* the moment counts, not what came after it */
    for (int i = 0; i < 4; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
}

/* Who got it need not be who says that it is done. */
static int finish_others(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++)
        CHECK(mp_queue_task_done(q) == 0);
    CHECK(mp_queue_task_done(q) == MP_ESTATE);
    return 0;
}

static void test_done_by_another(void **state)
{
    (void)state;
    int n = 5;
    put_some(0, 7);
    for (int i = 0; i < n; i++)
        assert_int_equal(get_one(NULL), 0);
    assert_int_equal(child_end(child_start(finish_others, &n)), 0);
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
    assert_int_equal(get_and_finish(NULL), 0);
    assert_int_equal(get_and_finish(NULL), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
}

/* Threads: one gets, another finishes; many come and go. */
static void test_threads(void **state)
{
    (void)state;
    enum { N = 200 };
    put_some(0, N);
    for (int i = 0; i < N; i++) {
        task t;
        assert_int_equal(task_start(&t, i % 2 ? get_one : get_and_finish, NULL), 0);
        assert_int_equal(task_end(&t), 0);
        if (i % 2)
            assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_join(q, 0), 0);
    assert_in_range(bytes_in_use() - used, 0, 40000); /* seats are used again */
}

/* Pain A6: killed between get and task_done. */
static void test_killed_before_done(void **state)
{
    int n = 3;
    put_some(0, 5);
    pid_t joiner = child_start(join_it, NULL);
    assert_true(await(&board->words[0], 1));
    until_asleep(joiner);
    assert_int_equal(child_end(child_start(die_with, &n)), -SIGKILL);
    for (double end = seconds() + LONG; redelivers(state) && mp_queue_size(q) < 5; nap(0.001))
        assert_true(seconds() < end); /* the joiner finds out */
    for (int i = 0; i < (redelivers(state) ? 5 : 2); i++) {
        int expected = redelivers(state) ? i : i + 3, value = -1;
        assert_int_equal(MP_GET(q, &value, LONG), 0); /* what came back first, in order */
        assert_int_equal(value, expected);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    double start = seconds();
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(child_end(joiner), 0);
    assert_true(seconds() - start < LONG / 2);
    assert_int_equal(mp_queue_lost(q), redelivers(state) ? 0 : 3);
    assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
}

/* A getter that sleeps is told of what a death gives back, and of the end. */
static void test_back_to_a_sleeper(void **state)
{
    int value = 7, n = 1;
    pid_t holder;
    assert_int_equal(MP_PUT(q, value, 0), 0);
    holder = child_start(die_with, &n);
    pid_t sleeper = 0;
    if (redelivers(state)) {
        assert_int_equal(child_end(holder), -SIGKILL);
        sleeper = child_start(get_and_finish, NULL);
        assert_int_equal(child_end(sleeper), 0);
    } else {
        assert_int_equal(child_end(holder), -SIGKILL);
    }
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(MP_GET(q, &value, LONG), MP_ECLOSED);
}

/* A message that kills whoever gets it goes round until somebody survives it. */
static void test_again_and_again(void **state)
{
    int n = 1, value = 0;
    put_some(5, 6);
    for (int i = 0; i < (redelivers(state) ? 20 : 1); i++)
        assert_int_equal(child_end(child_start(die_with, &n)), -SIGKILL);
    if (redelivers(state)) {
        assert_int_equal(mp_queue_join(q, 0.01), MP_ETIMEDOUT);
        assert_int_equal(mp_queue_size(q), 1);
        assert_int_equal(MP_GET(q, &value, 0), 0);
        assert_int_equal(value, 5);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_join(q, LONG), 0);
}

/* Long messages: what a killed getter had in hand is freed. */
static int die_with_a_long_one(void *arg)
{
    static char bytes[LONG_ONE];
    CHECK(mp_queue_get(q, bytes, sizeof bytes, LONG) == LONG_ONE);
    return die_with(arg);
}

static void test_long_ones_return(void **state)
{
    static char bytes[LONG_ONE];
    int n = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(mp_queue_put(q, bytes, LONG_ONE, 0), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(child_end(child_start(die_with_a_long_one, &n)), -SIGKILL);
    for (int i = 0; redelivers(state) && i < 10; i++) {
        assert_int_equal(mp_queue_get(q, bytes, LONG_ONE, LONG), LONG_ONE);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(mp_queue_lost(q), redelivers(state) ? 0 : 10);
}

/* Short-lived consumers: the queue does not grow with their number. */
static void test_seats_are_used_again(void **state)
{
    (void)state;
    int n = 1;
    size_t before = 0;
    for (int i = 0; i < fewer(300); i++) {
        put_some(i, i + 1);
        if (redelivers(state) || i % 2)
            assert_int_equal(child_end(child_start(get_and_finish, NULL)), 0);
        else
            assert_int_equal(child_end(child_start(die_with, &n)), -SIGKILL);
        if (i == 20)
            before = bytes_in_use();
    }
    if (before != 0)
        assert_in_range(bytes_in_use(), 0, before + 2048);
    assert_int_equal(mp_queue_join(q, LONG), 0);
}

/* A child of fork() has nothing of its parent's, also when it uses the same queue. */
static int after_fork(void *arg)
{
    (void)arg;
    CHECK(get_and_finish(NULL) == 0);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    put_some(0, 2);
    assert_int_equal(get_one(NULL), 0);
    assert_int_equal(child_end(child_start(after_fork, NULL)), 0);
    assert_int_equal(mp_queue_join(q, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_queue_task_done(q), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
}

/* Addresses are used again: a thread's seat at an old queue is none at the new one. */
static void test_same_address(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        put_some(i, i + 2);
        assert_int_equal(get_one(NULL), 0);
        remake(*(int *)*state, 0, 0);
        assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
        put_some(0, 1);
        assert_int_equal(get_and_finish(NULL), 0);
        assert_int_equal(mp_queue_join(q, 0), 0);
    }
}

/* Consumers are killed at random while they work. join ends each time; what was lost or done twice
 * is exactly what the killed had in hand. */
static int work(void *arg)
{
    (void)arg;
    for (int i;;) {
        ssize_t rc = mp_queue_get(q, &i, sizeof i, LONG);
        if (rc == MP_ECLOSED)
            return 0;
        CHECK(rc == sizeof i && i >= 0 && i < MESSAGES);
        mp__add_seq(&board->got[i], 1);
        if (i % 64 == 0)
            nap(0.001);
        mp__add_seq(&board->done[i], 1);
        CHECK(mp_queue_task_done(q) == 0);
    }
}

static void judge(bool back, int kills, int count)
{
    int never_got = 0, unfinished = 0, twice = 0;
    for (int i = 0; i < count; i++) {
        never_got += board->got[i] == 0;
        unfinished += board->done[i] == 0;
        twice += board->done[i] > 1;
        assert_in_range(board->got[i], 0, back ? kills + 1 : 1);
    }
    int64_t lost = mp_queue_lost(q);
    if (back) {
        assert_int_equal(lost, 0);
        assert_int_equal(never_got, 0);
        assert_int_equal(unfinished, 0);
        assert_in_range(twice, 0, kills); /* killed between its own note and task_done */
    } else {
        assert_int_equal(twice, 0);
        /* Killed between its own note and task_done it is lost, too. */
        assert_in_range(lost, unfinished, kills);
    }
}

static void test_killed_at_random(void **state)
{
    pid_t child[CONSUMERS];
    random_state r = random_start("test_killed_at_random");
    int kills = 0, count = fewer(MESSAGES);
    for (int i = 0; i < CONSUMERS; i++)
        child[i] = child_start(work, NULL);
    for (int i = 0; i < count; i++) {
        put_some(i, i + 1);
        if (random_below(&r, 80) != 0)
            continue;
        nap(0.0001 * random_below(&r, 20));
        int victim = (int)random_below(&r, CONSUMERS);
        assert_int_equal(child_kill(child[victim]), -SIGKILL);
        kills++;
        child[victim] = child_start(work, NULL);
    }
    assert_int_equal(mp_queue_join(q, LONG), 0);
    judge(redelivers(state), kills, count);
    assert_int_equal(mp_queue_close(q), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
}

/* Who is stopped has not died: its message stays its own. */
static int hold_one(void *arg)
{
    CHECK(get_one(arg) == 0);
    signal_word(&board->words[1]);
    CHECK(await(&board->words[2], 1));
    CHECK(mp_queue_task_done(q) == 0);
    return 0;
}

static void test_stopped(void **state)
{
    (void)state;
    int value;
    put_some(0, 1);
    pid_t child = child_start(hold_one, NULL);
    assert_true(await(&board->words[1], 1));
    kill(child, SIGSTOP);
    assert_int_equal(mp_queue_join(q, 0.25), MP_ETIMEDOUT);
    assert_int_equal(MP_GET(q, &value, 0.25), MP_EEMPTY);
    assert_int_equal(mp_queue_lost(q), 0);
    kill(child, SIGCONT);
    signal_word(&board->words[2]);
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(child_end(child), 0);
}

int main(void)
{
    static int neither = 0;
#define TEST(f) TEST_AS(f, neither), TEST_BOTH(f)
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_counts),
        TEST(test_many),
        TEST(test_close),
        TEST(test_done_by_another),
        TEST(test_wakes_all_joiners),
        TEST(test_threads),
        TEST(test_killed_before_done),
        TEST(test_back_to_a_sleeper),
        TEST(test_again_and_again),
        TEST(test_long_ones_return),
        TEST(test_seats_are_used_again),
        TEST(test_fork),
        TEST(test_same_address),
        TEST(test_stopped),
        TEST(test_killed_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
