/* SPDX-License-Identifier: MIT */
/* The barrier when parties die: waiting, alone, together, in the action, at any instruction. */
#include <mproc/barrier.h>
#include <mproc/error.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_barrier *b;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    b = NULL;
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_barrier_free(b);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

/* The exit status tells what came of a wait: the index, or 100 for broken. */
static int wait_result(void *arg)
{
    (void)arg;
    int rc = mp_barrier_wait(b, MP_FOREVER);
    return rc == MP_EBROKEN ? 100 : rc < 0 ? 101 : rc;
}

static void wait_for_waiting(int n)
{
    for (double end = seconds() + LONG; mp_barrier_waiting(b) != n; nap(0.0005))
        assert_true(seconds() < end);
}

/* Parties 0 to n - 1, asleep in this order. */
static void arrive(pid_t *child, int n)
{
    for (int i = 0; i < n; i++) {
        child[i] = child_start(wait_result, NULL);
        wait_for_waiting(i + 1);
        until_asleep(child[i]);
    }
}

static double worst;

/* Kills those in the mask at the same time; all others must be told at once. */
static void kill_some(int parties, int n, unsigned mask)
{
    pid_t child[8];
    mp_barrier_free(b);
    assert_int_equal(mp_barrier_new(&b, parties), 0);
    arrive(child, n);
    for (int i = 0; i < n; i++) /* stopped first, none of them sees another's death */
        if (mask >> i & 1)
            kill(child[i], SIGSTOP);
    for (int i = 0; i < n; i++)
        if (mask >> i & 1)
            until_asleep(child[i]);
    for (int i = 0; i < n; i++)
        if (mask >> i & 1)
            kill(child[i], SIGKILL);
    double start = seconds();
    for (int i = 0; i < n; i++)
        assert_int_equal(child_end(child[i]), mask >> i & 1 ? -SIGKILL : 100);
    double took = seconds() - start;
    worst = took > worst ? took : worst;
    assert_true(took < LONG / 2);
    assert_int_equal(mp_barrier_wait(b, LONG), MP_EBROKEN); /* also if nobody was left to see it */
    assert_true(mp_barrier_broken(b));
    assert_int_equal(mp_barrier_waiting(b), 0);
    assert_int_equal(mp_barrier_reset(b), 0);
    arrive(child, parties - 1); /* as good as new */
    assert_int_equal(mp_barrier_wait(b, LONG), parties - 1);
    for (int i = 0; i < parties - 1; i++)
        assert_in_range(child_end(child[i]), 0, parties - 2);
}

static void test_every_single_death(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++)
        for (int dead = 0; dead < n; dead++) {
            kill_some(n + 1, n, 1u << dead); /* the next would be the last */
            kill_some(n + 2, n, 1u << dead);
        }
    printf("worst time from a death to the last to be told: %.1f ms\n", worst * 1e3);
}

static void test_deaths_together(void **state)
{
    (void)state;
    for (unsigned mask = 3; mask < 32; mask++)
        kill_some(6, 5, mask);
}

static int stay(void *arg)
{
    word *w = arg;
    signal_word(&w[0]);
    await(&w[1], 1);
    return 0;
}

static int leave_thread(void *arg)
{
    word *w = arg;
    signal_word(&w[0]);
    pthread_exit(NULL);
}

static int arrive_in_thread(void *arg)
{
    task t;
    CHECK(task_start(&t, wait_result, arg) == 0);
    task_end(&t);
    pause();
    return 0;
}

/* The last to arrive dies in the action: its process, or only its thread; or one of those who
 * wait. */
