/* SPDX-License-Identifier: MIT */
/* Done callbacks: every way in which work ends, threads, and forked children. */
#include "support/callbacks.h"

/* The end of a work is one, however it comes. */
static void every_end_is_one(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *busy = hold(pool, 1), *canceled = hold(pool, 2), *crashed, *pending;
    assert_true(await(&board->pid[1]));
    assert_int_equal(mp_result_add_done_callback(busy, note, TAG("b")), 0);
    assert_int_equal(mp_result_add_done_callback(canceled, note, TAG("c")), 0);
    assert_int_equal(mp_result_cancel(canceled), 0);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
    assert_string_equal(seen.order, "c");
    kill(board->pid[1], SIGKILL);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
    assert_int_equal(mp_result_get(busy, NULL, 0, 0), MP_ECRASHED);
    assert_string_equal(seen.order, "cb");
    /* The supervisor's death: who dispatches settles it. */
    pid_t supervisor = supervisor_of(pool);
    crashed = hold(pool, 3);
    assert_true(await(&board->pid[3]));
    assert_int_equal(mp_result_add_done_callback(crashed, note, TAG("s")), 0);
    kill(supervisor, SIGKILL);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
    assert_int_equal(mp_result_get(crashed, NULL, 0, 0), MP_ECRASHED);
    mp_pool_free(pool);
    /* The pool's end: they run in the next call, whichever. */
    pool = make(1);
    pending = hold(pool, 4);
    assert_int_equal(mp_result_add_done_callback(pending, note, TAG("t")), 0);
    mp_pool_free(pool);
    assert_int_equal(seen.count, 3);
    assert_int_equal(mp_result_get(busy, NULL, 0, 0), MP_ECRASHED);
    assert_string_equal(seen.order, "cbst");
    mp_result_free(busy);
    mp_result_free(canceled);
    mp_result_free(crashed);
    mp_result_free(pending);
}

/* A canceled result far behind others that are open: nobody waits for those. */
static void a_canceled_one_does_not_wait_for_older_ones(void **state)
{
    (void)state;
    enum { N = 50 };
    mp_pool *pool = make(1);
    mp_result *r[N];
    for (int i = 0; i < N; i++) {
        r[i] = hold(pool, 1);
        assert_int_equal(mp_result_add_done_callback(r[i], note, TAG("x")), 0);
    }
    assert_true(await(&board->pid[1]));
    assert_int_equal(mp_result_cancel(r[N - 2]), 0);
    assert_int_equal(mp_pool_dispatch(pool, MP_FOREVER), 1);
    assert_ptr_equal(seen.result[0], r[N - 2]);
    release(1);
    assert_int_equal(mp_results_wait(r, N, MP_ALL, LONG), N);
    assert_int_equal(seen.count, N);
    for (int i = 0; i < N; i++)
        mp_result_free(r[i]);
    assert_int_equal(finish(pool), 0);
}

/* Several threads wait for everything: each callback runs once, and two of one result never at the
 * same time. */
enum { THREADS = 4, RESULTS = 300, EACH = 3 };
static struct {
    mp_pool *pool;
    mp_result *r[RESULTS];
    _Atomic int inside[RESULTS], ran[RESULTS], bad;
} shared;

static void count(mp_result *r, void *arg)
{
    int i = (int)(intptr_t)arg / EACH, k = (int)(intptr_t)arg % EACH;
    if (atomic_fetch_add(&shared.inside[i], 1) != 0 || atomic_fetch_add(&shared.ran[i], 1) != k ||
        !mp_result_ready(r))
        atomic_store(&shared.bad, 1);
    atomic_fetch_sub(&shared.inside[i], 1);
}

static void *take_part(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = me; i < RESULTS; i += THREADS) {
        mp_job job = {.size = sizeof job,
                      .task = nothing,
                      .count = 1,
                      .callback = count,
                      .callback_arg = (void *)(intptr_t)(i * EACH)};
        if (mp_pool_submit(shared.pool, &shared.r[i], &job) != 0)
            atomic_store(&shared.bad, 1);
        for (int k = 1; k < EACH; k++)
            mp_result_add_done_callback(shared.r[i], count, (void *)(intptr_t)(i * EACH + k));
        if (i % 2 == 0)
            mp_pool_dispatch(shared.pool, 0);
        if (mp_result_get(shared.r[i], NULL, 0, LONG) != 0)
            atomic_store(&shared.bad, 1);
    }
    while (mp_pool_dispatch(shared.pool, MP_FOREVER) > 0)
        continue;
    return NULL;
}

