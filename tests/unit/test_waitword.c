/* SPDX-License-Identifier: MIT */
/* Waitwords: no wake-up is lost. Sleepers here do not look again after 100 ms, as those of the
 * library do, so a lost wake shows. */
#include "sync/waitword.h"

#include "os/clock.h"
#include "os/futex.h"
#include "support/shared.h"

#include <mproc/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct shared {
    mp__waitword w;
    word tokens; /* what sleepers wait for, one each */
    word go, taken, round;
} shared;

static shared *s;
static int rounds;

#define SLEEPERS 3

static bool take_token(void)
{
    uint32_t n = mp__load_acquire(&s->tokens);
    while (n > 0)
        if (mp__cas_seq(&s->tokens, &n, n - 1))
            return true;
    return false;
}

static int sleeper(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        for (;;) {
            if (take_token())
                break;
            uint32_t ticket = mp__waitword_arm(&s->w);
            if (take_token())
                break;
            mp__deadline until = mp__deadline_in_ns((int64_t)LONG * MP__NS_PER_S);
            CHECK(mp__futex_wait(&s->w.word, ticket, until) == 0);
        }
        signal_word(&s->taken);
        while (mp__load_acquire(&s->round) <= (uint32_t)i) /* one token for each in every round */
            sched_yield();                                 /* asleep is only who waits for one */
    }
    return 0;
}

/* As many tokens as sleepers come at about the same time, from as many processes, each with one
 * wake. */
static int waker(void *arg)
{
    for (int i = 0; i < rounds; i++) {
        while (mp__load_acquire(&s->go) <= (uint32_t)i)
            sched_yield();
        mp__add_seq(&s->tokens, 1);
        mp__waitword_wake(&s->w, *(int *)arg);
    }
    return 0;
}

static void storm(int most)
{
    pid_t child[2 * SLEEPERS];
    s = common(sizeof *s);
    rounds = fewer(1000);
    for (int i = 0; i < SLEEPERS; i++) {
        child[i] = child_start(sleeper, NULL);
        child[SLEEPERS + i] = child_start(waker, &most);
    }
    bool all = true;
    for (uint32_t i = 0; i < (uint32_t)rounds && all; i++) {
        for (int k = 0; k < SLEEPERS && i % 4 != 0; k++)
            until_asleep(child[k]);
        signal_word(&s->go);
        all = await(&s->taken, (i + 1) * SLEEPERS);
        signal_word(&s->round);
    }
    for (int i = 0; i < 2 * SLEEPERS; i++)
        assert_int_equal(all ? child_end(child[i]) : child_kill(child[i]), 0);
    munmap(s, sizeof *s);
}

static void test_wake_one(void **state)
{
    (void)state;
    storm(1);
}

static void test_wake_some(void **state)
{
    (void)state;
    storm(2);
}

static void test_wake_all(void **state)
{
    (void)state;
    storm(MP__WAKE_ALL);
}

/* What nobody waits for costs nothing and changes nothing. */
static void test_nobody(void **state)
{
    (void)state;
    mp__waitword w = {0};
    for (int i = 0; i < 3; i++) {
        mp__waitword_wake(&w, i == 2 ? MP__WAKE_ALL : i + 1);
        assert_int_equal(mp__load_seq(&w.word), 0);
    }
    uint32_t ticket = mp__waitword_arm(&w);
    assert_int_equal(ticket, MP__SLEEPERS);
    assert_int_equal(mp__waitword_arm(&w), ticket); /* twice is once */
    mp__waitword_wake(&w, 1);
    assert_int_equal(mp__load_seq(&w.word),
                     2); /* it finds that nobody sleeps, the next does not ask */
    assert_int_equal(mp__waitword_sleep(&w, ticket, MP__NEVER), 0);
    assert_int_equal(mp__waitword_sleep(&w, 2, MP__AT_ONCE), MP_ETIMEDOUT);
    double start = seconds();
    assert_int_equal(mp__waitword_sleep(&w, 2, MP__NEVER), 0); /* looks again by itself */
    assert_true(seconds() - start > 0.05 && seconds() - start < LONG / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_one),
        cmocka_unit_test(test_wake_some),
        cmocka_unit_test(test_wake_all),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
