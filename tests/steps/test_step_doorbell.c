/* SPDX-License-Identifier: MIT */
/* Doorbells when one who rings or one who waits dies or stops at each step. */
#include "chan/queue.h"
#include "support/shared.h"
#include "support/still.h"

#include <mproc/error.h>
#include <mproc/wait.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static mp_event *e;
static int of_q, of_e;

static int setup(void **state)
{
    (void)state;
    return mp_queue_new(&q) < 0 || mp_event_new(&e) < 0 || (of_q = mp_queue_fileno(q)) < 0 ||
                   (of_e = mp_event_fileno(e)) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    int rc = mp_fileno_release(of_q) | mp_fileno_release(of_e);
    mp_queue_free(q);
    mp_event_free(e);
    return rc != 0 ? rc : mp_shared_check(NULL);
}

static bool is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Takes all out, until it is told that nothing is left. */
static void take_all(void)
{
    char byte;
    ssize_t rc;
    while ((rc = mp_queue_get(q, &byte, 1, 0)) >= 0)
        continue;
    assert_int_equal(rc, MP_EEMPTY);
}

/* All is as it should be, and goes on so. */
static void check_descriptors(void)
{
    take_all();
    assert_int_equal(mp_event_clear(e), 0);
    assert_false(is_ready(of_q));
    assert_false(is_ready(of_e));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_queue_put(q, "m", 1, LONG), 0);
        assert_int_equal(mp_event_set(e), 0);
        assert_true(is_ready(of_q));
        assert_true(is_ready(of_e));
        take_all();
        assert_int_equal(mp_event_clear(e), 0);
        assert_false(is_ready(of_q));
        assert_false(is_ready(of_e));
    }
    assert_int_equal(mp_shared_check(NULL), 0);
}

static int own_and_end(void *arg)
{
    (void)arg;
    CHECK(mp_queue_fileno(q) > 2 && mp_event_fileno(e) > 2);
    return 0;
}

static int put_and_set(void *arg)
{
    (void)arg;
    CHECK(mp_queue_put(q, "m", 1, LONG) == 0);
    CHECK(mp_event_set(e) == 0);
    return 0;
}

/* One who rings dies; among those rung for are some who are gone. */
static int ringer(const char *step, int nth, void *arg)
{
    (void)arg;
    assert_int_equal(child_end(child_start(own_and_end, NULL)), 0);
    int how = kill_at(step, nth, SIGKILL, put_and_set, NULL);
    assert_int_not_equal(how, STEP_FAILED);
    if (mp_queue_size(q) > 0)
        assert_true(is_ready(of_q));
    if (mp_event_wait(e, 0) == 0)
        assert_true(is_ready(of_e));
    check_descriptors();
    if (how == STEP_REACHED)
        see(step);
    return how;
}

/* The same with an owner that looks all the time: whatever was put is told of. */
static int ringer_watched(const char *step, int nth, void *arg)
{
    (void)arg;
    pid_t pid = step_start(step, nth, SIGKILL, put_and_set, NULL);
    siginfo_t info = {0};
    do
        take_all();
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0);
    int how = step_end(pid, step, SIGKILL);
    assert_int_not_equal(how, STEP_FAILED);
    if (mp_queue_size(q) > 0)
        assert_true(is_ready(of_q));
    check_descriptors();
    return how;
}

/* One who rings is stopped, and overtaken by looks and other rings; what it does late harms
 * nobody. Held up within put it holds the lock: then the descriptor stays ready. */
