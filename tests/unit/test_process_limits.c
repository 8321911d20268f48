/* SPDX-License-Identifier: MIT */
/* Processes at the limits of the system: descriptors and processes run out, descriptors are
 * closed by others, privileges are given up. */
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static int run_child(int value, int daemon)
{
    mp_process *p;
    CHECK(mp_process_new(&p, .target = give_back, .arg = SLOT(value), .daemon = daemon) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    CHECK(mp_process_exitcode(p) == value);
    CHECK(mp_process_free(p) == 0);
    return 0;
}

static int use_a_hundred(void *arg)
{
    (void)arg;
    CHECK(run_child(1, MP_YES) == 0); /* what is kept for good is made */
    int before = open_descriptors();
    for (int round = 0; round < 2; round++) {
        mp_process *p[50];
        for (int i = 0; i < 50; i++) {
            CHECK(mp_process_new(&p[i], .target = give_back, .daemon = round ? MP_YES : MP_NO) ==
                  0);
            CHECK(mp_process_start(p[i]) == 0);
        }
        for (int i = 0; i < 50; i++)
            CHECK(mp_process_join(p[i], LONG) == 0);
        CHECK(open_descriptors() == before + 50); /* one for each */
        for (int i = 0; i < 50; i++)
            CHECK(mp_process_free(p[i]) == 0);
    }
    CHECK(open_descriptors() == before);
    return 0;
}

static void no_descriptor_is_left(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(use_a_hundred, NULL)), 0);
}

/* What is open in a child that should not be: everything of its parent's processes. */
static int count_inherited(void *arg)
{
    const int *expected = arg;
    int now = open_descriptors();
    if (now != *expected)
        fprintf(stderr, "child: %d descriptors instead of %d\n", now, *expected);
    return now == *expected ? 0 : 1;
}

static int start_counters(void *arg)
{
    (void)arg;
    static int expected;
    mp_init();
    expected = open_descriptors();
    mp_process *p[4];
    for (int i = 0; i < 4; i++) {
        CHECK(mp_process_new(&p[i], .target = i < 2 ? live_on : count_inherited,
                             .arg = i < 2 ? SLOT(i) : &expected,
                             .daemon = i % 2 ? MP_YES : MP_NO) == 0);
        CHECK(mp_process_start(p[i]) == 0);
        expected += i == 2; /* a daemon holds its lifeline */
    }
    CHECK(mp_process_join(p[2], LONG) == 0 && mp_process_exitcode(p[2]) == 0);
    CHECK(mp_process_join(p[3], LONG) == 0 && mp_process_exitcode(p[3]) == 0);
    expected--;
    CHECK(child_end(child_start(count_inherited, &expected)) == 0); /* a plain fork() */
    CHECK(mp_process_kill(p[0]) == 0 && mp_process_kill(p[1]) == 0);
    return mp_process_join(p[0], LONG) == 0 && mp_process_join(p[1], LONG) == 0 ? 0 : 1;
}

static void children_inherit_no_descriptor(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* without pidfd there is one more */
    assert_int_equal(child_end(child_start(start_counters, NULL)), 0);
}

/* Lets one more descriptor exist at a time, until a start succeeds. */
static int run_out_of_descriptors(void *arg)
{
    mp_process *p;
    struct rlimit limit;
    CHECK(mp_init() == 0);
    CHECK(mp_process_new(&p, .target = give_back, .arg = SLOT(5), .daemon = arg ? MP_YES : MP_NO) ==
          0);
    getrlimit(RLIMIT_NOFILE, &limit);
    int before = open_descriptors(), rc = 0, failures = 0;
    for (rlim_t most = 3; most < 100; most++) {
        limit.rlim_cur = most;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        rc = mp_process_start(p);
        if (rc == 0)
            break;
        CHECK(rc == MP_ESYS(EMFILE));
        CHECK(mp_process_pid(p) == 0 && mp_process_join(p, 0) == MP_ESTATE);
        CHECK(mp_active_children(NULL, 0) == 0);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); /* no child was left */
        failures++;
    }
    CHECK(rc == 0 && failures > 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(mp_process_join(p, LONG) == 0 && mp_process_exitcode(p) == 5);
    CHECK(mp_process_free(p) == 0);
    CHECK(open_descriptors() == before + (arg ? 2 : 0)); /* the one pipe of this process */
    return 0;
}

static void out_of_descriptors(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it takes descriptors for itself */
    assert_int_equal(child_end(child_start(run_out_of_descriptors, NULL)), 0);
    assert_int_equal(child_end(child_start(run_out_of_descriptors, SLOT(1))), 0);
}

#define SOMEBODY 54321 /* a user id that no process here has */

static int run_out_of_processes(void *arg)
{
    (void)arg;
    mp_process *p;
    struct rlimit limit = {1, 1}; /* the program itself */
    CHECK(mp_init() == 0);
    CHECK(mp_process_new(&p, .target = give_back, .arg = SLOT(5), .daemon = true) == 0);
    CHECK(run_child(1, MP_YES) == 0);
    CHECK(setgid(SOMEBODY) == 0 && setuid(SOMEBODY) == 0);
    struct rlimit before;
    getrlimit(RLIMIT_NPROC, &before);
    limit.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    int descriptors = open_descriptors();
    for (int i = 0; i < 10; i++) {
        CHECK(mp_process_start(p) == MP_ESYS(EAGAIN));
        CHECK(mp_process_pid(p) == 0 && mp_process_exitcode(p) == MP_NO_EXITCODE);
    }
    CHECK(open_descriptors() == descriptors);
    limit.rlim_cur = 2;
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0 && mp_process_exitcode(p) == 5);
    CHECK(mp_process_free(p) == 0);
    CHECK(open_descriptors() == descriptors);
    return 0;
}