static void in_several_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    memset(&shared, 0, sizeof shared);
    shared.pool = make(2);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_part, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.bad, 0);
    for (int i = 0; i < RESULTS; i++) {
        assert_int_equal(shared.ran[i], EACH);
        mp_result_free(shared.r[i]);
    }
    assert_int_equal(finish(shared.pool), 0);
}

/* A child has none of its parent's, and its own work. */
static int use_own(void *arg)
{
    mp_pool *pool;
    mp_result *r;
    CHECK(mp_pool_dispatch(arg, 0) == MP_ESTATE);
    CHECK(mp_pool_new(&pool, .processes = 1) == 0);
    CHECK(mp_pool_apply_async(pool, &r, nothing, NULL, 0, 0) == 0);
    CHECK(mp_result_add_done_callback(r, note, TAG("c")) == 0);
    CHECK(mp_result_get(r, NULL, 0, LONG) == 0 && strcmp(seen.order, "c") == 0);
    mp_result_free(r);
    return finish(pool);
}

static void a_child_has_its_own(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r = hold(pool, 1), *due = hold(pool, 1);
    assert_int_equal(mp_result_add_done_callback(r, note, TAG("p")), 0);
    assert_int_equal(mp_result_add_done_callback(due, note, TAG("q")), 0);
    release(1);
    while (!mp_result_ready(due))
        nap(0.0005);
    assert_int_equal(child_end(child_start(use_own, pool)), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), 0);
    assert_string_equal(seen.order, "pq");
    mp_result_free(r);
    mp_result_free(due);
    assert_int_equal(finish(pool), 0);
}

/* A thread that waits since before there was any callback runs those of others. */
static void tell_the_board(mp_result *r, void *arg)
{
    (void)r, (void)arg;
    release(5);
}

/* Returns its result, or the pool if that callback did not come. */
static void *give_more(void *pool)
{
    mp_result *r;
    mp_job job = {.size = sizeof job, .task = nothing, .count = 1, .callback = tell_the_board};
    until_asleep(getpid());
    if (mp_pool_submit(pool, &r, &job) != 0)
        return pool;
    bool came = await(&board->flag[5]) != 0;
    release(1);
    return came ? r : pool;
}

static void who_waits_already_runs_them(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    mp_result *gate = hold(pool, 1);
    pthread_t thread;
    void *r;
    assert_int_equal(pthread_create(&thread, NULL, give_more, pool), 0);
    assert_int_equal(mp_result_get(gate, NULL, 0, LONG), 0);
    assert_int_equal(pthread_join(thread, &r), 0);
    assert_ptr_not_equal(r, pool);
    mp_result_free(r);
    mp_result_free(gate);
    assert_int_equal(finish(pool), 0);
}

static int refuse(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return mp_task_fail(-3, "refused");
}

static void use_the_pool(mp_result *r, void *pool)
{
    (void)r;
    mp_pool_apply(pool, nothing, NULL, 0, NULL, 0, LONG);
}

/* What a callback calls is not what the call has found; and tries run callbacks. */
static void beside_an_iterator(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    mp_result *gate, *done, *bad;
    mp_iterator *it;
    mp_task_error error;
    assert_int_equal(mp_pool_apply_async(pool, &bad, refuse, NULL, 0, 0), 0);
    while (!mp_result_ready(bad))
        nap(0.0005);
    assert_int_equal(mp_result_add_done_callback(bad, use_the_pool, pool), 0);
    assert_int_equal(mp_as_completed(&it, &bad, 1), 0);
    assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), MP_ETASK);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_string_equal(error.text, "refused");
    mp_iterator_free(it);

    mp_job job = {.size = sizeof job, .task = refuse, .count = 1};
    job.callback = use_the_pool;
    job.callback_arg = pool;
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ETASK);
    assert_int_equal(mp_last_task_error(&error), 1);

    gate = hold(pool, 1);
    assert_int_equal(mp_as_completed(&it, &gate, 1), 0);
    assert_int_equal(mp_pool_apply_async(pool, &done, nothing, NULL, 0, 0), 0);
    while (!mp_result_ready(done))
        nap(0.0005);
    assert_int_equal(mp_result_add_done_callback(done, note, TAG("t")), 0);
    assert_int_equal(mp_iterator_next(it, NULL, NULL, 0), MP_ETIMEDOUT);
    assert_string_equal(seen.order, "t");
    release(1);
    mp_iterator_free(it);
    mp_result_free(gate);
    mp_result_free(done);
    mp_result_free(bad);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_end_is_one),
        TEST(a_canceled_one_does_not_wait_for_older_ones),
        TEST(in_several_threads),
        TEST(a_child_has_its_own),
        TEST(who_waits_already_runs_them),
        TEST(beside_an_iterator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
