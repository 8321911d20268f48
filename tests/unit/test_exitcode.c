/* SPDX-License-Identifier: MIT */
/* The exit code: all of it, whoever else waits, and whatever becomes of SIGCHLD. */
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/utsname.h>

#include <cmocka.h>

static int by_return(void *arg)
{
    return (int)(intptr_t)arg;
}

static int by_exit(void *arg)
{
    exit((int)(intptr_t)arg);
}

static int by_underscore_exit(void *arg)
{
    _exit((int)(intptr_t)arg);
}

static int by_quick_exit(void *arg)
{
    quick_exit((int)(intptr_t)arg);
}

static int by_signal(void *arg)
{
    signal((int)(intptr_t)arg, SIG_DFL);
    raise((int)(intptr_t)arg);
    return 0;
}

/* MP_NO_EXITCODE if a call failed. */
static int exitcode_of(mp_target target, int value)
{
    mp_process *p;
    int code = MP_NO_EXITCODE;
    if (mp_process_new(&p, .target = target, .arg = SLOT(value)) < 0)
        return code;
    if (mp_process_start(p) == 0 && mp_process_join(p, LONG) == 0)
        code = mp_process_exitcode(p);
    return mp_process_free(p) == 0 ? code : MP_NO_EXITCODE;
}

/* How many children show a rare race; valgrind is patient, but slow. */
static int many(void)
{
    return getenv("MP_TEST_VALGRIND") != NULL ? 20 : 300;
}

static void statuses_are_not_cut(void **state)
{
    (void)state;
    for (int status = 300 - many(); status <= 300; status++)
        assert_int_equal(exitcode_of(by_return, status), status);
    assert_int_equal(exitcode_of(by_return, INT_MAX), INT_MAX);
    assert_int_equal(exitcode_of(by_exit, 256), 256);
    assert_int_equal(exitcode_of(by_exit, 3), 3);
}

static void negative_statuses_are_their_low_bits(void **state)
{
    (void)state;
    assert_int_equal(exitcode_of(by_return, -1), 255);
    assert_int_equal(exitcode_of(by_return, -256), 0);
    assert_int_equal(exitcode_of(by_exit, -9), 247);
    assert_int_equal(exitcode_of(by_return, INT_MIN), 0);
}

static void quick_ways_out_give_the_kernels_status(void **state)
{
    (void)state;
    assert_int_equal(exitcode_of(by_underscore_exit, 300), 44);
    assert_int_equal(exitcode_of(by_underscore_exit, 7), 7);
    assert_int_equal(exitcode_of(by_quick_exit, 256 + 9), 9);
}

static void signals_are_negative(void **state)
{
    (void)state;
    static const int numbers[] = {SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGTERM, SIGALRM};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_int_equal(exitcode_of(by_signal, numbers[i]), -numbers[i]);
    assert_int_equal(exitcode_of(by_signal, SIGRTMIN + 1), -(SIGRTMIN + 1));
}

static void fatal_exit(int status, void *arg)
{
    (void)status;
    (void)arg;
    raise(SIGKILL);
}

static int killed_while_exiting(void *arg)
{
    (void)arg;
    on_exit(fatal_exit, NULL);
    return 300;
}

static void a_death_in_a_handler_is_a_death(void **state)
{
    (void)state;
    assert_int_equal(exitcode_of(killed_while_exiting, 0), -SIGKILL);
}

/* Whether the kernel keeps the status of a process that was reaped by somebody else. */
static bool kernel_keeps(void)
{
    struct utsname system;
    int major = 0, minor = 0;
    return getenv("MP_TEST_VALGRIND") == NULL && uname(&system) == 0 &&
           sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 15));
}

