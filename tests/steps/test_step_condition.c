/* SPDX-License-Identifier: MIT */
/* The condition when a waiter or a notifier dies or stops at each of its steps: the others are
 * woken by exactly as many notifies as were made, and the lock tells of the death once. */
#include "support/steps.h"
#include "support/waiting.h"

static int kind; /* of the conditions of a test */

/* Whether who dies at this step of the condition or its rlock dies with the lock. */
static bool holds_lock(const char *step)
{
    static const char *const without[] = {"condition.wait.released", "condition.wait.asleep",
                                          "condition.wait.woken", "condition.release.free",
                                          "rlock.release.free"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strcmp(step, without[i]) == 0)
            return false;
    return true;
}

static bool is_one_of(const char *step, const char *first, const char *second)
{
    return strcmp(step, first) == 0 || strcmp(step, second) == 0;
}

/* Takes the lock from whoever has died with it, in which case the waiters are not told. */
static void take_over(void)
{
    int rc = mp_condition_acquire(c, LONG);
    assert_in_range(rc, 0, MP_OWNERDEAD);
    if (rc == MP_OWNERDEAD)
        signal_word(&board->told);
}

/*
 * Of n living waiters `owed` come back, or up to `more` more, and one that is told of the death
 * while it passes a notify on; the rest by fresh notifies, one each. Afterwards the condition is as
 * new, and at most one was told, or exactly `told` if that is not negative.
 */
