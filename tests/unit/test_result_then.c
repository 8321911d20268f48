/* SPDX-License-Identifier: MIT */
/* Chained jobs, and ending work that runs. */
#include "support/pools.h"

#include <pthread.h>

static int add_one(const void *in, void *out, void *context)
{
    (void)context;
    *(long *)out = *(const long *)in + 1;
    return 0;
}

static int sum(const void *in, void *out, void *context)
{
    const long *x = in;
    *(long *)out = 0;
    for (long i = 0; i < (long)(intptr_t)context; i++)
        *(long *)out += x[i];
    return 0;
}

static int odd_only(const void *in, void *out, void *context)
{
    (void)context;
    *(long *)out = *(const long *)in;
    return *(const long *)in % 2 != 0 ? 0 : mp_task_fail(-2, "even");
}

static mp_job job_of(mp_task task, size_t count)
{
    return (mp_job){.size = sizeof(mp_job), .task = task, .out_size = sizeof(long), .count = count};
}

static void one_after_the_other(void **state)
{
    (void)state;
    enum { N = 10 };
    mp_pool *pool = make(2);
    long in[N], out[N], total = 0, *shared = MP_ARRAY(long, N);
    count_up(in, N);
    for (int i = 0; i < 4; i++) { /* in place or not; by get alone, or step by step */
        mp_job first = job_of(square, N), second = job_of(add_one, 0), third = job_of(sum, 1);
        mp_result *a, *b, *c;
        first.in = in;
        first.in_size = sizeof *in;
        first.out = i % 2 == 0 ? shared : NULL;
        third.context = (void *)(intptr_t)N;
        assert_int_equal(mp_pool_submit(pool, &a, &first), 0);
        if (i >= 2)
            assert_int_equal(mp_result_wait(a, LONG), 0);
        assert_int_equal(mp_result_then(a, &b, &second), 0);
        assert_int_equal(mp_result_then(b, &c, &third), 0);
        if (i >= 2)
            assert_int_equal(mp_result_get(b, out, sizeof out, LONG), 0);
        assert_int_equal(mp_result_get(c, &total, sizeof total, LONG), 0);
        assert_int_equal(total, 285 + N);
        assert_int_equal(mp_result_get(b, out, sizeof out, 0), 0);
        assert_int_equal(out[9], 82);
        free_all((mp_result *[]){a, b, c}, 3);
    }
    mp_shared_free(shared);
    assert_int_equal(finish(pool), 0);
}

