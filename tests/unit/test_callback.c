/* SPDX-License-Identifier: MIT */
/* Done callbacks: when, where, in which order, and what they may do. */
#include "support/callbacks.h"

static void run_once_and_in_the_order_added(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int i = 1, out = 0;
    mp_job job = {.size = sizeof job,
                  .task = held,
                  .in = &i,
                  .in_size = sizeof i,
                  .out = &out,
                  .out_size = sizeof out,
                  .count = 1,
                  .callback = note,
                  .callback_arg = TAG("a")};
    mp_result *r;
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("b")), 0);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("c")), 0);
    assert_int_equal(mp_result_wait(r, 0.02), MP_ETIMEDOUT);
    assert_int_equal(seen.count, 0);
    release(1);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.order, "abc");
    assert_true(seen.was_done && seen.result[2] == r);
    assert_true(pthread_equal(seen.thread, pthread_self()));
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
    assert_int_equal(seen.count, 3);
    /* One that is added when it is done runs in the next call; also in a try. */
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("d")), 0);
    assert_true(mp_result_ready(r) && mp_result_successful(r));
    assert_int_equal(seen.count, 3);
    assert_int_equal(mp_result_get(r, NULL, 0, MP_NO_WAIT), 0);
    assert_string_equal(seen.order, "abcd");
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(seen.count, 4);
}

static void read_out(mp_result *r, void *arg)
{
    (void)r;
    int *both = arg;
    both[1] = both[0]; /* the job's own out is filled */
}

/* Each of the calls that wait runs what is due of any result of any pool. */
static void run_in_every_call_that_waits(void **state)
{
    (void)state;
    mp_pool *pool = make(1), *other = make(1);
    int i = 1, both[2] = {0};
    mp_result *done, *r[8];
    release(1);
    assert_int_equal(mp_pool_apply_async(other, &done, nothing, NULL, 0, 0), 0);
    assert_int_equal(mp_result_wait(done, LONG), 0);
    for (int k = 0; k < 8; k++) {
        mp_job job = {.size = sizeof job,
                      .task = held,
                      .in = &i,
                      .in_size = sizeof i,
                      .out = &both[0],
                      .out_size = sizeof i,
                      .count = 1,
                      .callback = read_out,
                      .callback_arg = both};
        memset(both, 0, sizeof both);
        assert_int_equal(mp_pool_submit(pool, &r[k], &job), 0);
        while (!mp_result_ready(r[k]))
            nap(0.0005);
        assert_int_equal(both[1], 0);
        mp_iterator *it;
        mp_waitable w = {.kind = MP_WAIT_RESULT, .object = done};
        switch (k) {
        case 0:
            assert_int_equal(mp_result_get(done, NULL, 0, 0), 0);
            break;
        case 1:
            assert_int_equal(mp_result_wait(done, MP_FOREVER), 0);
            break;
        case 2:
            assert_int_equal(mp_results_wait(&done, 1, MP_ALL, 0), 1);
            break;
        case 3:
            assert_int_equal(mp_wait(&w, 1, LONG), 1);
            break;
        case 4:
            assert_int_equal(mp_wait(NULL, 0, 0), 0);
            break;
        case 5:
            assert_int_equal(mp_pool_dispatch(other, 0), 1);
            break;
        case 6:
            assert_int_equal(mp_as_completed(&it, &done, 1), 0);
            assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), 0);
            mp_iterator_free(it);
            break;
        default: /* not in these */
            assert_int_equal(mp_pool_apply(other, nothing, NULL, 0, NULL, 0, LONG), 0);
            assert_int_equal(both[1], 0);
            assert_int_equal(mp_pool_close(other), 0);
            assert_int_equal(mp_pool_join(other, LONG), 0);
            break;
        }
        assert_int_equal(both[1], 1);
        mp_result_free(r[k]);
    }
    mp_result_free(done);
    mp_pool_free(other);
    assert_int_equal(finish(pool), 0);
}

struct calls {
    mp_pool *pool;
    mp_result *r;
    int rc, depth, most;
};

static void release_the_other(mp_result *r, void *arg)
{
    (void)r;
    (void)arg;
    release(2);
}