static int ignore_sigchld(void *arg)
{
    (void)arg;
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < many(); i++)
        CHECK(exitcode_of(by_return, i) == i);
    bool keeps = kernel_keeps();
    for (int i = 0; i < 20; i++) {
        int code = keeps ? -SIGTERM : MP_EXITCODE_UNKNOWN;
        CHECK(exitcode_of(by_signal, SIGTERM) == code);
        code = keeps ? 9 : MP_EXITCODE_UNKNOWN;
        CHECK(exitcode_of(by_underscore_exit, 9) == code);
    }
    struct sigaction now;
    sigaction(SIGCHLD, NULL, &now);
    CHECK(now.sa_handler == SIG_IGN);
    return 0;
}

static void sigchld_may_be_ignored(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(ignore_sigchld, NULL)), 0);
}

static void reap_all(int number)
{
    (void)number;
    int saved = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    errno = saved;
}

static int handle_sigchld(void *arg)
{
    (void)arg;
    struct sigaction reaper = {.sa_handler = reap_all, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &reaper, NULL);
    for (int i = 0; i < many(); i++)
        CHECK(exitcode_of(by_return, i) == i);
    for (int i = 0; i < 20; i++) {
        int code = exitcode_of(by_signal, SIGTERM);
        CHECK(code == -SIGTERM || code == MP_EXITCODE_UNKNOWN);
    }
    return 0;
}

static void a_program_may_reap_in_a_handler(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(handle_sigchld, NULL)), 0);
}

static int wait_in_a_loop(void *arg)
{
    (void)arg;
    mp_process *p[10];
    for (int i = 0; i < 10; i++) {
        CHECK(mp_process_new(&p[i], .target = by_return, .arg = SLOT(250 + i)) == 0);
        CHECK(mp_process_start(p[i]) == 0);
    }
    pid_t own = fork();
    if (own == 0)
        _exit(5);
    /* Who waits for all of its children gets to see ours; whatever it reaps is known all the
     * same. */
    int status, seen = 0;
    for (pid_t pid; (pid = wait(&status)) > 0;)
        seen += pid == own && WEXITSTATUS(status) == 5;
    CHECK(errno == ECHILD && seen == 1);
    for (int i = 0; i < 10; i++) {
        CHECK(!mp_process_is_alive(p[i]));
        CHECK(mp_process_join(p[i], 0) == 0);
        CHECK(mp_process_exitcode(p[i]) == 250 + i);
        CHECK(mp_process_terminate(p[i]) == 0);
        CHECK(mp_process_free(p[i]) == 0);
    }
    return 0;
}

static void a_program_may_wait_for_all(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(wait_in_a_loop, NULL)), 0);
}

static int leave_strangers_alone(void *arg)
{
    (void)arg;
    pid_t own = fork();
    if (own == 0)
        _exit(5);
    CHECK(await_death(own));
    for (int i = 0; i < 5; i++)
        CHECK(exitcode_of(by_return, i) == i);
    mp_active_children(NULL, 0);
    CHECK(child_end(own) == 5);
    return 0;
}

static void strangers_are_not_reaped(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(leave_strangers_alone, NULL)), 0);
}

static void each_sees_its_own(void **state)
{
    (void)state;
    mp_process *p[40];
    for (int i = 0; i < 40; i++) {
        assert_int_equal(mp_process_new(&p[i], .target = by_return, .arg = SLOT(i * 100)), 0);
        assert_int_equal(mp_process_start(p[i]), 0);
    }
    for (int i = 39; i >= 0; i--) {
        assert_int_equal(mp_process_join(p[i], LONG), 0);
        assert_int_equal(mp_process_exitcode(p[i]), i * 100);
        assert_int_equal(mp_process_free(p[i]), 0);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(statuses_are_not_cut),
        T(negative_statuses_are_their_low_bits),
        T(quick_ways_out_give_the_kernels_status),
        T(signals_are_negative),
        T(a_death_in_a_handler_is_a_death),
        T(sigchld_may_be_ignored),
        T(a_program_may_reap_in_a_handler),
        T(a_program_may_wait_for_all),
        T(strangers_are_not_reaped),
        T(each_sees_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
