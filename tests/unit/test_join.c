/* SPDX-License-Identifier: MIT */
/* Waiting for processes: sentinel, several threads, mp_interrupt(), the list of those that run. */
#include "support/program.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static mp_process *started(mp_target target, void *arg)
{
    mp_process *p;
    assert_int_equal(mp_process_new(&p, .target = target, .arg = arg), 0);
    assert_int_equal(mp_process_start(p), 0);
    return p;
}

/* Started, and running its function. */
static mp_process *living(int slot)
{
    mp_process *p = started(live_on, SLOT(slot));
    assert_true(await(&board->pid[slot]));
    return p;
}

static void finish(mp_process *p, int exitcode)
{
    assert_int_equal(mp_process_join(p, LONG), 0);
    assert_int_equal(mp_process_exitcode(p), exitcode);
    assert_int_equal(mp_process_free(p), 0);
}

static void sentinel_tells_the_end(void **state)
{
    (void)state;
    mp_process *p = living(0);
    struct pollfd sentinel = {.fd = mp_process_sentinel(p), .events = POLLIN};
    assert_true(sentinel.fd > 2);
    assert_int_equal(fcntl(sentinel.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(poll(&sentinel, 1, 0), 0);
    mp_waitable item = {.kind = MP_WAIT_PROCESS, .object = p};
    assert_int_equal(mp_wait(&item, 1, 0), 0);
    assert_int_equal(mp_process_kill(p), 0);
    assert_int_equal(mp_wait(&item, 1, LONG), 1);
    assert_int_equal(poll(&sentinel, 1, 60000), 1);
    assert_int_equal(mp_process_sentinel(p), sentinel.fd);
    finish(p, -SIGKILL);
}

static void *join_it(void *p)
{
    return (void *)(intptr_t)mp_process_join(p, LONG);
}

static void several_threads_join(void **state)
{
    (void)state;
    mp_process *p = living(0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_it, p), 0);
    assert_int_equal(mp_process_kill(p), 0);
    for (int i = 0; i < 4; i++) {
        void *rc;
        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((intptr_t)rc, 0);
    }
    finish(p, -SIGKILL);
}

static void *start_it(void *p)
{
    return (void *)(intptr_t)mp_process_start(p);
}

static void one_of_several_threads_starts(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        mp_process *p;
        assert_int_equal(mp_process_new(&p, .target = give_back, .arg = SLOT(3)), 0);
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, start_it, p), 0);
        int succeeded = 0;
        for (int i = 0; i < 3; i++) {
            void *rc;
            assert_int_equal(pthread_join(threads[i], &rc), 0);
            assert_true((intptr_t)rc == 0 || (intptr_t)rc == MP_ESTATE);
            succeeded += (intptr_t)rc == 0;
        }
        assert_int_equal(succeeded, 1);
        finish(p, 3);
    }
}

static int join_interrupted(void *arg)
{
    (void)arg;
    mp_process *p;
    CHECK(mp_process_new(&p, .target = live_on, .daemon = true) == 0);
    CHECK(mp_process_start(p) == 0);
    mp_interrupt();
    CHECK(mp_process_join(p, 0) == MP_ETIMEDOUT); /* does not block, takes nothing */
    CHECK(mp_process_join(p, LONG) == MP_EINTR);
    CHECK(mp_process_join(p, 0.01) == MP_ETIMEDOUT);
    CHECK(mp_process_kill(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    mp_interrupt();
    CHECK(mp_process_join(p, LONG) == MP_EINTR); /* though there is nothing to wait for */
    CHECK(mp_process_join(p, LONG) == 0);
    return 0;
}

static void on_alarm(int number)
{
    (void)number;
    mp_interrupt();
}

static int join_interrupted_by_handler(void *arg)
{
    (void)arg;
    mp_process *p;
    CHECK(mp_process_new(&p, .target = live_on, .daemon = true) == 0);
    CHECK(mp_process_start(p) == 0);
    signal(SIGALRM, on_alarm);
    ualarm(50000, 0);
    CHECK(mp_process_join(p, MP_FOREVER) == MP_EINTR);
    CHECK(mp_process_kill(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    return 0;
}

static void interrupt_ends_a_join(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(join_interrupted, NULL)), 0);
    assert_int_equal(child_end(child_start(join_interrupted_by_handler, NULL)), 0);
}

/* Waits for its end, and leaves it unreaped. */
static bool ended(const mp_process *p)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)mp_process_pid(p), &info, WEXITED | WNOWAIT) == 0;
}

static void active_children_are_those_that_run(void **state)
{
    (void)state;
    assert_int_equal(mp_active_children(NULL, 0), 0);
    mp_process *a = living(0), *b = living(1), *never;
    assert_int_equal(mp_process_create(&never, NULL), 0);
    mp_process *list[4] = {NULL};
    assert_int_equal(mp_active_children(list, 4), 2);
    assert_ptr_equal(list[0], a);
    assert_ptr_equal(list[1], b);
    assert_null(list[2]);
    list[1] = NULL;
    assert_int_equal(mp_active_children(list, 1), 2);
    assert_null(list[1]);

    kill(mp_process_pid(a), SIGKILL);
    assert_true(ended(a));
    assert_int_equal(mp_active_children(list, 4), 1);
    assert_ptr_equal(list[0], b);
    assert_int_equal(state_of(mp_process_pid(a)), 0); /* reaped */
    assert_int_equal(mp_process_kill(b), 0);
    finish(b, -SIGKILL);
    finish(a, -SIGKILL);
    assert_int_equal(mp_process_free(never), 0);
}

static void starting_reaps_the_ended(void **state)
{
    (void)state;
    mp_process *a = started(nothing, NULL);
    assert_true(ended(a));
    mp_process *b = started(nothing, NULL);
    assert_int_equal(state_of(mp_process_pid(a)), 0);
    finish(a, 0);
    finish(b, 0);
}

/* B3 of the known pains: what a grandchild inherits hides nothing. */
static int leave_grandchild(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0)
        live_on(SLOT(0));
    return pid > 0 ? 0 : 1;
}

static void grandchild_does_not_hide_the_end(void **state)
{
    (void)state;
    mp_process *p = started(leave_grandchild, NULL);
    pid_t grandchild = await(&board->pid[0]);
    mp_waitable item = {.kind = MP_WAIT_PROCESS, .object = p};
    assert_int_equal(mp_wait(&item, 1, LONG), 1);
    finish(p, 0);
    assert_int_equal(child_kill(grandchild), -SIGKILL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(sentinel_tells_the_end),
        T(several_threads_join),
        T(one_of_several_threads_starts),
        T(interrupt_ends_a_join),
        T(active_children_are_those_that_run),
        T(starting_reaps_the_ended),
        T(grandchild_does_not_hide_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
