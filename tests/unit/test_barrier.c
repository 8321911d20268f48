/* SPDX-License-Identifier: MIT */
/* The barrier while everybody lives: order, action, deadlines, breaking and resetting. What deaths
 * do to it is in test_barrier_death.c. */
#include <mproc/barrier.h>
#include <mproc/error.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_barrier *b;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(65536);
    b = NULL;
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_barrier_free(b);
    munmap((void *)words, 65536);
    return mp_shared_check(NULL);
}

static void make(int parties)
{
    mp_barrier_free(b);
    assert_int_equal(mp_barrier_new(&b, parties), 0);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    mp_barrier raw;
    memset(&raw, 0, sizeof raw);
    mp_barrier *wrong[] = {NULL, &raw};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_barrier_wait(wrong[i], 1), MP_EINVAL);
        assert_int_equal(mp_barrier_abort(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_barrier_reset(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_barrier_parties(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_barrier_waiting(wrong[i]), MP_EINVAL);
        assert_false(mp_barrier_broken(wrong[i]));
        assert_int_equal(mp_barrier_fini(wrong[i]), MP_EINVAL);
        mp_barrier_free(wrong[i]);
    }
    assert_int_equal(mp_barrier_init(NULL, 1, NULL), MP_EINVAL);
    assert_int_equal(mp_barrier_init((mp_barrier *)(void *)((char *)&raw + 8), 1, NULL), MP_EINVAL);
    assert_int_equal(mp_barrier_init(&raw, 0, NULL), MP_EINVAL);
    assert_int_equal(mp_barrier_create(&b, INT_MAX, NULL), MP_ENOMEM);
    assert_null(b);
    make(1);
    assert_int_equal(mp_barrier_wait(b, NAN), MP_EINVAL);
    assert_false(mp_barrier_broken(b));
}

static void test_alone(void **state)
{
    (void)state;
    static const double timeouts[] = {0, -1, 1, INFINITY, MP_DEFAULT_TIMEOUT};
    make(1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(mp_barrier_wait(b, timeouts[i % 5]), 0);
    assert_int_equal(mp_barrier_waiting(b), 0);
    assert_int_equal(mp_barrier_abort(b), 0);
    assert_int_equal(mp_barrier_wait(b, 0), MP_EBROKEN);
    assert_int_equal(mp_barrier_reset(b), 0);
    assert_int_equal(mp_barrier_wait(b, 0), 0);
}

/* Wherever it lies, it keeps to its own bytes. */
static void test_place_in_a_structure(void **state)
{
    (void)state;
    struct {
        unsigned char before[64];
        mp_barrier barrier;
        unsigned char behind[64];
    } * around;
    size_t size = sizeof *around + 64;
    unsigned char *bytes = mp_shared_alloc(size);
    for (size_t shift = 0; shift < 64; shift += 16)
        for (int parties = 1; parties <= 4; parties++) {
            memset(bytes, 0xa5, size);
            around = (void *)(bytes + shift);
            assert_int_equal(mp_barrier_init(&around->barrier, parties, NULL), 0);
            for (int i = 0; i < 9; i++) {
                int rc = mp_barrier_wait(&around->barrier, MP_NO_WAIT);
                assert_int_equal(rc, parties == 1 ? 0 : MP_EBROKEN);
                assert_int_equal(mp_barrier_reset(&around->barrier), 0);
            }
            assert_int_equal(mp_barrier_fini(&around->barrier), 0);
            for (size_t i = 0; i < 64; i++)
                assert_int_equal(around->before[i] + around->behind[i], 2 * 0xa5);
        }
    mp_shared_free(bytes);
}

static void test_embedded(void **state)
{
    (void)state;
    size_t used = bytes_in_use();
    mp_barrier *inner = mp_shared_calloc(1, sizeof *inner);
    assert_int_equal(mp_barrier_init(inner, 1, NULL), 0);
    assert_int_equal(mp_barrier_wait(inner, 0), 0);
    assert_int_equal(mp_barrier_fini(inner), 0);
    assert_int_equal(mp_barrier_fini(inner), MP_EINVAL);
    assert_int_equal(mp_barrier_wait(inner, 0), MP_EINVAL);
    mp_shared_free(inner);
    assert_int_equal(bytes_in_use(), used);
}

#define ROUNDS  3000
#define PARTIES 6

/* Party after party marks the index that it got in each round; nobody may be a round ahead. */
static int meet(void *arg)
{
    (void)arg;
    for (int i = 0; i < fewer(ROUNDS); i++) {
        word *round = &words[i % 64 * 8];
        CHECK((mp__add_seq(&words[1000], 1)) < (uint32_t)(i + 1) * PARTIES);
        int index = mp_barrier_wait(b, i % 2 ? MP_FOREVER : LONG);
        CHECK(index >= 0 && index < PARTIES);
        CHECK(mp__load_seq(&words[1000]) >= (uint32_t)(i + 1) * PARTIES);
        CHECK(mp__add_seq(&round[index], 1) == (uint32_t)(i / 64));
    }
    return 0;
}

static int meet_twice(void *arg)
{
    task t;
    CHECK(task_start(&t, meet, arg) == 0);
    CHECK(meet(arg) == 0);
    CHECK(task_end(&t) == 0);
    return 0;
}

static void test_rounds(void **state)
{
    (void)state;
    pid_t child[PARTIES / 2];
    make(PARTIES);
    for (int i = 0; i < PARTIES / 2; i++)
        child[i] = child_start(meet_twice, NULL);
    for (int i = 0; i < PARTIES / 2; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp__load_seq(&words[1000]), fewer(ROUNDS) * PARTIES);
    assert_int_equal(mp_barrier_waiting(b), 0);
    assert_false(mp_barrier_broken(b));
}

/* More threads than parties: they go on in pairs, whoever comes. The first to have had enough ends
 * it for all, since the rest need not find partners. */
static int crowd(void *arg)
{
    (void)arg;
    for (int i = 0; i < fewer(3000); i++) {
        int index = mp_barrier_wait(b, MP_FOREVER);
        if (index == MP_EBROKEN && mp__load_seq(&words[2]) > 0)
            return 0;
        CHECK(index == 0 || index == 1);
        mp__add_seq(&words[index], 1);
    }
    signal_word(&words[2]);
    CHECK(mp_barrier_abort(b) == 0);
    return 0;
}

static void test_more_than_parties(void **state)
{
    (void)state;
    pid_t child[2];
    task t[2];
    make(2);
    for (int i = 0; i < 2; i++) {
        child[i] = child_start(crowd, NULL);
        assert_int_equal(task_start(&t[i], crowd, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(child_end(child[i]), 0);
        assert_int_equal(task_end(&t[i]), 0);
    }
    assert_int_equal(mp__load_seq(&words[0]), mp__load_seq(&words[1]));
    assert_true(mp__load_seq(&words[0]) >= (uint32_t)fewer(3000) / 2);
}

/* The action runs once a round, in the one that gets the last index, before anyone goes on. */
static int note_action(void *arg)
{
    word *w = arg;
    mp__store_seq(&w[1], (uint32_t)getpid());
    mp__add_seq(&w[0], 1);
    return 0;
}

static mp_barrier *second;

static int act(void *arg)
{
    (void)arg;
    for (uint32_t i = 1; i <= (uint32_t)fewer(1000); i++) {
        int index = mp_barrier_wait(b, LONG);
        CHECK(index >= 0);
        CHECK(mp__load_seq(&words[0]) == i);
        CHECK((index == 2) == (mp__load_seq(&words[1]) == (uint32_t)getpid()));
        CHECK(mp_barrier_wait(second, LONG) >= 0); /* nobody acts again while others look */
    }
    return 0;
}

static void test_action(void **state)
{
    (void)state;
    pid_t child[3];
    mp_barrier_options o = {.size = sizeof o, .action = note_action, .action_arg = (void *)words};
    assert_int_equal(mp_barrier_create(&b, 3, &o), 0);
    assert_int_equal(mp_barrier_new(&second, 3), 0);
    for (int i = 0; i < 3; i++)
        child[i] = child_start(act, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_end(child[i]), 0);
    mp_barrier_free(second);
}

/* Waits with the timeout that arg points to; the exit status tells what came of it. */
static int wait_result(void *arg)
{
    signal_word(&words[0]);
    int rc = mp_barrier_wait(b, *(double *)arg);
    return rc == MP_EBROKEN ? 100 : rc < 0 ? 101 : rc;
}

/* So many parties that wait, asleep. */
static void arrive(pid_t *child, uint32_t n, double timeout)
{
    mp__store_seq(&words[0], 0);
    for (uint32_t i = 0; i < n; i++)
        child[i] = child_start(wait_result, &timeout);
    assert_true(await(&words[0], n));
    for (uint32_t i = 0; i < n; i++)
        until_asleep(child[i]);
    for (double end = seconds() + LONG; (uint32_t)mp_barrier_waiting(b) < n; nap(0.001))
        assert_true(seconds() < end);
}

static void ends_with(pid_t *child, int n, int status)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(child_end(child[i]), status);
}

static int give(void *arg)
{
    return *(int *)arg;
}

static int until_broken(void *arg)
{
    while (!mp_barrier_broken(arg))
        nap(0.001);
    return 0;
}

static int wait_briefly(void *arg)
{
    return mp_barrier_wait(arg, 0.05) == MP_EBROKEN ? 0 : 1;
}

/* A deadline holds also while the action runs; in Python the waiter sits it out. */
static void test_deadline_in_the_action(void **state)
{
    (void)state;
    mp_barrier *slow = mp_shared_alloc(sizeof *slow);
    assert_non_null(slow);
    assert_int_equal(mp_barrier_init(slow, 2,
                                     &(mp_barrier_options){.size = sizeof(mp_barrier_options),
                                                           .action = until_broken,
                                                           .action_arg = slow}),
                     0);
    pid_t child = child_start(wait_briefly, slow);
    while (mp_barrier_waiting(slow) == 0 && !mp_barrier_broken(slow))
        nap(0.0001);
    assert_int_equal(mp_barrier_wait(slow, LONG), MP_EBROKEN);
    assert_int_equal(child_end(child), 0);
    assert_int_equal(mp_barrier_fini(slow), 0);
    mp_shared_free(slow);
    assert_int_equal(mp_barrier_new(&b, 1), 0); /* for the teardown */
}

static void test_failing_action(void **state)
{
    (void)state;
    pid_t child[2];
    int *result = mp_shared_alloc(sizeof *result);
    *result = -7;
    assert_int_equal(mp_barrier_new(&b, 3, .action = give, .action_arg = result), 0);
    arrive(child, 2, MP_FOREVER);
    assert_int_equal(mp_barrier_wait(b, LONG), MP_EBROKEN);
    ends_with(child, 2, 100);
    assert_true(mp_barrier_broken(b));
    assert_int_equal(mp_barrier_reset(b), 0);
    *result = 7; /* only a negative result is a failure */
    arrive(child, 2, MP_FOREVER);
    assert_int_equal(mp_barrier_wait(b, LONG), 2);
    assert_int_equal(child_end(child[0]) + child_end(child[1]), 1);
    mp_shared_free(result);
}

static void test_timeouts(void **state)
{
    (void)state;
    pid_t child[2];
    static const double timeouts[] = {0, -1, 1e-9, 0.12};
    for (int i = 0; i < 4; i++) { /* one who gives up breaks it for all */
        make(4);
        arrive(child, 2, MP_FOREVER);
        double start = seconds();
        assert_int_equal(mp_barrier_wait(b, timeouts[i]), MP_EBROKEN);
        assert_true(seconds() - start >= timeouts[i]);
        ends_with(child, 2, 100);
        assert_true(mp_barrier_broken(b));
        assert_int_equal(mp_barrier_waiting(b), 0);
        assert_int_equal(mp_barrier_wait(b, MP_FOREVER), MP_EBROKEN);
    }
    mp_barrier_free(b);
    assert_int_equal(mp_barrier_new(&b, 2, .timeout = 0.1), 0);
    assert_int_equal(mp_barrier_wait(b, MP_DEFAULT_TIMEOUT), MP_EBROKEN);
    assert_int_equal(mp_barrier_reset(b), 0);
    arrive(child, 1, MP_FOREVER); /* its own timeout counts, not the barrier's */
    nap(0.2);
    assert_int_equal(mp_barrier_wait(b, MP_NO_WAIT), 1); /* a try by the last to arrive */
    ends_with(child, 1, 0);
}

static void test_abort_and_reset(void **state)
{
    (void)state;
    pid_t child[3];
    make(4);
    for (int i = 0; i < 20; i++) {
        arrive(child, 3, MP_FOREVER);
        bool reset = i % 2;
        assert_int_equal(reset ? mp_barrier_reset(b) : mp_barrier_abort(b), 0);
        ends_with(child, 3, 100);
        assert_int_equal(mp_barrier_broken(b), !reset);
        assert_int_equal(mp_barrier_waiting(b), 0);
        if (!reset) {
            assert_int_equal(mp_barrier_wait(b, MP_FOREVER), MP_EBROKEN);
            assert_int_equal(mp_barrier_abort(b), 0);
            assert_int_equal(mp_barrier_reset(b), 0);
        }
        assert_false(mp_barrier_broken(b));
        arrive(child, 3, MP_FOREVER);
        assert_int_equal(mp_barrier_wait(b, 0), 3);
        assert_int_equal(child_end(child[0]) + child_end(child[1]) + child_end(child[2]), 3);
    }
}

/* A party that is stopped is no death, in either phase. */
static void test_stopped_party(void **state)
{
    (void)state;
    pid_t child[2];
    make(3);
    for (int i = 0; i < 2; i++) {
        arrive(child, 2, MP_FOREVER);
        kill(child[i], SIGSTOP);
        nap(0.25);
        assert_int_equal(mp_barrier_waiting(b), 2);
        assert_int_equal(mp_barrier_wait(b, LONG), 2);
        assert_in_range(child_end(child[1 - i]), 0, 1);
        kill(child[i], SIGCONT); /* late, it learns that its own round went well */
        assert_in_range(child_end(child[i]), 0, 1);
        assert_false(mp_barrier_broken(b));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),
        TEST(test_alone),
        TEST(test_place_in_a_structure),
        TEST(test_embedded),
        TEST(test_rounds),
        TEST(test_more_than_parties),
        TEST(test_action),
        TEST(test_deadline_in_the_action),
        TEST(test_failing_action),
        TEST(test_timeouts),
        TEST(test_abort_and_reset),
        TEST(test_stopped_party),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
