/* SPDX-License-Identifier: MIT */
/* Death in a pool: of workers in every way, of the supervisor, and of items that take too long. */
#include "support/pools.h"

#include <sys/resource.h>

/* How an item ends its worker. */
enum way { LIVES, EXIT_0, EXIT_3, UNDERSCORE, ABORTS, KILLED, FAULTS, TERMINATED, FAILS };

static void no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handlers would turn it into an exit */
    signal(SIGABRT, SIG_DFL);
}

static int end_somehow(const void *in, void *out, void *context)
{
    (void)context;
    no_core();
    switch (*(const int *)in) {
    case EXIT_0:
        exit(0);
    case EXIT_3:
        exit(3);
    case UNDERSCORE:
        _exit(200);
    case ABORTS:
        abort();
    case KILLED:
        raise(SIGKILL);
        break;
    case FAULTS:
        raise(SIGSEGV);
        break;
    case TERMINATED:
        raise(SIGTERM);
        break;
    case FAILS:
        return -4;
    }
    *(int *)out = getpid();
    return 0;
}

static const struct {
    int code, signal, status;
} ends[] = {[LIVES] = {0, 0, 0},
            [EXIT_0] = {MP_ECRASHED, 0, 0},
            [EXIT_3] = {MP_ECRASHED, 0, 3},
            [UNDERSCORE] = {MP_ECRASHED, 0, 200},
            [ABORTS] = {MP_ECRASHED, SIGABRT, 0},
            [KILLED] = {MP_ECRASHED, SIGKILL, 0},
            [FAULTS] = {MP_ECRASHED, SIGSEGV, 0},
            [TERMINATED] = {MP_ECRASHED, SIGTERM, 0},
            [FAILS] = {MP_ETASK, 0, 0}};

static void every_way_to_die(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int way = LIVES; way <= FAILS; way++) {
        int out = -1;
        mp_task_error error;
        int rc = mp_pool_apply(pool, end_somehow, &way, sizeof way, &out, sizeof out, LONG);
        assert_int_equal(rc, ends[way].code);
        assert_int_equal(mp_last_task_error(&error), way != LIVES);
        if (way == LIVES)
            continue;
        assert_int_equal(out, -1);
        assert_int_equal(error.code, rc);
        assert_int_equal(error.signal, ends[way].signal);
        assert_int_equal(error.exit_status, ends[way].status);
        assert_true(error.worker > 0 && error.index == 0 && error.text[0] != '\0');
        if (way != FAILS)
            assert_int_equal(state_of(error.worker), 0); /* dead, reaped */
    }
    assert_int_equal(finish(pool), 0);
}

static void the_others_are_delivered(void **state)
{
    (void)state;
    enum { N = 400 };
    int in[N], out[N], live = LIVES;
    mp_task_error *errors = calloc(N, sizeof *errors), last;
    mp_pool *pool = make(3);
    for (int i = 0; i < N; i++) {
        in[i] = i % 40 == 17 ? 1 + i / 40 % FAILS : LIVES;
        out[i] = -1;
    }
    mp_job job = {.size = sizeof job,
                  .task = end_somehow,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = N,
                  .errors = errors};
    assert_int_equal(mp_pool_run(pool, &job, LONG), ends[in[17]].code);
    for (int i = 0; i < N; i++) {
        assert_int_equal(errors[i].code, ends[in[i]].code);
        assert_int_equal(errors[i].signal, ends[in[i]].signal);
        assert_int_equal(errors[i].exit_status, ends[in[i]].status);
        assert_true(in[i] == LIVES ? out[i] > 0 : out[i] == -1);
        assert_true(in[i] == LIVES || errors[i].index == (size_t)i);
    }
    assert_int_equal(mp_last_task_error(&last), 1);
    assert_memory_equal(&last, &errors[17], sizeof last);
    assert_int_equal(mp_pool_apply(pool, end_somehow, &live, sizeof live, out, sizeof *out, LONG),
                     0);
    assert_int_equal(mp_last_task_error(&last), 0); /* of the last call alone */
    free(errors);
    assert_int_equal(finish(pool), 0);
}

/* Kills its worker until it has been tried so often as its input says. */
static int die_at_first(const void *in, void *out, void *context)
{
    const int *tries = in;
    int nth = atomic_fetch_add(&((_Atomic int *)context)[tries[1]], 1);
    if (nth < tries[0])
        raise(SIGKILL);
    *(int *)out = nth;
    return 0;
}