static int stopped(const char *step, int nth, void *arg)
{
    (void)arg;
    pid_t pid;
    int how = stop_at(step, nth, put_and_set, NULL, &pid);
    assert_int_not_equal(how, STEP_FAILED);
    if (pid == 0) {
        check_descriptors();
        return how;
    }
    take_all();
    if (mp__queue_is_being_put(q)) {
        /* At this one it has put nothing, and goes on to ring: nobody has been told yet. */
        if (strcmp(step, "queue.put.published_at_once") != 0)
            assert_true(is_ready(of_q));
        assert_int_equal(mp_queue_put(q, "m", 1, 0), MP_EAGAIN);
    } else {
        assert_int_equal(mp_event_clear(e), 0);
        assert_false(is_ready(of_q));
        assert_int_equal(mp_event_set(e), 0);
        assert_true(is_ready(of_e));
        assert_int_equal(mp_event_clear(e), 0);
    }
    assert_int_equal(step_go_on(pid), 0);
    if (mp_queue_size(q) > 0)
        assert_true(is_ready(of_q));
    if (mp_event_wait(e, 0) == 0)
        assert_true(is_ready(of_e));
    check_descriptors();
    return how;
}

/* Registers and leaves in both ways. */
static int wait_and_leave(void *arg)
{
    (void)arg;
    mp_waitable items[] = {{.kind = MP_WAIT_QUEUE, .object = q},
                           {.kind = MP_WAIT_EVENT, .object = e}};
    CHECK(mp_wait(items, 2, 0.002) == 0);
    int fd = mp_queue_fileno(q);
    CHECK(fd > 2);
    CHECK(mp_fileno_release(fd) == 0);
    return 0;
}

/* One who waits dies: after one ring in vain nobody pays for it any more. */
static int waiter(const char *step, int nth, void *arg)
{
    (void)arg;
    assert_int_equal(teardown(NULL), 0);
    assert_int_equal(setup(NULL), 0); /* with no place that is free already */
    int how = kill_at(step, nth, SIGKILL, wait_and_leave, NULL);
    assert_int_not_equal(how, STEP_FAILED);
    check_descriptors();
    assert_int_equal(mp_queue_put(q, "m", 1, LONG), 0);
    assert_false(mp__doorbells_any(&q->arrivals));
    int count = 0;
    for (mp__doorplate *p = mp__load_acquire(&q->arrivals.first); p != NULL; p = p->next)
        count += mp__load_relaxed(&p->name) != 0 && mp__datagram_exists(p->name);
    assert_int_equal(count, 1); /* ours */
    take_all();
    if (how == STEP_REACHED)
        see(step);
    return how;
}

static void test_ringer(void **state)
{
    (void)state;
    assert_in_range(each_step("doorbell.ring.", 8, ringer, NULL), 4, STEPS_MOST);
    assert_in_range(each_step("queue.put.", 3, ringer, NULL), 2, STEPS_MOST);
    assert_in_range(each_step("event.set.", 3, ringer, NULL), 1, STEPS_MOST);
}

static void test_ringer_watched(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        each_step("doorbell.ring.", 4, ringer_watched, NULL);
        each_step("queue.put.", 3, ringer_watched, NULL);
        each_step("mutex.release.", 3, ringer_watched, NULL);
    }
}

static void test_stopped(void **state)
{
    (void)state;
    assert_in_range(each_step("doorbell.ring.", 4, stopped, NULL), 3, STEPS_MOST);
    assert_in_range(each_step("event.set.", 3, stopped, NULL), 1, STEPS_MOST);
    assert_in_range(each_step("queue.put.", 3, stopped, NULL), 2, STEPS_MOST);
}

static void test_waiter(void **state)
{
    (void)state;
    assert_in_range(each_step("doorbell.", 8, waiter, NULL), 5, STEPS_MOST);
}

static void test_all_were_seen(void **state)
{
    (void)state;
    step_list l = steps_of("doorbell.");
    for (int i = 0; i < l.count; i++) {
        bool seen = false;
        for (int k = 0; k < steps_seen_count; k++)
            seen = seen || strcmp(steps_seen[k], l.name[i]) == 0;
        if (!seen)
            fprintf(stderr, "not reached: %s\n", l.name[i]);
        assert_true(seen);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_ringer), TEST(test_ringer_watched),
                                       TEST(test_stopped), TEST(test_waiter),
                                       TEST(test_all_were_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