/* A call that waits wakes up for what becomes due meanwhile: else these would wait for ever. */
static void sleeping_calls_wake_up_for_them(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int k = 0; k < 4; k++) {
        memset(board, 0, sizeof *board);
        mp_result *first = hold(pool, 1), *second = hold(pool, 2);
        assert_true(await(&board->pid[1]) && await(&board->pid[2]));
        assert_int_equal(mp_result_add_done_callback(first, release_the_other, NULL), 0);
        pid_t child = fork();
        if (child == 0) {
            nap(0.02);
            release(1);
            _exit(0);
        }
        mp_waitable w = {.kind = MP_WAIT_RESULT, .object = second};
        mp_result *both[2] = {second, first};
        if (k == 0)
            assert_int_equal(mp_result_get(second, NULL, 0, LONG), 0);
        else if (k == 1)
            assert_int_equal(mp_wait(&w, 1, LONG), 1);
        else if (k == 2)
            assert_int_equal(mp_results_wait(both, 2, MP_ALL, LONG), 2);
        else
            assert_int_equal(mp_results_wait(both, 1, MP_FIRST_DONE, LONG), 1);
        assert_int_equal(waitpid(child, NULL, 0), child);
        mp_result_free(first);
        mp_result_free(second);
    }
    /* And join. */
    memset(board, 0, sizeof *board);
    mp_result *first = hold(pool, 1), *second = hold(pool, 2);
    assert_int_equal(mp_result_add_done_callback(first, release_the_other, NULL), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, 0.02), MP_ETIMEDOUT);
    release(1);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    assert_int_equal(mp_result_get(second, NULL, 0, 0), 0);
    mp_result_free(first);
    mp_result_free(second);
    mp_pool_free(pool);
}

static void free_own(mp_result *r, void *arg)
{
    mp_result_free(r);
    ++*(int *)arg;
}

static void may_free_their_result(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int in = 1, freed = 0, out = 0;
    release(1);
    for (int k = 0; k < 4; k++) {
        mp_result *r;
        assert_int_equal(mp_pool_apply_async(pool, &r, held, &in, sizeof in, sizeof in), 0);
        assert_int_equal(mp_result_add_done_callback(r, free_own, &freed), 0);
        assert_int_equal(mp_result_add_done_callback(r, note, TAG("x")), 0); /* does not run */
        mp_waitable w = {.kind = MP_WAIT_RESULT, .object = r};
        out = 0;
        if (k == 0)
            assert_int_equal(mp_result_get(r, &out, sizeof out, LONG), 0);
        else if (k == 1)
            assert_int_equal(mp_results_wait(&r, 1, MP_ALL, LONG), 1);
        else if (k == 2)
            assert_int_equal(mp_wait(&w, 1, LONG), 1);
        else
            assert_true(mp_pool_dispatch(pool, LONG) >= 1);
        assert_int_equal(out, k == 0 ? 1 : 0);
        assert_int_equal(freed, k + 1);
    }
    assert_int_equal(seen.count, 0);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 0); /* nothing is left */
    assert_int_equal(finish(pool), 0);
}

static void of_freed_results_do_not_run(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r = hold(pool, 1), *due = hold(pool, 2);
    release(2);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("x")), 0);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("y")), 0);
    assert_int_equal(mp_result_add_done_callback(due, note, TAG("z")), 0);
    mp_result_free(r);
    release(1);
    while (!mp_result_ready(due))
        nap(0.0005);
    mp_result_free(due);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 0);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(seen.count, 0);
}

/* Calls in a callback run no others: however many are due, the stack stays flat. */
static void get_more(mp_result *r, void *arg)
{
    struct calls *c = arg;
    c->depth++;
    c->most = c->depth > c->most ? c->depth : c->most;
    c->rc |= mp_result_get(r, NULL, 0, LONG);
    long x = 5, y = 0;
    c->rc |= mp_pool_apply(c->pool, square, &x, sizeof x, &y, sizeof y, LONG) | (y != 25);
    c->rc |= mp_pool_dispatch(c->pool, LONG) != MP_ESTATE;
    c->depth--;
    seen.count++;
}