/* A failure goes on to the end; either end may be freed first. */
static void failures_go_on(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    long in[3] = {1, 2, 3}, out[3] = {-1, -1, -1};
    mp_job first = job_of(odd_only, 3), second = job_of(add_one, 3), third = job_of(sum, 1);
    mp_result *a, *b, *c, *gate = hold(pool, 1);
    mp_task_error e, errors[3];
    first.in = in;
    first.in_size = sizeof *in;
    second.errors = errors;
    assert_int_equal(mp_pool_submit(pool, &a, &first), 0);
    assert_int_equal(mp_result_then(a, &b, &second), 0);
    assert_int_equal(mp_result_then(b, &c, &third), 0);
    mp_result_free(a);
    assert_false(mp_result_ready(b) || mp_result_ready(c));
    assert_int_equal(mp_result_wait(c, 0.02), MP_ETIMEDOUT);
    release(1);
    assert_int_equal(mp_result_get(c, out, sizeof out, LONG), MP_ETASK);
    assert_int_equal(mp_result_get(b, out, sizeof out, LONG), MP_ETASK);
    assert_int_equal(out[0], -1);
    assert_int_equal(mp_result_error(c, &e), 1);
    assert_true(strstr(e.text, "even") != NULL && e.index == 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(errors[i].code == MP_ETASK && errors[i].index == i);
    mp_result_free(b);
    mp_result_free(c);
    mp_result_free(gate);
    assert_int_equal(finish(pool), 0);
}

static void note(mp_result *r, void *arg)
{
    (void)r;
    ++*(int *)arg;
}

static void canceled_killed_and_terminated(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        mp_pool *pool = make(1);
        mp_result *a = hold(pool, 1), *b, *c;
        mp_job next = job_of(add_one, 0);
        int noted = 0;
        next.out_size = sizeof(int);
        next.callback = note;
        next.callback_arg = &noted;
        assert_int_equal(mp_result_then(a, &b, &next), 0);
        assert_int_equal(mp_result_then(b, &c, &next), 0);
        assert_true(await(&board->pid[1]));
        if (i == 0)
            assert_int_equal(mp_result_cancel(b), 0);
        else if (i == 1)
            assert_int_equal(mp_result_kill(b), 0);
        else if (i == 2)
            assert_int_equal(mp_pool_terminate(pool), 0);
        else
            mp_pool_free(pool);
        assert_int_equal(mp_result_get(b, NULL, 0, LONG), MP_ECANCELED);
        if (i < 2) {
            assert_false(mp_result_ready(a)); /* it goes on */
            release(1);
        }
        assert_int_equal(mp_result_get(c, NULL, 0, LONG), MP_ECANCELED);
        assert_int_equal(mp_result_get(a, NULL, 0, LONG), i < 2 ? 0 : MP_ECANCELED);
        assert_int_equal(noted, 2);
        mp_result_free(a);
        mp_result_free(c);
        mp_result_free(b);
        if (i < 3)
            mp_pool_free(pool);
        memset(board, 0, sizeof *board);
    }
}

/* What was accepted runs: a chain, too, as far as it goes, before a closed pool ends. */
static void close_lets_chains_run(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        mp_pool *pool = make(1);
        mp_result *a, *b, *c, *none, *gate = hold(pool, 1);
        mp_job next = job_of(add_one, 0);
        long x = 4, y = 0;
        assert_int_equal(
            mp_pool_apply_async(pool, &a, i == 5 ? odd_only : add_one, &x, sizeof x, sizeof x), 0);
        assert_int_equal(mp_result_then(a, &b, &next), 0);
        assert_int_equal(mp_result_then(b, &c, &next), 0);
        if (i == 1) /* nobody needs the handles */
            mp_result_free(a), mp_result_free(b);
        assert_int_equal(mp_pool_close(pool), 0);
        assert_int_equal(mp_pool_close(pool), 0);
        assert_int_equal(mp_result_then(c, &none, &next), MP_ESTATE);
        assert_int_equal(mp_pool_apply(pool, add_one, &x, sizeof x, &y, sizeof y, LONG), MP_ESTATE);
        assert_int_equal(mp_pool_resize(pool, 2), MP_ESTATE);
        assert_int_equal(mp_pool_join(pool, 0.01), MP_ETIMEDOUT);
        assert_int_equal(i == 2 ? mp_result_cancel(b) : 0, 0);
        assert_int_equal(i == 3 ? mp_result_kill(c) : 0, 0);
        assert_int_equal(i == 4 ? mp_pool_terminate(pool) : 0, 0);
        release(1);
        assert_int_equal(mp_pool_join(pool, LONG), 0);
        int end = i == 5 ? MP_ETASK : i >= 2 ? MP_ECANCELED : 0;
        assert_int_equal(mp_result_get(c, &y, sizeof y, 0), end);
        assert_int_equal(y, i < 2 ? 7 : 0);
        if (i == 3)
            assert_int_equal(mp_result_get(b, &y, sizeof y, 0), 0);
        if (i != 1)
            mp_result_free(a), mp_result_free(b);
        mp_result_free(c);
        mp_result_free(gate);
        mp_pool_free(pool);
        memset(board, 0, sizeof *board);
    }
}

