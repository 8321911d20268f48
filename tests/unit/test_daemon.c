/* SPDX-License-Identifier: MIT */
/* Daemonic children end with their parent, however it ends; the others are waited for, or live
 * on. */
#include "support/program.h"

#include "proc/registry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Says with which signal it was asked to end; then it ends. */
static void note(int number)
{
    atomic_store(&board->flag[0], number);
    _exit(0);
}

static int polite(void *arg)
{
    signal(SIGTERM, note);
    return live_on(arg);
}

static int stubborn(void *arg)
{
    signal(SIGTERM, SIG_IGN);
    return live_on(arg);
}

static int start(mp_target target, int slot, int daemon)
{
    mp_process *p;
    CHECK(mp_process_new(&p, .target = target, .arg = SLOT(slot), .daemon = daemon) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(await(&board->pid[slot]));
    return 0;
}

/* A program that starts a daemon and an ordinary child, and stays until it is killed. */
static int keep_both(void *arg)
{
    (void)arg;
    CHECK(start(live_on, 0, MP_YES) == 0);
    CHECK(start(live_on, 1, MP_NO) == 0);
    atomic_store(&board->flag[1], 1);
    return live_on(SLOT(2));
}

static void killed_by(int number)
{
    pid_t program = child_start(keep_both, NULL);
    assert_true(await(&board->flag[1]));
    kill(program, number);
    assert_int_equal(child_end(program), -number);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(waitpid(board->pid[1], NULL, WNOHANG), 0); /* lives on */
    assert_int_equal(child_kill(board->pid[1]), -SIGKILL);
}

static void daemon_ends_when_its_parent_is_killed(void **state)
{
    (void)state;
    killed_by(SIGKILL);
}

static void daemon_ends_when_its_parent_is_terminated(void **state)
{
    (void)state;
    killed_by(SIGTERM);
}

static int leave_by_underscore_exit(void *arg)
{
    (void)arg;
    CHECK(start(polite, 0, MP_YES) == 0);
    _exit(3);
}

static void daemon_ends_at_underscore_exit(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(leave_by_underscore_exit, NULL)), 3);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(board->flag[0], 0);
}

static int leave_by_exec(void *arg)
{
    (void)arg;
    CHECK(start(live_on, 0, MP_YES) == 0);
    execl("/bin/sh", "sh", "-c", "read line", (char *)NULL);
    return 1;
}

static void daemon_ends_at_execve(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[0], STDIN_FILENO);
    pid_t program = child_start(leave_by_exec, NULL);
    dup2(saved, STDIN_FILENO);
    assert_true(await(&board->pid[0]));
    assert_true(await_death(board->pid[0]));
    assert_int_equal(child_kill(program), -SIGKILL);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static int exit_with_daemon(void *arg)
{
    (void)arg;
    CHECK(start(polite, 0, MP_YES) == 0);
    exit(4);
}

static void daemon_gets_sigterm_at_exit(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(exit_with_daemon, NULL)), 4);
    assert_int_equal(board->flag[0], SIGTERM);
    assert_int_equal(waitpid(board->pid[0], NULL, WNOHANG), -1); /* it was joined */
}

static int exit_with_stubborn_daemons(void *arg)
{
    (void)arg;
    CHECK(start(stubborn, 0, MP_YES) == 0);
    CHECK(start(stubborn, 1, MP_YES) == 0);
    kill(board->pid[1], SIGSTOP);
    exit(0);
}

static void daemon_gets_sigkill_after_the_grace_period(void **state)
{
    (void)state;
    double begin = seconds();
    assert_int_equal(child_end(child_start(exit_with_stubborn_daemons, NULL)), 0);
    assert_true(seconds() - begin >= 4.9); /* in total, not for each */
    assert_int_equal(state_of(board->pid[0]), 0);
    assert_int_equal(state_of(board->pid[1]), 0);
}

static int say_late(void *arg)
{
    atomic_store(&board->pid[1], getpid());
    await(&board->flag[2]);
    atomic_store(&board->flag[3], 1);
    return (int)(intptr_t)arg;
}

static int exit_with_child(void *arg)
{
    (void)arg;
    CHECK(start(polite, 0, MP_YES) == 0);
    CHECK(start(say_late, 1, MP_NO) == 0);
    exit(0);
}

static void others_are_joined_at_exit(void **state)
{
    (void)state;
    pid_t program = child_start(exit_with_child, NULL);
    assert_true(await(&board->flag[0])); /* daemons first: they do not wait for the others */
    assert_int_equal(waitpid(program, NULL, WNOHANG), 0);
    atomic_store(&board->flag[2], 1);
    assert_int_equal(child_end(program), 0);
    assert_int_equal(board->flag[3], 1);
}