static void die_in_action(int parties, int who)
{
    pid_t child[8], last;
    int (*action)(void *) = who == 2 ? leave_thread : stay;
    mp_barrier_free(b);
    mp__store_seq(&words[0], 0);
    mp__store_seq(&words[1], 0);
    mp_barrier_options o = {.size = sizeof o, .action = action, .action_arg = (void *)words};
    assert_int_equal(mp_barrier_create(&b, parties, &o), 0);
    arrive(child, parties - 1);
    last = child_start(who == 2 ? arrive_in_thread : wait_result, NULL);
    assert_true(await(&words[0], 1));
    if (who == 0) {
        child[parties - 1] = child_start(wait_result, NULL); /* waits for the next round */
        until_asleep(child[parties - 1]);
        assert_int_equal(child_kill(last), -SIGKILL);
        assert_int_equal(child_end(child[parties - 1]), 100);
    }
    if (who == 1) {
        assert_int_equal(child_kill(child[0]), -SIGKILL);
        signal_word(&words[1]);
        assert_int_equal(child_end(last), 100);
    }
    for (int i = who == 1; i < parties - 1; i++)
        assert_int_equal(child_end(child[i]), 100);
    if (who == 2) {
        assert_int_equal(mp_barrier_wait(b, LONG), MP_EBROKEN);
        assert_int_equal(child_kill(last), -SIGKILL);
    }
    assert_true(mp_barrier_broken(b));
}

static void test_death_in_the_action(void **state)
{
    (void)state;
    for (int parties = 1; parties <= 4; parties++)
        for (int who = 0; who < 3; who++)
            if (parties > 1 || who != 1)
                die_in_action(parties, who);
}

/* A stopped party beside a dead one: nobody must be let go. */
static void test_stopped_neighbour(void **state)
{
    (void)state;
    pid_t child[2];
    assert_int_equal(mp_barrier_new(&b, 3), 0);
    arrive(child, 2);
    kill(child[1], SIGSTOP);
    until_asleep(child[1]);
    assert_int_equal(child_kill(child[0]), -SIGKILL);
    assert_int_equal(mp_barrier_wait(b, LONG), MP_EBROKEN);
    kill(child[1], SIGCONT);
    assert_int_equal(child_end(child[1]), 100);
}

#define PARTIES 4

static int round_and_round(void *arg)
{
    (void)arg;
    for (;;) {
        int rc = mp_barrier_wait(b, MP_FOREVER);
        CHECK((rc >= 0 && rc < PARTIES) || rc == MP_EBROKEN);
        if (rc == MP_EBROKEN)
            CHECK(mp_barrier_reset(b) == 0);
        else
            signal_word(&words[rc]);
    }
}

/* Parties are killed at any moment and replaced; the others always go on. */
static void test_storm(void **state)
{
    (void)state;
    random_state s = random_start("test_storm");
    pid_t child[PARTIES];
    assert_int_equal(mp_barrier_new(&b, PARTIES), 0);
    for (int i = 0; i < PARTIES; i++)
        child[i] = child_start(round_and_round, NULL);
    for (int kills = 0; kills < fewer(400); kills++) {
        uint32_t before = mp__load_seq(&words[PARTIES - 1]);
        if (kills % 8 == 0)
            assert_true(await(&words[PARTIES - 1], before + 3));
        else
            nap(random_below(&s, 1000) * 1e-6);
        uint32_t i = random_below(&s, PARTIES), k = random_below(&s, PARTIES);
        kill(child[i], SIGKILL);
        kill(child[k], SIGKILL); /* often two at a time */
        assert_int_equal(child_end(child[i]), -SIGKILL);
        child[i] = child_start(round_and_round, NULL);
        if (k != i) {
            assert_int_equal(child_end(child[k]), -SIGKILL);
            child[k] = child_start(round_and_round, NULL);
        }
    }
    assert_true(await(&words[PARTIES - 1], mp__load_seq(&words[PARTIES - 1]) + 100));
    for (int i = 0; i < PARTIES; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_int_equal(mp_barrier_reset(b), 0);
    for (int i = 0; i < PARTIES - 1; i++)
        child[i] = child_start(wait_result, NULL);
    assert_int_equal(mp_barrier_wait(b, LONG) >= 0, 1);
    for (int i = 0; i < PARTIES - 1; i++)
        assert_in_range(child_end(child[i]), 0, PARTIES - 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_single_death), TEST(test_deaths_together), TEST(test_death_in_the_action),
        TEST(test_stopped_neighbour),  TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
