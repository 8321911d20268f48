/* SPDX-License-Identifier: MIT */
/* Pools and signals: programs that handle or ignore SIGCHLD, or wait by themselves; Ctrl-C; and
 * programs that end in every way, after which nothing of the pool is left. */
#include "support/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A few rounds of work with deaths in them; for programs. */
static int use_a_pool(void)
{
    long in[200], out[200];
    count_up(in, 200);
    for (int round = 0; round < 5; round++) {
        mp_pool *pool;
        int pid = 0;
        CHECK(mp_pool_new(&pool, .processes = 2) == 0);
        CHECK(MP_MAP(pool, square, in, out, 200) == 0);
        CHECK(out[199] == 199 * 199);
        CHECK(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG) == 0);
        kill(pid, SIGKILL);
        CHECK(MP_MAP(pool, square, in, out, 200) == 0);
        if (round % 2 != 0)
            mp_pool_free(pool);
        else
            CHECK(finish(pool) == 0);
    }
    return 0;
}

static int ignore_sigchld(void *arg)
{
    (void)arg;
    signal(SIGCHLD, SIG_IGN);
    return use_a_pool();
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
    signal(SIGCHLD, reap_all);
    return use_a_pool();
}

static void *wait_always(void *arg)
{
    while (!atomic_load(&board->flag[0]))
        if (wait(NULL) < 0)
            poll(NULL, 0, 1);
    return arg;
}

static int wait_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_always, NULL) == 0);
    int rc = use_a_pool();
    atomic_store(&board->flag[0], 1);
    pthread_join(thread, NULL);
    return rc;
}

/* wait() in the program never meets a helper. */
static int wait_beside_a_pool(void *arg)
{
    (void)arg;
    mp_pool *pool;
    int pid = 0;
    CHECK(mp_pool_new(&pool, .processes = 2) == 0);
    for (int i = 0; i < 20; i++) {
        pid_t own = fork();
        if (own == 0)
            _exit(7);
        CHECK(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG) == 0);
        kill(pid, SIGKILL);
        int status = 0;
        CHECK(wait(&status) == own && WEXITSTATUS(status) == 7);
        CHECK(wait(NULL) == -1 && errno == ECHILD);
    }
    mp_pool_free(pool);
    CHECK(wait(NULL) == -1 && errno == ECHILD);
    return 0;
}

static int block_everything(void *arg)
{
    (void)arg;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return use_a_pool();
}

static void programs_with_their_own_ideas(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(ignore_sigchld, NULL)), 0);
    assert_int_equal(child_end(child_start(handle_sigchld, NULL)), 0);
    assert_int_equal(child_end(child_start(wait_in_a_thread, NULL)), 0);
    assert_int_equal(child_end(child_start(wait_beside_a_pool, NULL)), 0);
    assert_int_equal(child_end(child_start(block_everything, NULL)), 0);
}

/* ---- the program's end ---- */

/* A task with a child of its own, both for ever. */
static int live_with_child(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    mp_process *p;
    if (mp_process_new(&p, .target = live_on, .arg = SLOT(1), .daemon = MP_NO) < 0 ||
        mp_process_start(p) < 0)
        return -1;
    return live_on(SLOT(0));
}

/* So does a pool of the task's own. */
static int live_with_pool(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    mp_pool *pool;
    mp_result *r;
    int i = 2;
    if (mp_pool_new(&pool, .processes = 1) < 0)
        return -1;
    atomic_store(&board->pid[3], supervisor_of(pool));
    if (mp_pool_apply_async(pool, &r, held, &i, sizeof i, 0) < 0)
        return -1;
    return mp_result_wait(r, MP_FOREVER);
}

enum { RETURN, EXIT, BY_SIGNAL, ABORT, EXECVE, UNDERSCORE_EXIT };

static int leave(int how)
{
    switch (how) {
    case RETURN:
    case EXIT: /* child_start() would skip the exit handlers, which main's return runs */
        exit(9);
    case ABORT:
        signal(SIGABRT, SIG_DFL);
        abort();
    case EXECVE:
        execl("/bin/true", "true", (char *)NULL);
        return 1;
    case UNDERSCORE_EXIT:
        _exit(9);
    }
    return live_on(SLOT(5));
}

