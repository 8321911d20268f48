/* SPDX-License-Identifier: MIT */
/* The plain semaphore when a process dies or stops at each step of acquiring and releasing: the
 * counter is exact, and the others go on. */
#include <mproc/error.h>
#include <mproc/semaphore.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "support/still.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_semaphore *s;

static int acquire(void *arg)
{
    (void)arg;
    return mp_semaphore_acquire(s, LONG) == 0 ? 0 : 1;
}

static int acquire_and_release(void *arg)
{
    CHECK(acquire(arg) == 0);
    CHECK(mp_semaphore_release(s, 1) == 0);
    return 0;
}

static int release_two(void *arg)
{
    (void)arg;
    return mp_semaphore_release(s, 2) == 0 ? 0 : 1;
}

static bool has_permit_at(const char *step)
{
    return strcmp(step, "semaphore.acquire.taken") == 0 ||
           strcmp(step, "semaphore.acquire.taken_late") == 0 ||
           strcmp(step, "semaphore.acquire.passed_on") == 0;
}

/* Nobody else there. */
static int alone(const char *step, int nth, bool stop)
{
    pid_t stopped = 0;
    assert_int_equal(mp_semaphore_new(&s, 2), 0);
    int how = stop ? stop_at(step, nth, acquire_and_release, NULL, &stopped)
                   : kill_at(step, nth, SIGKILL, acquire_and_release, NULL);
    bool taken = how == STEP_REACHED && has_permit_at(step);
    assert_int_equal(mp_semaphore_value(s), 2 - taken);
    if (stopped != 0)
        assert_int_equal(step_go_on(stopped), 0);
    assert_int_equal(mp_semaphore_value(s), 2 - (taken && !stop));
    return how;
}

/* Two wait, one of whom dies or stops; two permits come, with one release or with two. */
static int waiter(const char *step, int nth, bool stop, int part)
{
    assert_int_equal(mp_semaphore_new(&s, 0), 0);
    pid_t victim = step_start(step, nth, stop ? SIGSTOP : SIGKILL, acquire, NULL);
    until_still(victim);
    pid_t other = child_start(acquire, NULL);
    until_asleep(other);
    for (int released = 0; released < 2; released += part)
        assert_int_equal(mp_semaphore_release(s, part), 0);
    assert_int_equal(child_end(other), 0);
    int how = stop ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    bool reached = how == STEP_REACHED;
    assert_int_equal(mp_semaphore_value(s), reached && !has_permit_at(step));
    if (stop && reached) {
        assert_int_equal(step_go_on(victim), 0);
        assert_int_equal(mp_semaphore_value(s), 0);
    }
    return how;
}

static int waiter_of_two(const char *step, int nth, bool stop)
{
    return waiter(step, nth, stop, 1);
}

static int waiter_of_one(const char *step, int nth, bool stop)
{
    return waiter(step, nth, stop, 2);
}

/* Two wait for who releases two: at each of its steps the permits are out. */
static int releaser(const char *step, int nth, bool stop)
{
    pid_t other[2], stopped = 0;
    assert_int_equal(mp_semaphore_new(&s, 0), 0);
    for (int i = 0; i < 2; i++) {
        other[i] = child_start(acquire, NULL);
        until_asleep(other[i]);
    }
    int how = stop ? stop_at(step, nth, release_two, NULL, &stopped)
                   : kill_at(step, nth, SIGKILL, release_two, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_end(other[i]), 0);
    if (stopped != 0)
        assert_int_equal(step_go_on(stopped), 0);
    assert_int_equal(mp_semaphore_value(s), 0);
    return how;
}

typedef struct scene {
    int (*play)(const char *step, int nth, bool stop);
    bool stop;
} scene;

static int trial(const char *step, int nth, void *arg)
{
    const scene *c = arg;
    int how = c->play(step, nth, c->stop);
    assert_int_not_equal(how, STEP_FAILED);
    if (how == STEP_REACHED)
        see(step);
    assert_int_equal(mp_shared_check(NULL), 0);
    /* As good as new: so many sleep, so many are woken, none is left. */
    int value = mp_semaphore_value(s);
    for (int i = 0; i < value; i++)
        assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    pid_t other[2];
    for (int i = 0; i < 2; i++)
        other[i] = child_start(acquire, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mp_semaphore_release(s, 1), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_end(other[i]), 0);
    assert_int_equal(mp_semaphore_value(s), 0);
    mp_semaphore_free(s);
    return how;
}

static void test_each_step(void **state)
{
    (void)state;
    static int (*const play[])(const char *, int, bool) = {alone, waiter_of_one, waiter_of_two,
                                                           releaser};
    for (int i = 0; i < 8; i++) {
        scene c = {play[i / 2], i % 2};
        assert_in_range(each_step("semaphore.", 3, trial, &c), 2, STEPS_MOST);
    }
    assert_int_equal(steps_seen_count, steps_of("semaphore.").count);
}

/* The first of two is woken and stops before it has looked; a second release sees nobody asleep.
 * The other looks by itself, or is woken by the first if that goes on. */
static void test_woken_and_stopped(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        assert_int_equal(mp_semaphore_new(&s, 0), 0);
        pid_t first = step_start("semaphore.acquire.woken", 1, SIGSTOP, acquire, NULL);
        until_still(first);
        pid_t second = child_start(acquire, NULL);
        until_asleep(second);
        assert_int_equal(mp_semaphore_release(s, 1), 0);
        assert_int_equal(step_await_stop(first, "semaphore.acquire.woken"), STEP_REACHED);
        assert_int_equal(mp_semaphore_release(s, 1), 0);
        if (goes_on)
            assert_int_equal(step_go_on(first), 0);
        assert_int_equal(child_end(second), 0);
        if (!goes_on)
            assert_int_equal(step_go_on(first), 0);
        assert_int_equal(mp_semaphore_value(s), 0);
        mp_semaphore_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_step),
        cmocka_unit_test(test_woken_and_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