static void may_call_the_library(void **state)
{
    (void)state;
    enum { N = 200 };
    struct calls c = {.pool = make(2)};
    mp_result *r[N];
    for (int i = 0; i < N; i++) {
        mp_job job = {.size = sizeof job,
                      .task = nothing,
                      .count = 1,
                      .callback = get_more,
                      .callback_arg = &c};
        assert_int_equal(mp_pool_submit(c.pool, &r[i], &job), 0);
    }
    assert_int_equal(mp_results_wait(r, N, MP_ALL, LONG), N);
    while (mp_pool_dispatch(c.pool, LONG) > 0)
        continue;
    assert_true(c.rc == 0 && c.most == 1 && seen.count == N);
    for (int i = 0; i < N; i++)
        mp_result_free(r[i]);
    assert_int_equal(finish(c.pool), 0);
}

/* Adds itself: once more in each call, not for ever in one. */
static void again(mp_result *r, void *arg)
{
    seen.count++;
    mp_result_add_done_callback(r, again, arg);
}

static void submit_next(mp_result *r, void *arg)
{
    struct calls *c = arg;
    mp_result_free(r);
    if (++seen.count == 50)
        return;
    mp_job job = {.size = sizeof job,
                  .task = nothing,
                  .count = 1,
                  .callback = submit_next,
                  .callback_arg = arg};
    c->rc |= mp_pool_submit(c->pool, &c->r, &job);
}

static void may_add_and_submit_more(void **state)
{
    (void)state;
    struct calls c = {.pool = make(1)};
    assert_int_equal(mp_pool_apply_async(c.pool, &c.r, nothing, NULL, 0, 0), 0);
    assert_int_equal(mp_result_add_done_callback(c.r, again, NULL), 0);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(mp_result_get(c.r, NULL, 0, LONG), 0);
        assert_int_equal(seen.count, i);
    }
    mp_result_free(c.r);
    seen.count = 0;
    assert_int_equal(mp_pool_apply_async(c.pool, &c.r, nothing, NULL, 0, 0), 0);
    assert_int_equal(mp_result_add_done_callback(c.r, submit_next, &c), 0);
    while (mp_pool_dispatch(c.pool, MP_FOREVER) > 0)
        continue;
    assert_true(seen.count == 50 && c.rc == 0);
    assert_int_equal(finish(c.pool), 0);
}

static void dispatch_waits_for_the_first(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 0);
    mp_result *r = hold(pool, 1);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("a")), 0);
    assert_int_equal(mp_pool_dispatch(pool, MP_NO_WAIT), MP_ETIMEDOUT);
    double before = seconds();
    assert_int_equal(mp_pool_dispatch(pool, 0.05), MP_ETIMEDOUT);
    assert_true(seconds() - before >= 0.05);
    mp_interrupt();
    assert_int_equal(mp_pool_dispatch(pool, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_pool_dispatch(pool, LONG), MP_EINTR);
    release(1);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 0);
    assert_int_equal(mp_pool_dispatch(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_pool_dispatch(pool, NAN), MP_EINVAL);
    assert_int_equal(mp_result_add_done_callback(NULL, note, NULL), MP_EINVAL);
    assert_int_equal(mp_result_add_done_callback(r, NULL, NULL), MP_EINVAL);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

static void run_calls_the_jobs_own(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_job job = {.size = sizeof job,
                  .task = nothing,
                  .count = 3,
                  .callback = note,
                  .callback_arg = TAG("r")};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_string_equal(seen.order, "r");
    assert_true(seen.was_done);
    job.callback = NULL;
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_EINVAL);
    assert_int_equal(finish(pool), 0);
}

static void note_progress(size_t done, size_t total, void *arg)
{
    *(int *)arg += done == total;
}

/* The job's progress function hears of the end once, whoever was first to notice it. */
static void progress_ends_once(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    for (int i = 0; i < 20; i++) {
        int ended = 0;
        mp_result *r;
        mp_job job = {.size = sizeof job,
                      .task = nothing,
                      .count = 3,
                      .callback = note,
                      .callback_arg = TAG("p"),
                      .progress = note_progress,
                      .progress_arg = &ended};
        assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
        if (i % 2 == 0)
            assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
        assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
        assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
        assert_int_equal(ended, 1);
        mp_result_free(r);
    }
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(run_once_and_in_the_order_added), TEST(run_in_every_call_that_waits),
        TEST(sleeping_calls_wake_up_for_them), TEST(may_free_their_result),
        TEST(of_freed_results_do_not_run),     TEST(may_call_the_library),
        TEST(may_add_and_submit_more),         TEST(dispatch_waits_for_the_first),
        TEST(run_calls_the_jobs_own),          TEST(progress_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
