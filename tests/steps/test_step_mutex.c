/* SPDX-License-Identifier: MIT */
/* The robust mutex when a process dies or stops at each of its steps: taking, linking, releasing,
 * waking, waiting. */
#include "os/mutex.h"

#include "os/clock.h"
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What the mutexes guard: the two halves differ only while somebody is inside, or died there. */
typedef struct record {
    mp__mutex mutex[3];
    _Atomic uint64_t left, right;
    word inside; /* how many are */
    word entered, waiting, go;
} record;

static record *m;

static int setup(void **state)
{
    (void)state;
    m = common(sizeof *m);
    return m == NULL || mp__robust_check() != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(m, sizeof *m);
    return 0;
}

static mp__deadline in_time(void)
{
    return mp__deadline_in_ns((int64_t)(LONG * 1e9));
}

static int lock_in_time(mp__mutex *mutex)
{
    return mp__mutex_acquire(mutex, in_time(), false);
}

/* One change under the first mutex. */
static int change(mp__deadline until)
{
    int rc = mp__mutex_acquire(&m->mutex[0], until, false);
    CHECK(rc == 0 || rc == MP_OWNERDEAD);
    uint64_t left = mp__load_relaxed(&m->left);
    if (rc == MP_OWNERDEAD) { /* told: repairs */
        mp__store_relaxed(&m->inside, 0);
        mp__store_relaxed(&m->right, left);
    }
    CHECK(mp__load_relaxed(&m->right) == left);
    CHECK(mp__add_seq(&m->inside, 1) == 0);
    mp__store_relaxed(&m->left, left + 1);
    mp__store_relaxed(&m->right, left + 1);
    mp__store_seq(&m->inside, 0);
    mp__mutex_unlock(&m->mutex[0]);
    mp__add_seq(&m->entered, 1);
    return 0;
}

/* Sleeps on the mutex, and gets it. */
static int wait_for_it(void *arg)
{
    (void)arg;
    mp__add_seq(&m->waiting, 1);
    return change(in_time());
}

/* The victim: is amidst a change of what the first one guards as long as it holds it, so that its
 * death must be told. Takes a few mutexes at once, out of order, so that nodes are linked and
 * unlinked at either end and in the middle of the list; tells when it holds all and waits until
 * others wait. */
static int take_and_release(void *arg)
{
    uint32_t waiters = (uint32_t)(uintptr_t)arg;
    CHECK(lock_in_time(&m->mutex[0]) == 0);
    mp__add_relaxed(&m->left, 1);
    mp__store_relaxed(&m->inside, 1);
    CHECK(!mp__mutex_lock(&m->mutex[1])); /* the short way */
    CHECK(lock_in_time(&m->mutex[2]) == 0);
    mp__store_seq(&m->go, 1);
    CHECK(await(&m->waiting, waiters));
    mp__mutex_unlock(&m->mutex[1]);
    mp__store_relaxed(&m->inside, 0);
    mp__add_relaxed(&m->right, 1);
    mp__mutex_unlock(&m->mutex[0]);
    mp__mutex_unlock(&m->mutex[2]);
    return 0;
}

/* All three are to be had at once, by a fresh process, and tell of a death at most once. */
static int use_again(void *arg)
{
    (void)arg;
    mp__deadline at_once = MP__AT_ONCE;
    CHECK(change(at_once) == 0);
    for (int i = 0; i < 3; i++) {
        int rc = mp__mutex_acquire(&m->mutex[i], at_once, false);
        CHECK(rc == 0 || rc == MP_OWNERDEAD);
        mp__mutex_unlock(&m->mutex[i]);
        CHECK(mp__mutex_acquire(&m->mutex[i], at_once, false) == 0);
        mp__mutex_unlock(&m->mutex[i]);
    }
    for (int i = 0; i < 100; i++)
        CHECK(change(at_once) == 0);
    return 0;
}

static void assert_usable(void)
{
    assert_int_equal(child_end(child_start(use_again, NULL)), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mp__load_seq(&m->mutex[i].word) & MP__TID_MASK, 0);
}

enum { WAITERS = 2 };

