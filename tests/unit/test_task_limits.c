/* SPDX-License-Identifier: MIT */
/* Limits that a task sees: its deadline, its soft limit with and without a signal, and that nobody
 * wants it any more. */
#include "support/workers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- hard limits ---- */

static int time_left(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(double *)out = mp_task_time_left();
    return mp_task_overdue() ? -1 : 0;
}

static void deadlines(void **state)
{
    (void)state;
    enum { N = 20 };
    int in[N];
    double left[N];
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
    mp_job job = {.size = sizeof job,
                  .task = time_left,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = left,
                  .out_size = sizeof *left,
                  .count = N,
                  .time_limit = 1000};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    for (int i = 0; i < N; i++)
        assert_true(left[i] > 900 && left[i] <= 1000);
    job.time_limit = 0; /* and then none, in the same workers */
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    for (int i = 0; i < N; i++)
        assert_true(isinf(left[i]));
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .task_timeout = 500), 0);
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    for (int i = 0; i < N; i++)
        assert_true(left[i] > 400 && left[i] <= 500);
    assert_int_equal(finish(pool), 0);
}

/* ---- soft limits ---- */

/* Item 0 works until it is told; the others have time enough. */
static int until_overdue(const void *in, void *out, void *context)
{
    (void)context;
    double begin = seconds();
    bool waits = *(const int *)in == 0;
    if (mp_task_overdue() && !waits)
        return -1;
    while (waits && !mp_task_overdue() && seconds() < begin + LONG)
        nap(0.001);
    *(double *)out = seconds() - begin;
    return 0;
}

static void overdue(void **state)
{
    (void)state;
    int in[4] = {0, 1, 0, 3};
    double took[4];
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .soft_timeout = 0.2), 0);
    assert_int_equal(MP_MAP(pool, until_overdue, in, took, 4), 0);
    for (int i = 0; i < 4; i++)
        assert_true(i % 2 == 0 ? took[i] > 0.15 : took[i] < 0.2);
    mp_job job = {.size = sizeof job,
                  .task = until_overdue,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = took,
                  .out_size = sizeof *took,
                  .count = 4,
                  .soft_limit = 0.4};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_true(took[0] > 0.35 && took[2] > 0.35);
    assert_int_equal(finish(pool), 0);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static int prepare(void *arg)
{
    (void)arg;
    return signal(SIGUSR1, on_signal) == SIG_ERR ? -1 : 0;
}

/* Counts the signals that come until a while after its soft limit. */
static int count_signals(const void *in, void *out, void *context)
{
    (void)context;
    signals = 0;
    double end = seconds() + LONG;
    if (*(const int *)in == 0) {
        while (signals == 0 && seconds() < end)
            nap(0.001);
        if (!mp_task_overdue())
            return -1;
        nap(0.3); /* a second one would have come */
    }
    *(int *)out = signals;
    return 0;
}

static void signal_of_a_soft_limit(void **state)
{
    (void)state;
    int in[6] = {0, 1, 1, 0, 1, 0}, out[6];
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .initializer = prepare,
                                 .soft_timeout = 0.05, .soft_signal = SIGUSR1),
                     0);
    assert_int_equal(MP_MAP(pool, count_signals, in, out, 6), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(out[i], in[i] == 0);
    assert_int_equal(finish(pool), 0);
}

static int sleep_long(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    atomic_store(&board->pid[0], getpid());
    nap(LONG);
    return 0;
}

/* An unprepared worker dies of it; then the hard limit is not needed. */
static void unprepared(void **state)
{
    (void)state;
    mp_task_error error;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .soft_timeout = 0.05,
                                 .soft_signal = SIGUSR2, .task_timeout = LONG),
                     0);
    assert_int_equal(mp_pool_apply(pool, sleep_long, NULL, 0, NULL, 0, LONG), MP_ECRASHED);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_int_equal(error.signal, SIGUSR2);
    assert_string_equal(error.backtrace, "");
    assert_int_equal(finish(pool), 0);
}

/* The soft limit first, then the hard one. */
static void both(void **state)
{
    (void)state;
    mp_task_error error;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .initializer = prepare,
                                 .soft_timeout = 0.05, .soft_signal = SIGUSR1, .task_timeout = 0.3),
                     0);
    for (int i = 0; i < 3; i++) {
        double begin = seconds();
        assert_int_equal(mp_pool_apply(pool, sleep_long, NULL, 0, NULL, 0, LONG), MP_ETASKTIMEOUT);
        assert_int_equal(mp_last_task_error(&error), 1);
        assert_int_equal(error.signal, SIGKILL);
        assert_string_equal(error.backtrace, "");
        assert_true(seconds() - begin > 0.25);
    }
    assert_int_equal(finish(pool), 0);
}

/* Many short items at a limit that is about as long as they are: none is lost or killed. */
static int short_item(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    double end = seconds() + 0.001;
    while (seconds() < end)
        continue;
    *(int *)out = 1;
    return 0;
}

static void signals_between_items(void **state)
{
    (void)state;
    enum { N = 600 };
    int in[N], out[N] = {0};
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .initializer = prepare,
                                 .soft_timeout = 0.001, .soft_signal = SIGUSR1),
                     0);
    assert_int_equal(MP_MAP(pool, short_item, in, out, N), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(out[i], 1);
    assert_int_equal(finish(pool), 0);
}

static void bad_options(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .soft_timeout = -1), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .soft_timeout = (double)NAN), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .soft_signal = -1), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .soft_signal = 65), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    mp_job job = {.size = sizeof job, .task = nothing, .count = 1, .soft_limit = (double)NAN};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_EINVAL);
    job.soft_limit = -2;
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_EINVAL);
    job.soft_limit = HUGE_VAL; /* none */
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(finish(pool), 0);
}

/* ---- nobody wants it ---- */

static int until_unwanted(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    double end = seconds() + LONG;
    atomic_store(&board->flag[0], mp_task_canceled() ? 2 : 1);
    while (!mp_task_canceled() && seconds() < end)
        nap(0.001);
    atomic_store(&board->flag[1], mp_task_canceled() ? 1 : 2);
    return 0;
}

static void start(mp_pool *pool, mp_result **r)
{
    atomic_store(&board->flag[0], 0);
    atomic_store(&board->flag[1], 0);
    assert_int_equal(mp_pool_apply_async(pool, r, until_unwanted, NULL, 0, 0), 0);
    assert_int_equal(await(&board->flag[0]), 1);
}

static void unwanted(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    start(pool, &r);
    assert_int_equal(mp_result_wait(r, 0.05), MP_ETIMEDOUT); /* it is still wanted */
    assert_int_equal(board->flag[1], 0);
    mp_result_free(r);
    assert_int_equal(await(&board->flag[1]), 1);
    atomic_store(&board->flag[0], 0);
    atomic_store(&board->flag[1], 0);
    assert_int_equal(mp_pool_apply(pool, until_unwanted, NULL, 0, NULL, 0, 0.05), MP_ETIMEDOUT);
    assert_int_equal(await(&board->flag[1]), 1);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(deadlines),   POOL_TEST(overdue),  POOL_TEST(signal_of_a_soft_limit),
        POOL_TEST(unprepared),  POOL_TEST(both),     POOL_TEST(signals_between_items),
        POOL_TEST(bad_options), POOL_TEST(unwanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