/* Whoever started it is at it when the supervisor leaves. */
static void close_and_join_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        mp_pool *pool = make(2);
        mp_result *a, *b;
        mp_job next = job_of(add_one, 0);
        long x = i;
        assert_int_equal(mp_pool_apply_async(pool, &a, add_one, &x, sizeof x, sizeof x), 0);
        assert_int_equal(mp_result_then(a, &b, &next), 0);
        assert_int_equal(finish(pool), 0);
        assert_int_equal(mp_result_get(b, &x, sizeof x, 0), 0);
        assert_int_equal(x, i + 2);
        mp_result_free(a);
        mp_result_free(b);
    }
}

/* The supervisor is killed: then it is that, not the program's doing. */
static void a_supervisor_that_dies_ends_chains(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        mp_pool *pool = make(1);
        pid_t supervisor = supervisor_of(pool);
        mp_job next = job_of(add_one, 0);
        mp_result *a = hold(pool, 1), *b;
        mp_task_error error;
        next.out_size = sizeof(int);
        assert_int_equal(mp_result_then(a, &b, &next), 0);
        assert_true(await(&board->pid[1]));
        if (i % 2 == 1)
            assert_int_equal(mp_pool_close(pool), 0);
        if (i >= 2) { /* its input is there by then */
            release(1);
            while (!mp_result_ready(a))
                nap(0.0005);
        }
        kill(supervisor, SIGKILL);
        assert_true(await_death(supervisor));
        assert_int_equal(mp_result_get(b, NULL, 0, LONG), MP_ECRASHED);
        assert_int_equal(mp_result_error(b, &error), 1);
        assert_non_null(strstr(error.text, "supervisor died"));
        assert_int_equal(mp_result_get(a, NULL, 0, 0), i >= 2 ? 0 : MP_ECRASHED);
        mp_result_free(a);
        mp_result_free(b);
        mp_pool_free(pool);
        memset(board, 0, sizeof *board);
    }
}

static int die(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return kill(getpid(), SIGKILL);
}

/* Not link by link. */
static void a_cause_is_told_once(void **state)
{
    (void)state;
    enum { LINKS = 9 };
    mp_pool *pool = make(1);
    for (int i = 0; i < 2; i++) {
        mp_result *r[LINKS];
        mp_task_error error;
        long x = 2;
        mp_job next = job_of(add_one, 0);
        assert_int_equal(
            mp_pool_apply_async(pool, &r[0], i == 0 ? die : odd_only, &x, sizeof x, sizeof x), 0);
        for (int k = 1; k < LINKS; k++)
            assert_int_equal(mp_result_then(r[k - 1], &r[k], &next), 0);
        int code = i == 0 ? MP_ECRASHED : MP_ETASK;
        assert_int_equal(mp_result_get(r[LINKS - 1], NULL, 0, LONG), code);
        for (int k = 0; k < LINKS; k++) {
            assert_int_equal(mp_result_error(r[k], &error), 1);
            assert_int_equal(error.code, code);
            assert_int_equal(error.signal, i == 0 ? SIGKILL : 0);
            assert_int_equal(error.task_code, i == 0 ? 0 : -2);
            if (k > 0) {
                assert_int_equal(error.worker, 0);
                assert_string_equal(error.text,
                                    i == 0 ? "not run: the worker was killed by signal 9 (SIGKILL)"
                                           : "not run: even");
            }
            mp_result_free(r[k]);
        }
    }
    assert_int_equal(finish(pool), 0);
}

