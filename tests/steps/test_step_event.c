/* SPDX-License-Identifier: MIT */
/* The event when a process dies or stops at each step of setting, clearing and waiting. */
#include <mproc/error.h>
#include <mproc/event.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "support/still.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OTHERS = 2 };

static mp_event *e;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : mp_event_new(&e);
}

static int teardown(void **state)
{
    (void)state;
    mp_event_free(e);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static int wait_in_time(void *arg)
{
    (void)arg;
    return mp_event_wait(e, LONG) == 0 ? 0 : 1;
}

static int set_and_clear(void *arg)
{
    (void)arg;
    CHECK(mp_event_set(e) == 0);
    CHECK(mp_event_clear(e) == 0);
    return 0;
}

/* Sleepers, and a process that sets and clears until it dies or stops. */
static int setter(const char *step, int nth, bool stop)
{
    pid_t other[OTHERS], stopped = 0;
    assert_int_equal(mp_event_clear(e), 0);
    for (int i = 0; i < OTHERS; i++)
        other[i] = child_start(wait_in_time, NULL);
    for (int i = 0; i < OTHERS; i++)
        until_asleep(other[i]);
    int how = stop ? stop_at(step, nth, set_and_clear, NULL, &stopped)
                   : kill_at(step, nth, SIGKILL, set_and_clear, NULL);
    assert_int_not_equal(how, STEP_FAILED);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(child_end(other[i]), 0); /* it was set at every one of the steps */
    if (stopped != 0)
        assert_int_equal(step_go_on(stopped), 0);
    if (how == STEP_REACHED && !stop)
        assert_int_equal(mp_event_is_set(e), strcmp(step, "event.clear.cleared") != 0);
    else
        assert_false(mp_event_is_set(e));
    return how;
}

/* Two who wait, one of whom dies or stops; then a set and a clear. */
static int waiter(const char *step, int nth, bool stop)
{
    assert_int_equal(mp_event_clear(e), 0);
    pid_t victim = step_start(step, nth, stop ? SIGSTOP : SIGKILL, wait_in_time, NULL);
    pid_t other = child_start(wait_in_time, NULL);
    until_still(victim);
    until_asleep(other);
    assert_int_equal(mp_event_set(e), 0);
    assert_int_equal(mp_event_clear(e), 0);
    assert_int_equal(child_end(other), 0);
    int how = stop ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    if (stop && how == STEP_REACHED)
        assert_int_equal(step_go_on(victim), 0); /* the set is not lost for it */
    return how;
}

/* The event is as good as new. */
static int trial(const char *step, int nth, void *arg)
{
    int which = *(int *)arg;
    int how = (which & 2 ? waiter : setter)(step, nth, which & 1);
    assert_int_equal(mp_shared_check(NULL), 0);
    assert_int_equal(mp_event_set(e), 0);
    assert_true(mp_event_is_set(e));
    assert_int_equal(mp_event_wait(e, 0), 0);
    assert_int_equal(mp_event_clear(e), 0);
    assert_int_equal(mp_event_wait(e, 0), MP_ETIMEDOUT);
    if (how == STEP_REACHED)
        see(step);
    return how;
}

static void test_each_step(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++)
        assert_in_range(each_step("event.", 3, trial, &which), 2, STEPS_MOST);
    assert_int_equal(steps_seen_count, steps_of("event.").count);
}

/* A setter that died before its wake is not waited for: the next set, to which the event seems set
 * already, wakes at once. */
static void test_next_set_wakes(void **state)
{
    (void)state;
    double best = LONG;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mp_event_clear(e), 0);
        pid_t other = child_start(wait_in_time, NULL);
        until_asleep(other);
        assert_int_equal(kill_at("event.set.set", 1, SIGKILL, set_and_clear, NULL), STEP_REACHED);
        double start = seconds();
        assert_int_equal(mp_event_set(e), 0);
        assert_int_equal(child_end(other), 0);
        best = seconds() - start < best ? seconds() - start : best;
    }
    assert_true(best < 0.02); /* not after 100 ms: at least once in ten times */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_each_step), TEST(test_next_set_wakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