static void others_go_on(waiter *w, int n, int owed, int more, int told)
{
    take_over();
    assert_int_equal(mp_condition_release(c), 0);
    assert_true(await(&board->left, (uint32_t)owed));
    nap(0.12); /* a look of each: no more come back */
    int left = (int)mp__load_seq(&board->left), told_in_wait = 0;
    for (int i = left; i < n; i++)
        assert_int_equal(notify(1), 1);
    assert_int_equal(notify(1), 0);
    for (int i = 0; i < n; i++) {
        int end = end_waiter(&w[i]);
        assert_in_range(end, NOTIFIED, TOLD_OF_DEATH);
        assert_int_not_equal(end, TIMED_OUT);
        told_in_wait += end == TOLD_OF_DEATH;
    }
    assert_in_range(left, owed, owed + more + told_in_wait);
    assert_in_range(mp__load_seq(&board->told), told < 0 ? 0 : told, told < 0 ? 1 : told);
    assert_int_equal(mp_condition_acquire(c, 0), 0);
    assert_int_equal(mp_condition_wait(c, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_condition_notify_all(c), 0);
    assert_int_equal(mp_condition_release(c), 0);
    assert_int_equal(records_engaged(), 0);
    assert_int_equal(mp_shared_check(NULL), 0);
}

/* How many must have been told: -1 if the step does not say. */
static int told_by(int how, const char *step)
{
    if (how != STEP_REACHED)
        return 0;
    if (strncmp(step, "condition.", 10) != 0 && strncmp(step, "rlock.", 6) != 0)
        return -1;
    return holds_lock(step);
}

/* A waiter that does not count as one that is left. */
static int be_victim(void *arg)
{
    double timeout = *(double *)arg;
    for (int i = 0; i < 2 - (kind == OVER_LOCK); i++)
        CHECK(mp_condition_acquire(c, LONG) == 0);
    signal_word(&board->arrived);
    int rc = mp_condition_wait(c, timeout);
    CHECK(rc == 0 || (rc == MP_ETIMEDOUT && timeout < MP_FOREVER));
    for (int i = 0; i < 2 - (kind == OVER_LOCK); i++)
        CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Waits until the victim is asleep, stopped, or dead; and if it is alive, has arrived. */
static void until_there(pid_t victim)
{
    siginfo_t info = {0};
    while (mp__load_seq(&board->arrived) == 0 && info.si_pid == 0) {
        waitid(P_PID, (id_t)victim, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
        nap(0.0002);
    }
    until_asleep(victim);
}

/* Whether one who dies at this step has left, and with its notify. */
static bool has_left(const char *step)
{
    return is_one_of(step, "condition.discharge.done", "condition.wait.left") ||
           strncmp(step, "rlock.release.", 14) == 0 || strcmp(step, "condition.release.free") == 0;
}

/* The one who has waited longest dies before or after it is notified. */
static int first_waiter_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    waiter w[2];
    double timeout = MP_FOREVER;
    make(kind);
    pid_t pid = step_start(step, nth, SIGKILL, be_victim, &timeout);
    until_there(pid);
    start_processes(w, 2, MP_FOREVER);
    take_over();
    assert_int_equal(mp_condition_notify(c, 1), 1);
    assert_int_equal(mp_condition_release(c), 0);
    int how = step_end(pid, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    bool known = strncmp(step, "mutex.", 6) != 0;
    bool taken_along = how == STEP_PASSED || !known || has_left(step);
    others_go_on(w, 2, taken_along ? 0 : 1, !known, told_by(how, step));
    return how;
}

static void test_notified_waiter_dies(void **state)
{
    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        assert_true(each_step("condition.wait.", 3, first_waiter_dies, NULL) > 6);
        assert_int_equal(each_step("condition.discharge.", 3, first_waiter_dies, NULL), 2);
    }
    kind = OVER_RLOCK;
    assert_true(each_step("rlock.", 5, first_waiter_dies, NULL) > 2);
    assert_true(each_step("mutex.", 5, first_waiter_dies, NULL) > 4);
}

/* Nobody is notified: it dies at its deadline, or polling. */
static int last_waiter_dies(const char *step, int nth, void *arg)
{
    waiter w[2];
    make(kind);
    start_processes(w, 2, MP_FOREVER);
    int how = kill_at(step, nth, SIGKILL, be_victim, arg);
    assert_int_not_equal(how, STEP_FAILED);
    others_go_on(w, 2, 0, 0, told_by(how, step));
    return how;
}

static void test_unnotified_waiter_dies(void **state)
{
    (void)state;
    double timeout = 0.01, none = 0;
    for (kind = 0; kind < KINDS; kind++) {
        void *how_long = kind % 2 ? &none : &timeout;
        assert_true(each_step("condition.wait.", 2, last_waiter_dies, how_long) > 5);
        assert_int_equal(each_step("condition.discharge.", 2, last_waiter_dies, how_long), 2);
    }
}

/* As many dead as make the next waiter look for them, which dies over it. */
static int finder_dies(const char *step, int nth, void *arg)
{
    enum { DEAD = 16 };
    waiter w[DEAD];
    make(OWN);
    start_processes(w, DEAD, MP_FOREVER);
    for (int i = 1; i < DEAD; i++)
        assert_int_equal(child_kill(w[i].pid), -SIGKILL);
    int how = kill_at(step, nth, SIGKILL, be_victim, arg);
    assert_int_not_equal(how, STEP_FAILED);
    others_go_on(w, 1, 0, 0, told_by(how, step));
    return how;
}

static int notify_two(void *arg)
{
    (void)arg;
    int rc = mp_condition_acquire(c, LONG);
    CHECK(rc == 0 || rc == MP_OWNERDEAD);
    if (rc == MP_OWNERDEAD)
        signal_word(&board->told);
    CHECK(mp_condition_notify(c, 2) == 2);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* How many the victim has notified, that dies at the step the nth time in notify(n). */
static int marked(int how, const char *step, int nth, int n)
{
    if (how == STEP_PASSED || strncmp(step, "rlock.release.", 14) == 0 ||
        strcmp(step, "condition.release.free") == 0)
        return n;
    if (strcmp(step, "condition.notify.moved") == 0)
        return nth - 1;
    return is_one_of(step, "condition.notify.marked", "condition.notify.woken") ? nth : 0;
}

static int notifier_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    waiter w[3];
    make(kind);
    start_waiters(w, 3, MP_FOREVER);
    int how = kill_at(step, nth, SIGKILL, notify_two, NULL);
    assert_int_not_equal(how, STEP_FAILED);
    bool known = strncmp(step, "mutex.", 6) != 0;
    int owed = known ? marked(how, step, nth, 2) : 0;
    others_go_on(w, 3, owed, known ? 0 : 2, told_by(how, step));
    return how;
}

static void test_notifier_dies(void **state)
{
    (void)state;
    for (kind = 0; kind < KINDS; kind++)
        assert_int_equal(each_step("condition.notify.", 3, notifier_dies, NULL), 3);
    kind = OWN;
    assert_true(each_step("rlock.", 3, notifier_dies, NULL) > 2);
    assert_int_equal(each_step("condition.release.", 3, notifier_dies, NULL), 1);
    assert_true(each_step("mutex.", 3, notifier_dies, NULL) > 4);
}

typedef struct heir_plan {
    const char *step;
    int nth;
} heir_plan;

/* Notifies one, which then is killed; so the next notify passes that on first. */
static int pass_and_notify(void *arg)
{
    const heir_plan *p = arg;
    CHECK(mp_condition_acquire(c, LONG) == 0);
    CHECK(mp_condition_notify(c, 1) == 1);
    signal_word(&board->ready);
    CHECK(await(&board->go, 1));
    mp__step_arm(p->step, p->nth, SIGKILL);
    CHECK(mp_condition_notify(c, 1) == 1);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Those who are stopped do not look after each other: all is left to the victims. */
static void stop(waiter *w, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(child_stop(w[i].pid));
}

static void let_go_on(waiter *w, int n)
{
    take_over();
    assert_int_equal(mp_condition_release(c), 0);
    for (int i = 0; i < n; i++)
        kill(w[i].pid, SIGCONT);
}

static int die_passing(waiter *w, int n, const char *step, int nth)
{
    heir_plan p = {step, nth};
    make(kind);
    start_processes(w, n, MP_FOREVER);
    stop(w + 1, n - 1);
    pid_t pid = child_start(pass_and_notify, &p);
    assert_true(await(&board->ready, 1));
    assert_int_equal(child_kill(w[0].pid), -SIGKILL);
    signal_word(&board->go);
    int how = step_end(pid, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    return how;
}

/* The one who passes a dead waiter's notify on dies over it. */
static int passer_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    waiter w[4];
    int how = die_passing(w, 4, step, nth);
    int notified = marked(how, step, nth, 2); /* the heir, which gets it in any case, and one */
    let_go_on(w + 1, 3);
    others_go_on(w + 1, 3, notified < 1 ? 1 : notified, 0, told_by(how, step));
    return how;
}

static void test_passer_dies(void **state)
{
    (void)state;
    for (kind = 0; kind < KINDS; kind++) {
        assert_int_equal(each_step("condition.pass.", 3, passer_dies, NULL), 3);
        assert_int_equal(each_step("condition.notify.", 3, passer_dies, NULL), 3);
        assert_int_equal(each_step("condition.discharge.", 3, passer_dies, NULL), 2);
    }
}

static int notify_one(void *arg)
{
    (void)arg;
    CHECK(mp_condition_acquire(c, LONG) == MP_OWNERDEAD);
    CHECK(mp_condition_notify(c, 1) == 1);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Two die, the second while it repairs what the first has left. */
static int mender_dies(const char *step, int nth, void *arg)
{
    const char *first = arg;
    waiter w[4];
    assert_int_equal(die_passing(w, 4, first, 1), STEP_REACHED);
    bool heir_knows = !is_one_of(first, "condition.pass.decided", "condition.notify.moved");
    int how = kill_at(step, nth, SIGKILL, notify_one, NULL);
    assert_int_not_equal(how, STEP_FAILED);
    int notified = marked(how, step, nth, heir_knows ? 1 : 2) + heir_knows;
    let_go_on(w + 1, 3);
    others_go_on(w + 1, 3, notified < 1 ? 1 : notified, 0, told_by(how, step));
    return how;
}

static void test_mender_dies(void **state)
{
    (void)state;
    static const char *const first[] = {"condition.pass.decided",       "condition.notify.moved",
                                        "condition.notify.marked",      "condition.pass.given",
                                        "condition.discharge.unlinked", "condition.discharge.done"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        kind = (int)i % KINDS;
        void *before = (void *)(uintptr_t)first[i];
        assert_int_equal(each_step("condition.rebuild.", 3, mender_dies, before), 2);
        assert_int_equal(each_step("condition.notify.", 3, mender_dies, before), 3);
        assert_true(each_step("condition.pass.", 3, mender_dies, before) > 1);
        each_step("condition.discharge.", 3, mender_dies, before);
    }
}

static void test_finder_dies(void **state)
{
    (void)state;
    double timeout = 0.001;
    kind = OWN;
    assert_int_equal(each_step("condition.discharge.", 3, finder_dies, &timeout), 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, waiting_setup, waiting_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_notified_waiter_dies), TEST(test_unnotified_waiter_dies),
        TEST(test_notifier_dies),        TEST(test_passer_dies),
        TEST(test_mender_dies),          TEST(test_finder_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