static int end_with_work(void *arg)
{
    mp_pool *pool;
    mp_result *a, *b, *c;
    CHECK(mp_pool_new(&pool, .processes = 3) == 0);
    atomic_store(&board->pid[4], supervisor_of(pool));
    CHECK(mp_pool_apply_async(pool, &a, live_with_child, NULL, 0, 0) == 0);
    CHECK(mp_pool_apply_async(pool, &b, live_with_pool, NULL, 0, 0) == 0);
    CHECK(mp_pool_map_async(pool, &c, nothing, NULL, 0, 0, 1000) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(await(&board->pid[i]));
    atomic_store(&board->flag[7], 1);
    return leave((int)(intptr_t)arg);
}

static void ends(int how, int number, int expected)
{
    memset(board, 0, sizeof *board);
    pid_t program = child_start(end_with_work, (void *)(intptr_t)how);
    assert_true(await(&board->flag[7]));
    if (how == BY_SIGNAL) {
        assert_true(await(&board->pid[5]));
        kill(program, number);
    }
    assert_int_equal(child_end(program), expected);
    double begin = seconds();
    for (int i = 0; i < 5; i++)
        assert_true(await_death(board->pid[i]));
    assert_true(no_children_left());
    if (seconds() - begin > 5)
        fail_msg("it took %g s", seconds() - begin);
}

static void nothing_outlives_the_program(void **state)
{
    (void)state;
    ends(EXIT, 0, 9);
    ends(UNDERSCORE_EXIT, 0, 9);
    ends(BY_SIGNAL, SIGTERM, -SIGTERM);
    ends(BY_SIGNAL, SIGKILL, -SIGKILL);
    ends(BY_SIGNAL, SIGHUP, -SIGHUP);
    ends(ABORT, 0, -SIGABRT);
    ends(EXECVE, 0, 0);
}

static void children_end_with_their_worker(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *a, *b;
    assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
    assert_int_equal(mp_pool_apply_async(pool, &a, live_with_child, NULL, 0, 0), 0);
    assert_int_equal(mp_pool_apply_async(pool, &b, live_with_pool, NULL, 0, 0), 0);
    for (int i = 0; i < 4; i++)
        assert_true(await(&board->pid[i]));
    kill(board->pid[0], SIGKILL);
    assert_true(await_death(board->pid[1]));
    assert_int_equal(mp_result_get(a, NULL, 0, LONG), MP_ECRASHED);
    mp_pool_free(pool);
    assert_int_equal(mp_result_get(b, NULL, 0, LONG), MP_ECANCELED);
    assert_true(await_death(board->pid[2]) && await_death(board->pid[3]));
    mp_result_free(a);
    mp_result_free(b);
}

/* ---- Ctrl-C ---- */

static void interrupt(int number)
{
    (void)number;
    atomic_fetch_add(&board->flag[getpid() == board->pid[7] ? 6 : 4], 1);
    mp_interrupt();
}

static int decide(void *arg)
{
    setpgid(0, 0);
    atomic_store(&board->pid[7], getpid());
    signal(SIGINT, interrupt);
    dup2((int)(intptr_t)arg, STDERR_FILENO);
    dup2((int)(intptr_t)arg, STDOUT_FILENO);
    mp_pool *pool;
    int in[2] = {0, 1}, out[2] = {-1, -1}, pids[2] = {0, 0};
    if (mp_pool_new(&pool, .processes = 2) != 0)
        return 2;
    /* The interrupt reaches program, supervisor and workers: the program's call ends. */
    if (mp_pool_map(pool, held, in, sizeof *in, out, sizeof *out, 2) != MP_EINTR)
        return 3;
    release(0), release(1);
    pids[0] = board->pid[0];
    /* The same workers go on. */
    for (int i = 0; i < 100; i++) {
        if (mp_pool_apply(pool, own_pid, NULL, 0, &pids[1], sizeof *pids, LONG) != 0)
            return 4;
        if (pids[1] != board->pid[0] && pids[1] != board->pid[1])
            return 5;
    }
    if (finish(pool) != 0)
        return 6;
    return board->flag[6] == 1 && board->flag[4] == 0 ? 0 : 7; /* only the program's handler ran */
}

static void control_c_is_the_programs_to_decide(void **state)
{
    (void)state;
    int output[2];
    char text[256];
    assert_int_equal(pipe(output), 0);
    pid_t program = child_start(decide, (void *)(intptr_t)output[1]);
    close(output[1]);
    assert_true(await(&board->pid[0]) && await(&board->pid[1]));
    kill(-program, SIGINT);
    assert_int_equal(child_end(program), 0);
    assert_int_equal(read(output[0], text, sizeof text), 0); /* nobody has printed anything */
    close(output[0]);
}

/* An interrupt at any moment of a pool's making: no helper runs the program's handler, or dies. */
static int interrupted_while_making(void *arg)
{
    (void)arg;
    setpgid(0, 0);
    atomic_store(&board->pid[7], getpid());
    signal(SIGINT, interrupt);
    atomic_store(&board->pid[0], getpid());
    for (int i = getenv("MP_TEST_VALGRIND") != NULL ? 80 : 0; i < 100; i++) {
        mp_pool *pool;
        long in = 4, out = 0;
        CHECK(mp_pool_new(&pool, .processes = 1) == 0);
        int rc;
        while ((rc = mp_pool_apply(pool, square, &in, sizeof in, &out, sizeof out, LONG)) ==
               MP_EINTR)
            continue;
        CHECK(rc == 0 && out == 16);
        mp_pool_free(pool);
    }
    atomic_store(&board->pid[1], 1);
    CHECK(board->flag[6] > 0);
    CHECK(board->flag[4] == 0); /* in no other process */
    return 0;
}

static void interrupts_while_pools_are_made(void **state)
{
    (void)state;
    double apart = getenv("MP_TEST_VALGRIND") != NULL ? 0.02 : 0.0003;
    pid_t program = child_start(interrupted_while_making, NULL);
    assert_true(await(&board->pid[0]));
    while (board->pid[1] == 0 && state_of(program) != 'Z') {
        kill(-program, SIGINT);
        nap(apart);
    }
    assert_int_equal(child_end(program), 0);
}

static int disposition(const void *in, void *out, void *context)
{
    (void)context;
    struct sigaction action;
    sigset_t mask;
    sigaction(*(const int *)in, NULL, &action);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    *(int *)out = (action.sa_handler == SIG_IGN   ? 1
                   : action.sa_handler == SIG_DFL ? 2
                                                  : 3) +
                  (sigismember(&mask, *(const int *)in) ? 10 : 0);
    return 0;
}

static int dispositions_of(void *arg)
{
    (void)arg;
    static const int in[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE};
    int out[7];
    sigset_t some;
    signal(SIGTERM, interrupt);
    signal(SIGUSR1, interrupt);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_BLOCK, &some, NULL);
    mp_pool *pool;
    CHECK(mp_pool_new(&pool, .processes = 1) == 0);
    CHECK(MP_MAP(pool, disposition, in, out, 7) == 0);
    CHECK(out[0] == 1 && out[1] == 2 && out[2] == 1 && out[3] == 2 && out[4] == 2);
    CHECK(out[5] == 2 && out[6] == 1);
    /* The program's own are as they were. */
    struct sigaction action;
    sigset_t now;
    CHECK(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == interrupt);
    CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
    for (int number = 1; number < 32; number++)
        CHECK(sigismember(&now, number) == sigismember(&some, number));
    return finish(pool);
}

static void workers_have_plain_dispositions(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(dispositions_of, NULL)), 0);
}

/* The supervisor survives what a terminal or a service manager sends to everybody. */
static void the_supervisor_ignores_what_ends_programs(void **state)
{
    (void)state;
    mp_pool *pool;
    long in = 5, out = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    pid_t supervisor = supervisor_of(pool);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (int i = 0; i < 4; i++)
        kill(supervisor, numbers[i]);
    assert_int_equal(mp_pool_apply(pool, square, &in, sizeof in, &out, sizeof out, LONG), 0);
    assert_int_equal(supervisor_of(pool), supervisor);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(programs_with_their_own_ideas),
        POOL_TEST(nothing_outlives_the_program),
        POOL_TEST(children_end_with_their_worker),
        POOL_TEST(control_c_is_the_programs_to_decide),
        POOL_TEST(interrupts_while_pools_are_made),
        POOL_TEST(workers_have_plain_dispositions),
        POOL_TEST(the_supervisor_ignores_what_ends_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