static void *start_daemon(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)start(live_on, 0, MP_YES);
}

static int start_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t thread;
    void *rc;
    CHECK(pthread_create(&thread, NULL, start_daemon, NULL) == 0);
    CHECK(pthread_join(thread, &rc) == 0 && rc == NULL);
    atomic_store(&board->flag[1], 1);
    return live_on(SLOT(2));
}

static void daemon_outlives_the_thread_that_started_it(void **state)
{
    (void)state;
    pid_t program = child_start(start_in_a_thread, NULL);
    assert_true(await(&board->flag[1]));
    /* The thread has ended; what the kernel does about that it has done after a while. */
    for (int i = 0; i < 100; i++) {
        assert_true(state_of(board->pid[0]) != 0 && state_of(board->pid[0]) != 'Z');
        nap(0.002);
    }
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
}

/* Siblings before and after the daemon, made by plain fork() and by start: none holds its
 * lifeline. */
static int have_siblings(void *arg)
{
    (void)arg;
    CHECK(start(live_on, 1, MP_YES) == 0);
    if (fork() == 0)
        live_on(SLOT(2));
    CHECK(start(live_on, 3, MP_NO) == 0);
    CHECK(start(live_on, 0, MP_YES) == 0);
    if (fork() == 0)
        live_on(SLOT(4));
    CHECK(start(live_on, 5, MP_NO) == 0);
    CHECK(await(&board->pid[2]) && await(&board->pid[4]));
    atomic_store(&board->flag[1], 1);
    return live_on(SLOT(6));
}

static void siblings_do_not_keep_a_daemon_alive(void **state)
{
    (void)state;
    pid_t program = child_start(have_siblings, NULL);
    assert_true(await(&board->flag[1]));
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(child_end(board->pid[1]), -SIGKILL);
    for (int i = 2; i <= 5; i++) {
        assert_int_equal(waitpid(board->pid[i], NULL, WNOHANG), 0);
        assert_int_equal(child_kill(board->pid[i]), -SIGKILL);
    }
}

/* A daemon's own plainly forked child is neither killed with the daemon's parent nor keeps
 * anything. */
static int fork_plainly(void *arg)
{
    if (fork() == 0)
        live_on(SLOT(1));
    return live_on(arg);
}

static int keep_forking_daemon(void *arg)
{
    (void)arg;
    CHECK(start(fork_plainly, 0, MP_YES) == 0);
    return live_on(SLOT(2));
}

static void plain_children_of_a_daemon_live_on(void **state)
{
    (void)state;
    pid_t program = child_start(keep_forking_daemon, NULL);
    assert_true(await(&board->pid[1]) && await(&board->pid[2]));
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(waitpid(board->pid[1], NULL, WNOHANG), 0);
    assert_int_equal(child_kill(board->pid[1]), -SIGKILL);
}

/* The flag goes down the generations, and death with it. */
static int daemon_with_child(void *arg)
{
    (void)arg;
    mp_process *p, *not_daemon;
    CHECK(mp_process_new(&p, .target = live_on, .arg = SLOT(0)) == 0);
    CHECK(mp_process_daemon(p) && mp_process_daemon(mp_current_process()));
    CHECK(mp_process_new(&not_daemon, .daemon = MP_NO) == 0);
    CHECK(!mp_process_daemon(not_daemon));
    CHECK(mp_process_start(p) == 0);
    return live_on(SLOT(1));
}

static int keep_daemon_with_child(void *arg)
{
    (void)arg;
    mp_process *p;
    CHECK(mp_process_new(&p, .target = daemon_with_child, .daemon = true) == 0);
    CHECK(!mp_process_daemon(mp_current_process()));
    CHECK(mp_process_start(p) == 0);
    return live_on(SLOT(2));
}

static void daemons_inherit_the_flag(void **state)
{
    (void)state;
    pid_t program = child_start(keep_daemon_with_child, NULL);
    for (int i = 0; i < 3; i++)
        assert_true(await(&board->pid[i]));
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[1]), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
}

/* Killed again and again while it starts daemons, at no chosen moment: none is left. */
static int start_many(void *arg)
{
    (void)arg;
    for (;;) {
        mp_process *p;
        CHECK(mp_process_new(&p, .target = live_on, .arg = SLOT(0), .daemon = true) == 0);
        CHECK(mp_process_start(p) == 0);
        atomic_fetch_add(&board->flag[1], 1);
    }
}