static void out_of_processes(void **state)
{
    (void)state;
    if (getuid() != 0 || getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* the limit counts all processes of a user; and valgrind's files are root's */
    assert_int_equal(child_end(child_start(run_out_of_processes, NULL)), 0);
}

static int start_daemon(int slot)
{
    mp_process *p;
    CHECK(mp_process_new(&p, .target = live_on, .arg = SLOT(slot), .daemon = true) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(await(&board->pid[slot]));
    return 0;
}

/* The pipe that was made before belongs to another user now. */
static int give_up_privileges(void *arg)
{
    (void)arg;
    CHECK(start_daemon(0) == 0);
    CHECK(setgid(SOMEBODY) == 0 && setuid(SOMEBODY) == 0);
    CHECK(start_daemon(1) == 0);
    int before = open_descriptors();
    CHECK(run_child(3, MP_YES) == 0);
    CHECK(open_descriptors() == before);
    if (fork() == 0)
        live_on(SLOT(2)); /* keeps neither alive */
    CHECK(await(&board->pid[2]));
    return live_on(SLOT(3));
}

static void daemons_of_a_program_that_gave_up_privileges(void **state)
{
    (void)state;
    if (getuid() != 0 || getenv("MP_TEST_VALGRIND") != NULL)
        skip();
    pid_t program = child_start(give_up_privileges, NULL);
    assert_true(await(&board->pid[3]));
    assert_int_equal(child_kill(program), -SIGKILL);
    assert_int_equal(child_end(board->pid[0]), -SIGKILL);
    assert_int_equal(child_end(board->pid[1]), -SIGKILL);
    assert_int_equal(child_kill(board->pid[2]), -SIGKILL);
}

/* Closes all there is and puts files of its own in their places. */
static int replace_descriptors(void)
{
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    FILE *f = tmpfile();
    CHECK(f != NULL);
    CHECK(fileno(f) == 3);
    for (int fd = 4; fd < 40; fd++)
        CHECK(dup(3) == fd);
    return 0;
}

static bool all_there(void)
{
    struct stat first, other;
    if (fstat(3, &first) != 0 || first.st_size != 0)
        return false;
    for (int fd = 4; fd < 40; fd++)
        if (fstat(fd, &other) != 0 || other.st_ino != first.st_ino || other.st_dev != first.st_dev)
            return false;
    return true;
}

static int close_all_descriptors(void *arg)
{
    (void)arg;
    mp_process *p[3];
    for (int i = 0; i < 3; i++) {
        CHECK(mp_process_new(&p[i], .target = i == 2 ? give_back : live_on, .arg = SLOT(i)) == 0);
        CHECK(mp_process_start(p[i]) == 0);
    }
    CHECK(run_child(4, MP_YES) == 0); /* there is a lifeline */
    CHECK(await_death(mp_process_pid(p[2])));
    CHECK(replace_descriptors() == 0);
    CHECK(mp_process_is_alive(p[0]));
    CHECK(mp_process_join(p[0], 0.01) == MP_ETIMEDOUT);
    CHECK(mp_process_kill(p[0]) == 0);
    CHECK(mp_process_join(p[0], LONG) == 0 && mp_process_exitcode(p[0]) == -SIGKILL);
    CHECK(mp_process_free(p[0]) == 0);
    CHECK(mp_process_join(p[2], LONG) == 0 && mp_process_exitcode(p[2]) == 2);
    struct pollfd sentinel = {.fd = mp_process_sentinel(p[2]), .events = POLLIN};
    CHECK(sentinel.fd >= 40 && poll(&sentinel, 1, 0) == 1);
    CHECK(mp_process_free(p[2]) == 0);
    CHECK(run_child(5, MP_YES) == 0);
    CHECK(run_child(6, MP_NO) == 0);
    CHECK(all_there());
    CHECK(mp_process_sentinel(p[1]) >= 40); /* made anew */
    CHECK(mp_process_kill(p[1]) == 0);
    CHECK(all_there());
    exit(0); /* joins it */
}

static void a_program_may_close_all_descriptors(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it has no pidfd to make anew */
    assert_int_equal(child_end(child_start(close_all_descriptors, NULL)), 0);
}

static int close_stdio(void *arg)
{
    (void)arg;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    mp_process *p;
    CHECK(mp_process_new(&p, .target = live_on, .daemon = true) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_sentinel(p) > 2);
    CHECK(fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1);
    CHECK(mp_process_kill(p) == 0);
    return mp_process_join(p, LONG) == 0 ? 0 : 1;
}

static void closed_standard_streams_stay_closed(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(close_stdio, NULL)), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(no_descriptor_is_left),
        T(children_inherit_no_descriptor),
        T(out_of_descriptors),
        T(out_of_processes),
        T(daemons_of_a_program_that_gave_up_privileges),
        T(a_program_may_close_all_descriptors),
        T(closed_standard_streams_stay_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