/* The holder dies while others sleep, or with nobody there. */
static int holder_dies(const char *step, int nth, void *arg)
{
    uint32_t waiters = (uint32_t)(uintptr_t)arg;
    pid_t waiter[WAITERS];
    memset(m, 0, sizeof *m);
    pid_t victim = step_start(step, nth, SIGKILL, take_and_release, arg);
    /* The waiters come when the victim holds all, or has died before. */
    for (siginfo_t info = {0}; mp__load_seq(&m->go) == 0 && info.si_pid == 0; nap(0.0002))
        waitid(P_PID, (id_t)victim, &info, WEXITED | WNOHANG | WNOWAIT);
    uint32_t going = mp__load_seq(&m->go);
    for (uint32_t i = 0; i < waiters; i++)
        waiter[i] = child_start(wait_for_it, NULL);
    int how = step_end(victim, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    double start = seconds();
    for (uint32_t i = 0; i < waiters; i++)
        assert_int_equal(child_end(waiter[i]), 0);
    assert_true(seconds() - start < LONG / 2);
    assert_true(going || how == STEP_REACHED);
    assert_usable();
    return how;
}

static void test_holder_dies(void **state)
{
    (void)state;
    assert_true(each_step("mutex.", 20, holder_dies, (void *)(uintptr_t)WAITERS) > 4);
    assert_true(each_step("mutex.", 20, holder_dies, NULL) > 4);
    assert_int_equal(each_step("robust.", 20, holder_dies, NULL), steps_of("robust.").count);
}

/* Holds the mutex until told, then releases. */
static int hold(void *arg)
{
    (void)arg;
    CHECK(lock_in_time(&m->mutex[0]) == 0);
    mp__store_seq(&m->go, 1);
    CHECK(await(&m->go, 2));
    mp__mutex_unlock(&m->mutex[0]);
    return 0;
}

/* The one who waits dies: on its way to sleep, woken, and with the lock; another waits, too. */
static int waiter_dies(const char *step, int nth, void *arg)
{
    bool stopped_first = arg != NULL;
    memset(m, 0, sizeof *m);
    pid_t holder = child_start(hold, NULL);
    assert_true(await(&m->go, 1));
    int signal = stopped_first ? SIGSTOP : SIGKILL;
    pid_t victim = step_start(step, nth, signal, wait_for_it, NULL);
    assert_true(await(&m->waiting, 1));
    until_asleep(victim);
    pid_t other = child_start(wait_for_it, NULL);
    assert_true(await(&m->waiting, 2));
    until_asleep(other);
    mp__store_seq(&m->go, 2);
    assert_int_equal(child_end(holder), 0);
    int how;
    if (stopped_first) {
        how = step_await_stop(victim, step);
        if (how == STEP_REACHED) {
            nap(0.002); /* so that the other comes to sleep again, if it must */
            assert_int_equal(child_kill(victim), -SIGKILL);
        }
    } else {
        how = step_end(victim, step, SIGKILL);
    }
    assert_int_not_equal(how, STEP_FAILED);
    double start = seconds();
    assert_int_equal(child_end(other), 0);
    assert_true(seconds() - start < LONG / 2);
    assert_usable();
    return how;
}

static void test_waiter_dies(void **state)
{
    (void)state;
    bool stopped_first = true;
    assert_true(each_step("mutex.", 20, waiter_dies, NULL) > 4);
    assert_true(each_step("mutex.", 20, waiter_dies, &stopped_first) > 4);
}

/* Stopped with the lock or on its way, it delays the others at most until it goes on. */
static int holder_stops(const char *step, int nth, void *arg)
{
    (void)arg;
    memset(m, 0, sizeof *m);
    pid_t victim;
    int how = stop_at(step, nth, take_and_release, NULL, &victim);
    assert_int_not_equal(how, STEP_FAILED);
    if (how != STEP_REACHED)
        return how;
    for (int i = 0; i < 3; i++) { /* either it is free, or a limited wait ends */
        int rc = mp__mutex_acquire(&m->mutex[i], mp__deadline_in_ns(MP__NS_PER_MS), false);
        assert_true(rc == 0 || rc == MP_ETIMEDOUT);
        if (rc == 0)
            mp__mutex_unlock(&m->mutex[i]);
    }
    assert_int_equal(step_go_on(victim), 0);
    assert_usable();
    return how;
}

static void test_holder_stops(void **state)
{
    (void)state;
    assert_true(each_step("mutex.", 20, holder_stops, NULL) > 4);
}

/* The kernel wakes for the dead, and the living wake one after the other, at once: who sleeps does
 * not have to look again after 100 ms. The fastest of a few shows it, on however busy a machine.
 * Step NULL: nobody dies. */
static void prompt(const char *step)
{
    double fastest = LONG;
    for (int i = 0; i < 12; i++) {
        pid_t waiter[WAITERS];
        memset(m, 0, sizeof *m);
        pid_t victim = step_start(step, 1, SIGKILL, hold, NULL);
        assert_true(await(&m->go, 1));
        for (int k = 0; k < WAITERS; k++)
            waiter[k] = child_start(wait_for_it, NULL);
        assert_true(await(&m->waiting, WAITERS));
        for (int k = 0; k < WAITERS; k++)
            until_asleep(waiter[k]);
        double start = seconds();
        mp__store_seq(&m->go, 2);
        if (step != NULL)
            assert_int_equal(step_end(victim, step, SIGKILL), STEP_REACHED);
        else
            assert_int_equal(child_end(victim), 0);
        for (int k = 0; k < WAITERS; k++)
            assert_int_equal(child_end(waiter[k]), 0);
        double took = seconds() - start;
        fastest = took < fastest ? took : fastest;
    }
    if (fastest > 0.05)
        fail_msg("%s: %.3f s until all had the lock", step != NULL ? step : "no death", fastest);
}

static void test_next_is_woken_at_once(void **state)
{
    (void)state;
    step_list l = steps_of("mutex.release.");
    for (int i = 0; i < l.count; i++)
        prompt(l.name[i]);
    prompt(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_holder_dies),
        TEST(test_waiter_dies),
        TEST(test_holder_stops),
        TEST(test_next_is_woken_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
