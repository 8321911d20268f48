/* SPDX-License-Identifier: MIT */
/* The condition when a waiter or a notifier is stopped at each of its steps, and goes on: with the
 * lock it keeps the others waiting, else it keeps up nobody; and no notify is lost or doubled. */
#include "support/steps.h"
#include "support/waiting.h"

enum { OTHERS = 2 };

static int kind; /* of the conditions of a test */

static bool holds_lock(const char *step)
{
    return strcmp(step, "condition.wait.released") != 0 &&
           strcmp(step, "condition.wait.asleep") != 0 &&
           strcmp(step, "condition.wait.woken") != 0 &&
           strcmp(step, "condition.release.free") != 0 && strcmp(step, "rlock.release.free") != 0;
}

static bool has_stopped_or_ended(pid_t pid)
{
    siginfo_t info = {0};
    waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
    return info.si_pid != 0;
}

/* Waits as long as it is told; board->ready: was notified. */
static int be_victim(void *arg)
{
    double timeout = *(double *)arg;
    CHECK(mp_condition_acquire(c, LONG) == 0);
    signal_word(&board->arrived);
    int rc = mp_condition_wait(c, timeout);
    CHECK(rc == 0 || (rc == MP_ETIMEDOUT && timeout < MP_FOREVER));
    mp__store_seq(&board->ready, rc == 0);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Notifies all as soon as the lock can be had and the victim, if it lives on, waits; unless it has
 * stopped with the lock. Returns how many. */
static int notify_those_there(pid_t victim)
{
    while (mp__load_seq(&board->arrived) <= OTHERS && !has_stopped_or_ended(victim))
        nap(0.0002);
    bool there = false;
    do {
        there = has_stopped_or_ended(victim);
        if (mp_condition_acquire(c, 0.005) == 0) {
            int n = mp_condition_notify_all(c);
            assert_int_equal(mp_condition_release(c), 0);
            return n;
        }
    } while (!there);
    return 0;
}

/* The others wait, the victim comes and stops somewhere on its way in, asleep, or out. */
static int waiter_stops(const char *step, int nth, void *arg)
{
    double timeout = *(double *)arg;
    waiter w[OTHERS];
    int status;
    make(kind);
    start_processes(w, OTHERS, MP_FOREVER);
    pid_t pid = step_start(step, nth, SIGSTOP, be_victim, arg);
    int notified = timeout < MP_FOREVER ? 0 : notify_those_there(pid);
    int how = step_await_stop(pid, step);
    assert_int_not_equal(how, STEP_FAILED);
    if (how == STEP_REACHED && holds_lock(step)) {
        assert_int_equal(mp_condition_acquire(c, 0.002), MP_ETIMEDOUT);
    } else {
        notified += notify(OTHERS + 1); /* by the lock, which is to be had */
        assert_true(await(&board->left, OTHERS));
    }
    if (how == STEP_REACHED)
        kill(pid, SIGCONT);
    /* A notify at a time until all have had theirs, be the victim only on its way in. */
    for (int end = 0; end == 0 && how == STEP_REACHED;) {
        notified += notify(OTHERS + 1);
        end = waitpid(pid, &status, WNOHANG);
        assert_true(end == 0 || (end == pid && status == 0));
        nap(0.0002);
    }
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(end_waiter(&w[i]), NOTIFIED);
    assert_int_equal(notified, OTHERS + (int)mp__load_seq(&board->ready));
    assert_int_equal(notify(1), 0);
    assert_int_equal(records_engaged(), 0);
    assert_int_equal(mp_shared_check(NULL), 0);
    return how;
}

static void test_waiter_stops(void **state)
{
    (void)state;
    double timeout = 0.01, none = 0;
    for (kind = 0; kind < KINDS; kind++) {
        assert_true(each_step("condition.wait.", 2, waiter_stops, &timeout) > 6);
        assert_true(each_step("condition.wait.", 2, waiter_stops, &none) > 5);
        assert_int_equal(each_step("condition.discharge.", 2, waiter_stops, &timeout), 2);
    }
}

/* The same, but the victim waits until it is notified with the others. */
static void test_notified_waiter_stops(void **state)
{
    (void)state;
    double forever = MP_FOREVER;
    for (kind = 0; kind < KINDS; kind++) {
        assert_true(each_step("condition.wait.", 2, waiter_stops, &forever) > 5);
        assert_int_equal(each_step("condition.discharge.", 2, waiter_stops, &forever), 2);
    }
}

static int notify_all(void *arg)
{
    (void)arg;
    CHECK(mp_condition_acquire(c, LONG) == 0);
    CHECK(mp_condition_notify_all(c) == OTHERS);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Stopped while it notifies: a fresh waiter's deadline does not pass unnoticed, and all goes on. */
static int notifier_stops(const char *step, int nth, void *arg)
{
    (void)arg;
    waiter w[OTHERS];
    pid_t pid;
    make(kind);
    start_processes(w, OTHERS, MP_FOREVER);
    int how = stop_at(step, nth, notify_all, NULL, &pid);
    assert_int_not_equal(how, STEP_FAILED);
    if (how == STEP_REACHED) {
        bool held = holds_lock(step);
        assert_int_equal(mp_condition_acquire(c, 0.002), held ? MP_ETIMEDOUT : 0);
        assert_int_equal(mp_condition_release(c), held ? MP_EPERM : 0);
        assert_true(mp__load_seq(&board->left) == 0 || !held);
        assert_int_equal(step_go_on(pid), 0);
    }
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(end_waiter(&w[i]), NOTIFIED);
    assert_int_equal(notify(1), 0);
    assert_int_equal(records_engaged(), 0);
    return how;
}

static void test_notifier_stops(void **state)
{
    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        assert_int_equal(each_step("condition.notify.", 3, notifier_stops, NULL), 3);
    kind = OWN;
    assert_true(each_step("rlock.", 3, notifier_stops, NULL) > 2);
    assert_int_equal(each_step("condition.release.", 3, notifier_stops, NULL), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, waiting_setup, waiting_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_waiter_stops),
        TEST(test_notified_waiter_stops),
        TEST(test_notifier_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