static void none_is_left_by_a_parent_killed_while_it_starts_them(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        atomic_store(&board->flag[1], 0);
        pid_t program = child_start(start_many, NULL);
        assert_true(await(&board->flag[1]));
        nap(round * 0.0003);
        assert_int_equal(child_kill(program), -SIGKILL);
        int status;
        while (waitpid(-1, &status, 0) > 0) /* all orphans are ours: this ends when they do */
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == EXIT_FAILURE);
        assert_int_equal(errno, ECHILD);
    }
}

static int start_and_die(void *arg)
{
    (void)arg;
    mp_process *p;
    CHECK(mp_process_new(&p, .target = live_on, .arg = SLOT(0), .daemon = true) == 0);
    CHECK(mp_process_start(p) == 0);
    return raise(SIGKILL);
}

/* Its gate is open, but it may not have taken hold of its lifeline yet. */
static void none_is_left_by_a_parent_that_dies_right_after_its_start(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        assert_int_equal(child_end(child_start(start_and_die, NULL)), -SIGKILL);
        while (waitpid(-1, NULL, 0) > 0)
            continue;
        assert_int_equal(errno, ECHILD);
    }
}

static int end_at_once(void *arg)
{
    (void)arg;
    alarm(240);
    return 0;
}

static int start_many_others(void *arg)
{
    (void)arg;
    for (;;) {
        mp_process *p;
        CHECK(mp_process_new(&p, .target = end_at_once) == 0);
        CHECK(mp_process_start(p) == 0);
        atomic_fetch_add(&board->flag[1], 1);
    }
}

/* A child that its parent has made, and did not live to let go on, does not wait for ever. */
static void none_waits_for_a_parent_killed_while_it_starts_it(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        atomic_store(&board->flag[1], 0);
        pid_t program = child_start(start_many_others, NULL);
        assert_true(await(&board->flag[1]));
        nap(round * 0.00013);
        assert_int_equal(child_kill(program), -SIGKILL);
        while (waitpid(-1, NULL, 0) > 0) /* all orphans are ours: this ends when they do */
            continue;
        assert_int_equal(errno, ECHILD);
    }
}

static int tie_all(void *arg)
{
    (void)arg;
    mp__process_tie_children(); /* as pool workers do */
    CHECK(start(live_on, 0, MP_NO) == 0);
    return live_on(SLOT(1));
}

static int tie_all_and_exit(void *arg)
{
    (void)arg;
    mp__process_tie_children();
    CHECK(start(polite, 2, MP_NO) == 0);
    exit(0);
}

static void a_process_may_tie_all_its_children(void **state)
{
    (void)state;
    pid_t program = child_start(tie_all, NULL);
    assert_true(await(&board->pid[1]));
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(child_end(child_start(tie_all_and_exit, NULL)), 0);
    assert_int_equal(board->flag[0], SIGTERM);
}

static int plain_child_exits(void *arg)
{
    (void)arg;
    CHECK(start(polite, 0, MP_YES) == 0);
    CHECK(start(say_late, 1, MP_NO) == 0);
    pid_t pid = fork();
    if (pid == 0)
        exit(0); /* runs our atexit handler, too: these are not its children */
    CHECK(child_end(pid) == 0);
    CHECK(board->flag[0] == 0);
    CHECK(state_of(board->pid[0]) != 'Z' && state_of(board->pid[1]) != 'Z');
    atomic_store(&board->flag[2], 1);
    exit(0);
}

static void a_plain_childs_exit_leaves_its_siblings_alone(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(plain_child_exits, NULL)), 0);
    assert_int_equal(board->flag[0], SIGTERM);
    assert_int_equal(board->flag[3], 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(daemon_ends_when_its_parent_is_killed),
        T(daemon_ends_when_its_parent_is_terminated),
        T(daemon_ends_at_underscore_exit),
        T(daemon_ends_at_execve),
        T(daemon_gets_sigterm_at_exit),
        T(daemon_gets_sigkill_after_the_grace_period),
        T(others_are_joined_at_exit),
        T(daemon_outlives_the_thread_that_started_it),
        T(siblings_do_not_keep_a_daemon_alive),
        T(plain_children_of_a_daemon_live_on),
        T(daemons_inherit_the_flag),
        T(none_is_left_by_a_parent_killed_while_it_starts_them),
        T(none_is_left_by_a_parent_that_dies_right_after_its_start),
        T(none_waits_for_a_parent_killed_while_it_starts_it),
        T(a_process_may_tie_all_its_children),
        T(a_plain_childs_exit_leaves_its_siblings_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