static void retries(void **state)
{
    (void)state;
    static const int in[4][2] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};
    int out[4] = {-1, -1, -1, -1};
    mp_task_error error;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .retries = 2), 0);
    mp_job job = {.size = sizeof job,
                  .task = die_at_first,
                  .context = board->flag,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = 4};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ECRASHED);
    assert_true(out[0] == 0 && out[1] == 1 && out[2] == 2 && out[3] == -1);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_true(error.index == 3 && error.signal == SIGKILL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(atomic_exchange(&board->flag[i], 0), i + 1 > 3 ? 3 : i + 1);
    job.retries = MP_NO; /* none, whatever the pool's */
    job.in = in[1];
    job.count = 1;
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ECRASHED);
    assert_int_equal(atomic_exchange(&board->flag[1], 0), 1);
    job.retries = 3;
    job.in = in[3];
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(out[0], 3);
    assert_int_equal(finish(pool), 0);
}

static void an_idle_worker_that_dies_costs_nothing(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int pid = 0, next = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
        until_asleep(pid);
        kill(pid, SIGKILL);
        assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &next, sizeof next, LONG), 0);
        assert_true(next != pid);
    }
    assert_int_equal(finish(pool), 0);
}

static void a_stopped_worker_goes_on(void **state)
{
    (void)state;
    enum { N = 2000 };
    long in[N], out[N];
    int pid = 0;
    count_up(in, N);
    mp_pool *pool = make(2);
    for (int i = 0; i < 20; i++) {
        mp_result *r;
        assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
        kill(pid, SIGSTOP);
        assert_int_equal(mp_pool_map_async(pool, &r, square, in, sizeof *in, sizeof *out, N), 0);
        int rc = mp_result_wait(r, 0.01);
        assert_true(rc == 0 || rc == MP_ETIMEDOUT);
        kill(pid, SIGCONT);
        assert_int_equal(mp_result_get(r, out, sizeof out, LONG), 0);
        assert_int_equal(out[N - 1], (N - 1) * (N - 1));
        mp_result_free(r);
    }
    kill(pid, SIGSTOP); /* nor does one hold up the end by force */
    assert_int_equal(mp_pool_terminate(pool), 0);
    mp_pool_free(pool);
}

/* Item 5 of ten never ends by itself. */
static int linger(const void *in, void *out, void *context)
{
    (void)context;
    if (*(const int *)in == 5)
        for (;;)
            pause();
    *(int *)out = *(const int *)in;
    return 0;
}

static void time_limits(void **state)
{
    (void)state;
    int in[10], out[10], idle = 0, again = 0;
    mp_task_error errors[10];
    mp_pool *pool;
    for (int i = 0; i < 10; i++)
        in[i] = i, out[i] = -1;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .task_timeout = 0.1, .retries = 5), 0);
    mp_job job = {.size = sizeof job,
                  .task = linger,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = 10,
                  .errors = errors};
    double begin = seconds();
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ETASKTIMEOUT);
    assert_true(seconds() - begin >= 0.1); /* once: it is not tried again */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(errors[i].code, i == 5 ? MP_ETASKTIMEOUT : 0);
        assert_int_equal(out[i], i == 5 ? -1 : i);
    }
    assert_true(errors[5].worker > 0 && errors[5].text[0] != '\0');
    /* An idle worker is not killed, however long it idles. */
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &idle, sizeof idle, LONG), 0);
    nap(0.3);
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &again, sizeof again, LONG), 0);
    assert_int_equal(again, idle);
    job.time_limit = 0.02; /* a job's own is the one that counts */
    begin = seconds();
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ETASKTIMEOUT);
    assert_true(seconds() - begin >= 0.02);
    assert_int_equal(finish(pool), 0);
}

static int nap_for(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    nap(*(const double *)in);
    return 0;
}

/* Items that end about when their time does: killed or not, the next one is never blamed. */
static void limits_hit_the_right_item(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    double in[2] = {0.0101, 0};
    for (int i = 0; i < 40; i++) {
        mp_result *slow, *quick;
        mp_job job = {.size = sizeof job,
                      .task = nap_for,
                      .in = &in[0],
                      .in_size = sizeof *in,
                      .count = 1,
                      .time_limit = 0.0104 + 0.00005 * (i % 10)};
        assert_int_equal(mp_pool_submit(pool, &slow, &job), 0);
        job.in = &in[1];
        job.time_limit = LONG;
        assert_int_equal(mp_pool_submit(pool, &quick, &job), 0);
        int rc = mp_result_get(slow, NULL, 0, LONG);
        assert_true(rc == 0 || rc == MP_ETASKTIMEOUT);
        assert_int_equal(mp_result_get(quick, NULL, 0, LONG), 0);
        mp_result_free(slow);
        mp_result_free(quick);
    }
    assert_int_equal(finish(pool), 0);
}

