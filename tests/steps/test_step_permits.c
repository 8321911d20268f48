/* SPDX-License-Identifier: MIT */
/* The owned semaphore when a process dies or stops at each step of acquiring, releasing, waiting,
 * taking back what the dead hold, and making room for more holders: all permits come back. */
#include <mproc/error.h>
#include <mproc/semaphore.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "support/still.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CROWD = 8 }; /* as many holders as the first table has room for */

static mp_semaphore *s;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static void make(int value)
{
    assert_int_equal(mp_semaphore_new(&s, value, .owned = MP_YES), 0);
}

static int acquire(void *arg)
{
    (void)arg;
    return mp_semaphore_acquire(s, LONG) == 0 ? 0 : 1;
}

static int take_and_release(void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK(acquire(arg) == 0);
    CHECK(mp_semaphore_release(s, 1) == 0);
    CHECK(mp_semaphore_release(s, 2) == 0);
    CHECK(acquire(arg) == 0);
    return 0; /* and ends with one */
}

static int ask_for_value(void *arg)
{
    return mp_semaphore_value(s) == *(int *)arg ? 0 : 1;
}

/* A child that holds one and stays. */
static int hold(void *arg)
{
    CHECK(acquire(arg) == 0);
    signal_word(&words[0]);
    pause();
    return 0;
}

static pid_t start_holder(void)
{
    uint32_t before = mp__load_seq(&words[0]);
    pid_t pid = child_start(hold, NULL);
    assert_true(await(&words[0], before + 1));
    return pid;
}

/* Runs it to the step. What a stopped process keeps from the others lasts until it goes on: then
 * they may find the internal lock busy, but none waits beyond its deadline. */
static int play(const char *step, int nth, bool stop, int (*run)(void *), void *arg)
{
    pid_t stopped = 0;
    if (!stop)
        return kill_at(step, nth, SIGKILL, run, arg);
    int how = stop_at(step, nth, run, arg, &stopped);
    if (stopped != 0) {
        int rc = mp_semaphore_acquire(s, 0);
        assert_true(rc == 0 || rc == MP_ETIMEDOUT || rc == MP_EAGAIN);
        int second = mp_semaphore_acquire(s, 0.002);
        assert_true(second == 0 || second == MP_ETIMEDOUT);
        kill(stopped, SIGCONT);
        if (rc == 0) /* or the other might wait for it */
            assert_int_equal(mp_semaphore_release(s, 1), 0);
        if (second == 0)
            assert_int_equal(mp_semaphore_release(s, 1), 0);
        assert_int_equal(child_end(stopped), 0);
    }
    return how;
}

static int holder(const char *step, int nth, bool stop)
{
    make(3);
    int how = play(step, nth, stop, take_and_release, NULL);
    assert_int_equal(mp_semaphore_value(s), 3);
    return how;
}

/* The ninth holder needs a larger table. */
static int ninth_holder(const char *step, int nth, bool stop)
{
    pid_t crowd[CROWD];
    make(CROWD + 3);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = start_holder();
    int how = play(step, nth, stop, take_and_release, NULL);
    assert_int_equal(mp_semaphore_value(s), 3);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(child_kill(crowd[i]), -SIGKILL);
        assert_int_equal(mp_semaphore_value(s), 4 + i);
    }
    return how;
}

/* Takes back what two dead processes hold. */
static int reaper(const char *step, int nth, bool stop)
{
    int all = 3;
    make(all);
    pid_t dead[] = {start_holder(), start_holder()};
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_kill(dead[i]), -SIGKILL);
    int how = 0;
    if (stop) { /* nobody takes one meanwhile: the value must be right */
        pid_t stopped;
        how = stop_at(step, nth, ask_for_value, &all, &stopped);
        if (stopped != 0)
            assert_int_equal(step_go_on(stopped), 0);
    } else {
        how = kill_at(step, nth, SIGKILL, ask_for_value, &all);
    }
    assert_int_equal(mp_semaphore_value(s), all);
    return how;
}

static int release_one(void *arg)
{
    (void)arg;
    return mp_semaphore_release(s, 1);
}

/* Two wait for one permit; one of them dies or stops, before or after it was released. */
static int waiter(const char *step, int nth, bool stop)
{
    make(1);
    assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    pid_t victim = step_start(step, nth, stop ? SIGSTOP : SIGKILL, acquire, NULL);
    until_still(victim);
    pid_t other = child_start(acquire, NULL);
    until_still(other); /* it sleeps for a permit, or for the lock of the one who stopped */
    task t;             /* who has stopped may have the lock that this needs */
    assert_int_equal(task_start(&t, release_one, NULL), 0);
    int how = stop ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    if (stop && how == STEP_REACHED)
        assert_int_equal(step_go_on(victim), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(child_end(other), 0);
    assert_int_equal(mp_semaphore_value(s), 1);
    return how;
}

/* Two wait for what one holds who dies; one of them dies, too. */
static int heir(const char *step, int nth, bool stop)
{
    make(1);
    pid_t dead = start_holder();
    pid_t victim = step_start(step, nth, stop ? SIGSTOP : SIGKILL, acquire, NULL);
    until_still(victim);
    pid_t other = child_start(acquire, NULL);
    until_still(other);
    assert_int_equal(child_kill(dead), -SIGKILL);
    int how = stop ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    if (stop && how == STEP_REACHED)
        assert_int_equal(step_go_on(victim), 0);
    assert_int_equal(child_end(other), 0);
    assert_int_equal(mp_semaphore_value(s), 1);
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
    int value = mp_semaphore_value(s);
    for (int i = 0; i < value; i++)
        assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    pid_t other = child_start(acquire, NULL);
    assert_int_equal(mp_semaphore_release(s, value), 0);
    assert_int_equal(child_end(other), 0);
    assert_int_equal(mp_semaphore_value(s), value);
    mp_semaphore_free(s);
    return how;
}

static void each(int (*f)(const char *, int, bool), const char *prefix, int least)
{
    for (int stop = 0; stop < 2; stop++) {
        scene c = {f, stop};
        assert_in_range(each_step(prefix, 6, trial, &c), least, STEPS_MOST);
    }
}

static void test_holder(void **state)
{
    (void)state;
    each(holder, "permits.", 5);
}

static void test_ninth_holder(void **state)
{
    (void)state;
    each(ninth_holder, "permits.grow.", 2);
}

static void test_reaper(void **state)
{
    (void)state;
    each(reaper, "permits.reap.", 2);
}

static void test_waiter(void **state)
{
    (void)state;
    each(waiter, "permits.", 2);
    each(heir, "permits.", 2);
}

static void test_all_were_reached(void **state)
{
    (void)state;
    assert_int_equal(steps_seen_count, steps_of("permits.").count);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_holder), TEST(test_ninth_holder),     TEST(test_reaper),
        TEST(test_waiter), TEST(test_all_were_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