/* The dispatcher starts them; a chain of a thousand needs no deep stack. */
static void a_long_chain(void **state)
{
    (void)state;
    enum { N = 1000 };
    mp_pool *pool = make(2);
    mp_result *rs[N];
    long x = 0;
    mp_result *gate = hold(pool, 1), *other = hold(pool, 1);
    assert_int_equal(mp_pool_apply_async(pool, &rs[0], add_one, &x, sizeof x, sizeof x), 0);
    for (int i = 1; i < N; i++) {
        mp_job next = job_of(add_one, 0);
        assert_int_equal(mp_result_then(rs[i - 1], &rs[i], &next), 0);
        mp_result_free(rs[i - 1]);
    }
    release(1);
    while (mp_pool_dispatch(pool, MP_FOREVER) > 0)
        continue;
    assert_int_equal(mp_result_get(rs[N - 1], &x, sizeof x, LONG), 0);
    assert_int_equal(x, N);
    mp_result_free(rs[N - 1]);
    /* One that fails all along. */
    assert_int_equal(mp_pool_apply_async(pool, &rs[0], odd_only, &(long){2}, 8, 8), 0);
    for (int i = 1; i < N; i++) {
        mp_job next = job_of(add_one, 0);
        assert_int_equal(mp_result_then(rs[i - 1], &rs[i], &next), 0);
        mp_result_free(rs[i - 1]);
    }
    assert_int_equal(mp_result_get(rs[N - 1], &x, sizeof x, LONG), MP_ETASK);
    mp_result_free(rs[N - 1]);
    mp_result_free(gate);
    mp_result_free(other);
    assert_int_equal(finish(pool), 0);
}

static void bad_chains(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    long in[3] = {1, 2, 3};
    mp_job first = job_of(square, 3), bad[4] = {first, first, first, first};
    mp_result *a, *b = (mp_result *)1;
    first.in = in;
    first.in_size = sizeof *in;
    assert_int_equal(mp_pool_submit(pool, &a, &first), 0);
    bad[0].in = in;
    bad[1].in_size = 4;
    bad[2].count = 2;
    bad[3].task = NULL;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mp_result_then(a, &b, &bad[i]), MP_EINVAL);
        assert_null(b);
    }
    mp_job good = job_of(square, 3);
    assert_int_equal(mp_result_then(NULL, &b, &good), MP_EINVAL);
    assert_int_equal(mp_result_then(a, NULL, &good), MP_EINVAL);
    assert_int_equal(mp_result_then(a, &b, NULL), MP_EINVAL);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_result_then(a, &b, &good), MP_ESTATE);
    mp_pool_free(pool);
    assert_int_equal(mp_result_then(a, &b, &good), MP_ESTATE);
    assert_null(b);
    mp_result_free(a);
}

/* ---- mp_result_kill() ---- */

static void kill_ends_what_runs(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    int in[4] = {1, 2, 3, 4}, more = 5, out;
    mp_result *r, *other = hold(pool, 5);
    mp_task_error errors[4];
    mp_job job = {.size = sizeof job,
                  .task = held,
                  .in = in,
                  .in_size = sizeof *in,
                  .count = 4,
                  .chunksize = 1,
                  .retries = 3, /* it was not lost: it does not run again */
                  .errors = errors};
    assert_true(await(&board->pid[5]));
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    int runs = 0; /* whichever the free worker takes */
    while (runs == 0)
        for (int i = 1; i <= 4; i++)
            runs += board->pid[i];
    assert_int_equal(mp_result_kill(r), 0);
    assert_int_equal(mp_result_kill(r), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ECANCELED);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(errors[i].code, MP_ECANCELED);
    assert_int_equal(state_of(runs), 0);
    assert_false(mp_result_ready(other)); /* its worker lives */
    assert_true(state_of(board->pid[5]) != 0);
    release(5);
    assert_int_equal(mp_result_get(other, &out, sizeof out, LONG), 0);
    assert_int_equal(mp_result_kill(other), MP_ESTATE);
    assert_int_equal(mp_result_kill(NULL), MP_EINVAL);
    assert_int_equal(mp_pool_apply(pool, held, &more, sizeof more, &out, sizeof out, LONG), 0);
    mp_result_free(r);
    mp_result_free(other);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(one_after_the_other),
        POOL_TEST(failures_go_on),
        POOL_TEST(canceled_killed_and_terminated),
        POOL_TEST(close_lets_chains_run),
        POOL_TEST(close_and_join_at_once),
        POOL_TEST(a_supervisor_that_dies_ends_chains),
        POOL_TEST(a_cause_is_told_once),
        POOL_TEST(a_long_chain),
        POOL_TEST(bad_chains),
        POOL_TEST(kill_ends_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
