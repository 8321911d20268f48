/* SPDX-License-Identifier: MIT */
/* Results: waiting, getting, canceling, errors, and when they are freed. */
#include "support/pools.h"

#include <math.h>
#include <pthread.h>

static void get_is_repeatable(void **state)
{
    (void)state;
    long in[10], out[10] = {0}, again[10] = {0};
    mp_pool *pool = make(2);
    mp_result *r;
    count_up(in, 10);
    assert_int_equal(mp_pool_map_async(pool, &r, square, in, sizeof *in, sizeof *out, 10), 0);
    memset(in, 0xff, sizeof in); /* they were copied */
    assert_int_equal(mp_result_get(r, out, sizeof out, LONG), 0);
    assert_int_equal(mp_result_get(r, again, sizeof again, MP_NO_WAIT), 0);
    assert_int_equal(out[9], 81);
    assert_memory_equal(out, again, sizeof out);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
    /* Too small: nothing is delivered, and the result stays. */
    again[0] = -5;
    assert_int_equal(mp_result_get(r, again, sizeof again - 1, LONG), MP_EMSGSIZE);
    assert_int_equal(again[0], -5);
    assert_int_equal(mp_result_get(r, again, 2 * sizeof again, LONG), 0);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

static void states_of_a_result(void **state)
{
    (void)state;
    mp_task_error error;
    mp_pool *pool = make(1);
    mp_result *r = hold_running(pool, 1);
    int out = -1;
    assert_false(mp_result_ready(r));
    assert_false(mp_result_successful(r));
    assert_int_equal(mp_result_error(r, &error), MP_ESTATE);
    assert_int_equal(mp_result_wait(r, MP_NO_WAIT), MP_ETIMEDOUT);
    double begin = seconds();
    assert_int_equal(mp_result_wait(r, 0.05), MP_ETIMEDOUT);
    assert_int_equal(mp_result_get(r, &out, sizeof out, 0.05), MP_ETIMEDOUT);
    assert_true(seconds() - begin >= 0.1);
    assert_int_equal(out, -1);
    assert_int_equal(mp_result_cancel(r), MP_ESTATE); /* it has started, and goes on */
    release(1);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    assert_true(mp_result_ready(r) && mp_result_successful(r));
    assert_int_equal(mp_result_error(r, &error), 0);
    assert_int_equal(mp_result_get(r, &out, sizeof out, 0), 0);
    assert_int_equal(out, 1);
    assert_int_equal(mp_result_cancel(r), MP_ESTATE);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

static int count_run(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    atomic_fetch_add(&board->flag[*(const int *)in], 1);
    return 0;
}

static void cancel_before_it_starts(void **state)
{
    (void)state;
    mp_task_error error, errors[5];
    mp_pool *pool = make(1);
    mp_result *busy = hold_running(pool, 1), *one, *many, *after;
    int in[5] = {3, 3, 3, 3, 3};
    assert_int_equal(mp_pool_apply_async(pool, &one, count_run, in, sizeof *in, 0), 0);
    mp_job job = {.size = sizeof job,
                  .task = count_run,
                  .in = in,
                  .in_size = sizeof *in,
                  .count = 5,
                  .errors = errors};
    assert_int_equal(mp_pool_submit(pool, &many, &job), 0);
    assert_int_equal(mp_pool_apply_async(pool, &after, count_run, in, sizeof *in, 0), 0);
    assert_int_equal(mp_result_cancel(one), 0);
    assert_int_equal(mp_result_cancel(one), 0); /* again */
    assert_int_equal(mp_result_cancel(many), 0);
    assert_true(mp_result_ready(one) && !mp_result_successful(one)); /* at once */
    assert_int_equal(mp_result_get(one, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    assert_int_equal(mp_result_get(many, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    assert_int_equal(mp_result_error(many, &error), 1);
    assert_true(error.code == MP_ECANCELED && error.index == 0 && error.worker == 0);
    assert_true(error.text[0] != '\0');
    for (size_t i = 0; i < 5; i++)
        assert_true(errors[i].code == MP_ECANCELED && errors[i].index == i);
    release(1);
    assert_int_equal(mp_result_wait(after, LONG), 0);
    assert_int_equal(board->flag[3], 1); /* only the one that was not canceled */
    free_all((mp_result *[]){one, many, after, busy}, 4);
    assert_int_equal(finish(pool), 0);
}

static void apply_gives_up_after_its_timeout(void **state)
{
    (void)state;
    int i = 1, out = -1;
    mp_pool *pool = make(1);
    /* Started: it runs on, and its output is dropped. */
    double begin = seconds();
    assert_int_equal(mp_pool_apply(pool, held, &i, sizeof i, &out, sizeof out, 0.2), MP_ETIMEDOUT);
    assert_true(seconds() - begin >= 0.2);
    assert_true(await(&board->pid[1]));
    /* Not started: canceled. */
    i = 3;
    assert_int_equal(mp_pool_apply(pool, count_run, &i, sizeof i, NULL, 0, 0.05), MP_ETIMEDOUT);
    assert_int_equal(mp_pool_apply(pool, count_run, &i, sizeof i, NULL, 0, 0), MP_ETIMEDOUT);
    release(1);
    i = 4;
    assert_int_equal(mp_pool_apply(pool, count_run, &i, sizeof i, NULL, 0, LONG), 0);
    assert_int_equal(board->flag[3], 0);
    assert_int_equal(board->flag[4], 1);
    assert_int_equal(out, -1);
    assert_int_equal(finish(pool), 0);
}

/* Even inputs fail. */
static int odd_only(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = 10 * x;
    return x % 2 != 0 ? 0 : mp_task_fail(-7 - (int)x, "bad row %ld", x);
}

static void errors_and_output_are_delivered(void **state)
{
    (void)state;
    enum { N = 1000 };
    long in[N], out[N];
    mp_task_error *errors = malloc(N * sizeof *errors), error;
    mp_pool *pool = make(3);
    mp_result *r;
    count_up(in, N);
    for (int i = 0; i < N; i++)
        out[i] = -1;
    memset(errors, 0xff, N * sizeof *errors);
    mp_job job = {.size = sizeof job,
                  .task = odd_only,
                  .in = &in[1], /* 1 is good, 2 is bad */
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = N - 1,
                  .errors = errors};
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    memset(&job, 0xff, sizeof job);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    for (size_t i = 0; i < N - 1; i++) {
        bool good = in[i + 1] % 2 != 0;
        assert_int_equal(out[i], good ? 10 * in[i + 1] : -1);
        assert_int_equal(errors[i].code, good ? 0 : MP_ETASK);
        assert_true(good || (errors[i].index == i && errors[i].worker > 0 &&
                             errors[i].task_code == -7 - (int)in[i + 1]));
    }
    assert_string_equal(errors[5].text, "bad row 6");
    assert_false(mp_result_successful(r));
    assert_int_equal(mp_result_error(r, &error), 1);
    assert_true(error.code == MP_ETASK && error.index == 1 && error.task_code == -9);
    assert_string_equal(error.text, "bad row 2");
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ETASK);
    mp_result_free(r);
    free(errors);
    assert_int_equal(finish(pool), 0);
}

static void results_freed_early_and_late(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int i = 3, out = 0;
    long x = 12, y = 0;
    mp_result *busy = hold_running(pool, 1), *queued[40], *late, *pending;
    for (int k = 0; k < 40; k++)
        assert_int_equal(mp_pool_apply_async(pool, &queued[k], count_run, &i, sizeof i, 0), 0);
    for (int k = 0; k < 40; k++)
        mp_result_free(queued[k]); /* not done: it runs all the same */
    assert_int_equal(mp_pool_apply_async(pool, &late, square, &x, sizeof x, sizeof x), 0);
    release(1);
    assert_int_equal(mp_result_wait(late, LONG), 0);
    assert_int_equal(board->flag[3], 40);
    pending = hold_running(pool, 2);
    mp_pool_free(pool);
    assert_int_equal(mp_result_get(late, &y, sizeof y, LONG), 0); /* the pool is gone */
    assert_int_equal(y, 144);
    assert_int_equal(mp_result_get(busy, &out, sizeof out, MP_NO_WAIT), 0);
    assert_int_equal(mp_result_get(pending, &out, sizeof out, LONG), MP_ECANCELED);
    assert_int_equal(mp_result_cancel(late), MP_ESTATE);
    mp_result_free(late);
    mp_result_free(busy);
    mp_result_free(pending);
    mp_result_free(NULL);
}

static void terminate_cancels_what_is_outstanding(void **state)
{
    (void)state;
    enum { N = 50 };
    mp_pool *pool = make(2);
    mp_result *one = hold_running(pool, 1), *two = hold_running(pool, 2), *waiting[N];
    int i = 3;
    for (int k = 0; k < N; k++)
        assert_int_equal(mp_pool_apply_async(pool, &waiting[k], count_run, &i, sizeof i, 0), 0);
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(state_of(board->pid[1]), 0);
    assert_int_equal(state_of(board->pid[2]), 0);
    assert_int_equal(mp_result_get(one, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    assert_int_equal(mp_result_get(two, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    mp_task_error error;
    assert_int_equal(mp_result_error(one, &error), 1);
    assert_int_equal(error.code, MP_ECANCELED);
    for (int k = 0; k < N; k++) {
        assert_int_equal(mp_result_wait(waiting[k], MP_NO_WAIT), 0);
        assert_int_equal(mp_result_get(waiting[k], NULL, 0, LONG), MP_ECANCELED);
        mp_result_free(waiting[k]);
    }
    assert_int_equal(board->flag[3], 0);
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_result_free(one);
    mp_pool_free(pool);
    mp_result_free(two);
}

static void *wait_for_it(void *arg)
{
    return (void *)(intptr_t)mp_result_wait(arg, LONG);
}

static void terminate_wakes_who_waits(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r = hold_running(pool, 1);
    pthread_t thread;
    void *rc = pool;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_it, r), 0);
    nap(0.01);
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_null(rc);
    assert_int_equal(mp_result_get(r, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    mp_result_free(r);
    mp_pool_free(pool);
}

static int use_inherited(void *arg)
{
    void **both = arg;
    mp_pool *pool = both[0], *own, *none;
    mp_result *r = both[1], *fresh;
    mp_task_error error;
    long x = 3, y = 0;
    CHECK(mp_pool_apply(pool, square, &x, sizeof x, &y, sizeof y, LONG) == MP_ESTATE);
    CHECK(mp_pool_map_async(pool, &fresh, square, &x, sizeof x, sizeof y, 1) == MP_ESTATE);
    CHECK(fresh == NULL);
    CHECK(mp_pool_close(pool) == MP_ESTATE && mp_pool_terminate(pool) == MP_ESTATE);
    CHECK(mp_pool_join(pool, LONG) == MP_ESTATE);
    CHECK(mp_result_get(r, NULL, 0, LONG) == MP_ESTATE);
    CHECK(mp_result_wait(r, LONG) == MP_ESTATE && mp_result_cancel(r) == MP_ESTATE);
    CHECK(mp_result_error(r, &error) == MP_ESTATE);
    CHECK(!mp_result_ready(r) && !mp_result_successful(r));
    /* Its own pool works beside it. */
    CHECK(mp_pool_new(&own, .processes = 1) == 0);
    CHECK(mp_pool_apply(own, square, &x, sizeof x, &y, sizeof y, LONG) == 0 && y == 9);
    mp_pool_free(pool);
    mp_result_free(r);
    CHECK(finish(own) == 0);
    CHECK(mp_pool_new(&none, .processes = -1) == MP_EINVAL && none == NULL);
    return 0;
}

static void handles_are_the_creators_alone(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r = hold_running(pool, 1);
    void *both[] = {pool, r};
    assert_int_equal(child_end(child_start(use_inherited, both)), 0);
    release(1);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

static void on_alarm(int number)
{
    (void)number;
    mp_interrupt();
}

/* Interrupts come until one has hit. */
static void interrupts_from_now_on(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 0);
}

static void an_interrupt_ends_the_wait(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int in[2] = {1, 3}, out[2] = {-1, -1};
    mp_job job = {.size = sizeof job,
                  .task = held,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = 2,
                  .chunksize = 1};
    interrupts_from_now_on();
    assert_int_equal(mp_pool_run(pool, &job, MP_FOREVER), MP_EINTR);
    assert_true(out[0] == -1 && out[1] == -1);
    /* A try neither sees an interrupt nor takes it away. */
    mp_result *r;
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &in[1], sizeof *in, sizeof *out), 0);
    mp_interrupt();
    assert_int_equal(mp_result_wait(r, MP_NO_WAIT), MP_ETIMEDOUT);
    assert_int_equal(mp_result_wait(r, LONG), MP_EINTR);
    release(1);
    release(3);
    assert_int_equal(mp_result_get(r, out, sizeof out, LONG), 0);
    assert_int_equal(out[0], 3);
    mp_result_free(r);
    mp_interrupt();
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), MP_EINTR);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_interrupt(); /* not lost in what cannot be interrupted */
    mp_pool_free(pool);
    assert_int_equal(mp_wait(NULL, 0, 0.001), MP_EINTR);
}

static void bad_arguments(void **state)
{
    (void)state;
    mp_task_error error;
    mp_pool *pool = make(1);
    mp_result *r = hold_running(pool, 1);
    assert_int_equal(mp_result_get(NULL, NULL, 0, 0), MP_EINVAL);
    assert_int_equal(mp_result_wait(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_result_cancel(NULL), MP_EINVAL);
    assert_int_equal(mp_result_error(NULL, &error), MP_EINVAL);
    assert_int_equal(mp_result_error(r, NULL), MP_EINVAL);
    assert_false(mp_result_ready(NULL) || mp_result_successful(NULL));
    assert_int_equal(mp_result_wait(r, NAN), MP_EINVAL);
    assert_int_equal(mp_result_get(r, NULL, 0, NAN), MP_EINVAL);
    assert_int_equal(mp_last_task_error(NULL), MP_EINVAL);
    char garbage[4096] = {1, 2, 3};
    assert_int_equal(mp_result_wait((mp_result *)(void *)garbage, 0), MP_EINVAL);
    release(1);
    assert_int_equal(mp_result_wait(r, MP_FOREVER), 0);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(get_is_repeatable),
        POOL_TEST(states_of_a_result),
        POOL_TEST(cancel_before_it_starts),
        POOL_TEST(apply_gives_up_after_its_timeout),
        POOL_TEST(errors_and_output_are_delivered),
        POOL_TEST(results_freed_early_and_late),
        POOL_TEST(terminate_cancels_what_is_outstanding),
        POOL_TEST(terminate_wakes_who_waits),
        POOL_TEST(handles_are_the_creators_alone),
        POOL_TEST(an_interrupt_ends_the_wait),
        POOL_TEST(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