/* Returns the pids of the pool's two workers, which are busy then. */
static void occupy(mp_pool *pool, mp_result *busy[2])
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_pool_apply_async(pool, &busy[i], held, &i, sizeof i, sizeof i), 0);
        assert_true(await(&board->pid[i]));
    }
}

static void kill_supervisor(bool worker_too, bool stopped)
{
    mp_pool *pool = make(2);
    pid_t supervisor = supervisor_of(pool);
    mp_result *busy[2], *queued, *refused;
    mp_task_error error;
    occupy(pool, busy);
    assert_int_equal(mp_pool_map_async(pool, &queued, nothing, NULL, 0, 0, 10), 0);
    if (stopped)
        kill(board->pid[0], SIGSTOP);
    kill(supervisor, SIGKILL);
    if (worker_too)
        kill(board->pid[0], SIGKILL);
    double begin = seconds();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_result_get(busy[i], NULL, 0, LONG), MP_ECRASHED);
        assert_true(await_death(board->pid[i]));
    }
    assert_int_equal(mp_result_get(queued, NULL, 0, LONG), MP_ECRASHED);
    assert_true(seconds() - begin < LONG / 2);
    assert_int_equal(mp_result_error(queued, &error), 1);
    assert_true(error.code == MP_ECRASHED && error.index == 0 && error.text[0] != '\0');
    assert_int_equal(mp_pool_apply_async(pool, &refused, nothing, NULL, 0, 0), MP_ESTATE);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, NULL, 0, 3), MP_ESTATE);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_pool_free(pool);
    for (int i = 0; i < 2; i++)
        mp_result_free(busy[i]);
    mp_result_free(queued);
}

static void the_supervisor_is_killed(void **state)
{
    (void)state;
    kill_supervisor(false, false);
}

static void supervisor_and_worker_are_killed_at_once(void **state)
{
    (void)state;
    kill_supervisor(true, false);
}

static void the_supervisor_is_killed_beside_a_stopped_worker(void **state)
{
    (void)state;
    kill_supervisor(false, true);
}

static void a_killed_supervisor_of_an_idle_pool(void **state)
{
    (void)state;
    mp_pool *pool = make(3);
    kill(supervisor_of(pool), SIGKILL);
    int rc;
    while ((rc = mp_pool_join(pool, LONG)) == MP_ESTATE) /* not noticed yet */
        nap(0.001);
    assert_int_equal(rc, 0);
    mp_pool_free(pool);
    pool = make(3);
    kill(supervisor_of(pool), SIGKILL);
    mp_pool_free(pool);
}

static void a_stopped_supervisor_does_not_hold_up_the_end(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    mp_result *busy[2];
    kill(supervisor_of(pool), SIGSTOP);
    occupy(pool, busy);
    assert_int_equal(mp_pool_join(pool, 0), MP_ESTATE);
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(mp_result_get(busy[0], NULL, 0, 0), MP_ECANCELED);
    mp_pool_free(pool);
    mp_result_free(busy[0]);
    mp_result_free(busy[1]);
}

static int fork_and_return(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    if (fork() != 0)
        *(int *)out = getpid();
    return 0;
}

static void a_fork_that_returns_is_no_second_worker(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int in[50] = {0}, out[50];
    assert_int_equal(MP_MAP(pool, fork_and_return, in, out, 50), 0);
    for (int i = 1; i < 50; i++)
        assert_int_equal(out[i], out[0]);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(every_way_to_die),
        POOL_TEST(the_others_are_delivered),
        POOL_TEST(retries),
        POOL_TEST(an_idle_worker_that_dies_costs_nothing),
        POOL_TEST(a_stopped_worker_goes_on),
        POOL_TEST(time_limits),
        POOL_TEST(limits_hit_the_right_item),
        POOL_TEST(the_supervisor_is_killed),
        POOL_TEST(supervisor_and_worker_are_killed_at_once),
        POOL_TEST(the_supervisor_is_killed_beside_a_stopped_worker),
        POOL_TEST(a_killed_supervisor_of_an_idle_pool),
        POOL_TEST(a_stopped_supervisor_does_not_hold_up_the_end),
        POOL_TEST(a_fork_that_returns_is_no_second_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
