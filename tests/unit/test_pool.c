/* SPDX-License-Identifier: MIT */
/* Pools at work: maps of every shape, where inputs and outputs lie, many pools, many threads. */
#include "support/pools.h"

#include <pthread.h>

/* Whether the outputs are the squares of 0, 1, ... */
static bool all_squares(const long *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (out[i] != (long)i * (long)i)
            return false;
    return true;
}

static void map_of_many_sizes(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 3, 7, 64, 65, 1000, 65535, 65536, 65537, 300001};
    mp_pool *pool = make(3);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        size_t n = counts[k];
        long *in = malloc((n + 1) * sizeof *in), *out = malloc((n + 1) * sizeof *out);
        count_up(in, n);
        memset(out, 0xff, (n + 1) * sizeof *out);
        assert_int_equal(MP_MAP(pool, square, in, out, n), 0);
        assert_true(all_squares(out, n));
        assert_int_equal(out[n], -1);
        free(in);
        free(out);
    }
    assert_int_equal(mp_pool_map(pool, square, NULL, 8, NULL, 8, 0), 0);
    assert_int_equal(finish(pool), 0);
}

struct places {
    const void *in, *out;
};

static int tell_places(const void *in, void *out, void *context)
{
    (void)context;
    *(struct places *)out = (struct places){in, out};
    return 0;
}

static void shared_arrays_are_used_in_place(void **state)
{
    (void)state;
    enum { N = 1000 };
    mp_pool *pool = make(2);
    long *in = mp_shared_alloc(N * sizeof *in);
    struct places *out = mp_shared_alloc(N * sizeof *out), copy[N], local[N];
    assert_int_equal(MP_MAP(pool, tell_places, in, out, N), 0);
    for (int i = 0; i < N; i++)
        assert_true(out[i].in == &in[i] && out[i].out == &out[i]);
    /* Memory of the program's own is copied: the workers see another. */
    long own[N] = {0};
    assert_int_equal(MP_MAP(pool, tell_places, own, local, N), 0);
    assert_true(local[1].in != &own[1] && local[1].out != &local[1]);
    /* The asynchronous forms: inputs in place, outputs where the job says. */
    mp_result *r;
    assert_int_equal(mp_pool_submit(pool, &r,
                                    &(mp_job){.size = sizeof(mp_job),
                                              .task = tell_places,
                                              .in = in,
                                              .in_size = sizeof *in,
                                              .out = out,
                                              .out_size = sizeof *out,
                                              .count = N}),
                     0);
    assert_int_equal(mp_result_get(r, copy, sizeof copy, LONG), 0);
    assert_true(copy[N - 1].in == &in[N - 1] && copy[N - 1].out == &out[N - 1]);
    mp_result_free(r);
    mp_shared_free(in);
    mp_shared_free(out);
    assert_int_equal(finish(pool), 0);
}

static int count_without_places(const void *in, void *out, void *context)
{
    if (in != NULL || out != NULL)
        return -1;
    atomic_fetch_add((_Atomic int *)context, 1);
    return 0;
}

static void sizes_of_nothing(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    mp_job job = {
        .size = sizeof job, .task = count_without_places, .context = &board->flag[0], .count = 777};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(board->flag[0], 777);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, NULL, 0, 5), 0);
    assert_int_equal(mp_pool_apply(pool, nothing, NULL, 0, NULL, 0, LONG), 0);
    assert_int_equal(finish(pool), 0);
}

/* Every item once, whatever the chunk size. */
static int count_item(const void *in, void *out, void *context)
{
    (void)out;
    atomic_fetch_add(&((_Atomic int *)context)[*(const int *)in], 1);
    return 0;
}

static void chunks_of_every_size(void **state)
{
    (void)state;
    enum { N = 200000 };
    static const size_t chunks[] = {1, 7, 1000, 65535, 65536, N, N + 1, SIZE_MAX};
    mp_pool *pool = make(3);
    int *in = malloc(N * sizeof *in);
    _Atomic int *runs = mp_shared_calloc(N, sizeof *runs);
    for (int i = 0; i < N; i++)
        in[i] = i;
    for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        mp_job job = {.size = sizeof job,
                      .task = count_item,
                      .context = (void *)runs,
                      .in = in,
                      .in_size = sizeof *in,
                      .count = N,
                      .chunksize = chunks[k]};
        assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
        for (int i = 0; i < N; i++)
            if (runs[i] != (int)k + 1)
                fail_msg("chunks of %zu: item %d ran %d times", chunks[k], i, runs[i] - (int)k);
    }
    mp_shared_free((void *)runs);
    free(in);
    assert_int_equal(finish(pool), 0);
}

#define MEGA (1 << 20)

static int invert(const void *in, void *out, void *context)
{
    (void)context;
    const unsigned char *from = in;
    unsigned char *to = out;
    for (int i = 0; i < MEGA; i++)
        to[i] = (unsigned char)~from[i];
    return 0;
}

static void large_items(void **state)
{
    (void)state;
    enum { N = 5 };
    mp_pool *pool = make(2);
    unsigned char *in = malloc(N * MEGA), *out = calloc(N, MEGA);
    for (int i = 0; i < N * MEGA; i++)
        in[i] = (unsigned char)(i * 7 + i / MEGA);
    assert_int_equal(mp_pool_map(pool, invert, in, MEGA, out, MEGA, N), 0);
    for (int i = 0; i < N * MEGA; i++)
        if (out[i] != (unsigned char)~in[i])
            fail_msg("byte %d", i);
    free(in);
    free(out);
    assert_int_equal(finish(pool), 0);
}

static void *submit_much(void *arg)
{
    mp_pool *pool = arg;
    long in[100], out[100];
    count_up(in, 100);
    for (int round = 0; round < 60; round++) {
        memset(out, 0xff, sizeof out);
        size_t n = (size_t)(round % 100);
        if (MP_MAP(pool, square, in, out, n) != 0 || !all_squares(out, n))
            return arg;
        if (mp_pool_apply(pool, square, &in[9], sizeof *in, out, sizeof *out, LONG) != 0 ||
            out[0] != 81)
            return arg;
    }
    return NULL;
}

static void many_threads_submit_at_once(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    mp_pool *pool = make(3);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_much, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = pool;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(finish(pool), 0);
}

static void *use_a_pool_of_its_own(void *arg)
{
    (void)arg;
    for (int round = 0; round < 5; round++) {
        mp_pool *pool;
        if (mp_pool_new(&pool, .processes = 2) != 0)
            return &descriptors_before;
        void *failed = submit_much(pool);
        if (finish(pool) != 0 || failed != NULL)
            return &descriptors_before;
    }
    return NULL;
}

static void several_pools_at_once(void **state)
{
    (void)state;
    mp_pool *pools[3];
    for (int i = 0; i < 3; i++)
        pools[i] = make(i + 1);
    for (int i = 0; i < 3; i++)
        assert_null(submit_much(pools[i]));
    assert_int_equal(finish(pools[1]), 0); /* the others do not mind */
    assert_null(submit_much(pools[2]));
    mp_pool_free(pools[2]);
    assert_null(submit_much(pools[0]));
    assert_int_equal(finish(pools[0]), 0);
}

static void threads_make_pools_at_once(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_a_pool_of_its_own, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = &descriptors_before;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void thousands_outstanding(void **state)
{
    (void)state;
    enum { N = 20000 };
    mp_pool *pool = make(2);
    mp_result **results = calloc(N, sizeof(mp_result *));
    for (long i = 0; i < N; i++)
        assert_int_equal(mp_pool_apply_async(pool, &results[i], square, &i, sizeof i, sizeof i), 0);
    for (long i = N - 1; i >= 0; i--) {
        long out = -1;
        assert_int_equal(mp_result_get(results[i], &out, sizeof out, LONG), 0);
        assert_int_equal(out, i * i);
        mp_result_free(results[i]);
    }
    free(results);
    assert_int_equal(finish(pool), 0);
}

/* Workers run side by side: each item waits until the others have started. */
static int meet(const void *in, void *out, void *context)
{
    (void)in, (void)out;
    _Atomic int *arrived = context;
    double end = seconds() + LONG;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 4 && seconds() < end)
        poll(NULL, 0, 1);
    return atomic_load(arrived) < 4 ? -1 : 0;
}

static void items_run_side_by_side(void **state)
{
    (void)state;
    mp_pool *pool = make(4);
    mp_job job = {
        .size = sizeof job, .task = meet, .context = &board->flag[0], .count = 4, .chunksize = 1};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(finish(pool), 0);
}

struct seen {
    size_t calls, done, total;
    bool falls;
};

static void note_progress(size_t done, size_t total, void *arg)
{
    struct seen *s = arg;
    s->falls = s->falls || done < s->done || (s->calls > 0 && total != s->total);
    s->calls++;
    s->done = done;
    s->total = total;
    if (done == 3) /* held items: 0 and 1 run, 2, 3 and 4 are done */
        release(0), release(1);
}

static int hold_two(const void *in, void *out, void *context)
{
    return *(const int *)in < 2 ? held(in, out, context) : 0;
}

static void progress_is_told(void **state)
{
    (void)state;
    static const int in[] = {0, 1, 2, 3, 4};
    struct seen own = {0}, pools = {0};
    mp_pool *pool;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 3, .progress = note_progress, .progress_arg = &pools), 0);
    assert_int_equal(mp_pool_map(pool, hold_two, in, sizeof *in, NULL, 0, 5), 0);
    assert_true(pools.done == 5 && pools.total == 5 && !pools.falls && pools.calls >= 2);
    size_t calls = pools.calls;
    mp_job job = {.size = sizeof job,
                  .task = nothing,
                  .count = 9,
                  .progress = note_progress,
                  .progress_arg = &own};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_true(own.done == 9 && own.total == 9 && !own.falls);
    assert_true(pools.calls == calls); /* a job's own instead of the pool's */
    assert_int_equal(finish(pool), 0);
}

static void close_then_join_runs_what_was_submitted(void **state)
{
    (void)state;
    enum { N = 5000 };
    long in[N], out[N];
    count_up(in, N);
    mp_pool *pool = make(2);
    mp_result *r;
    assert_int_equal(mp_pool_map_async(pool, &r, square, in, sizeof *in, sizeof *out, N), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    assert_true(mp_result_ready(r) && mp_result_successful(r));
    assert_int_equal(mp_result_get(r, out, sizeof out, MP_NO_WAIT), 0);
    assert_true(all_squares(out, N));
    mp_result_free(r);
    mp_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(map_of_many_sizes),     POOL_TEST(shared_arrays_are_used_in_place),
        POOL_TEST(sizes_of_nothing),      POOL_TEST(chunks_of_every_size),
        POOL_TEST(large_items),           POOL_TEST(many_threads_submit_at_once),
        POOL_TEST(several_pools_at_once), POOL_TEST(threads_make_pools_at_once),
        POOL_TEST(thousands_outstanding), POOL_TEST(items_run_side_by_side),
        POOL_TEST(progress_is_told),      POOL_TEST(close_then_join_runs_what_was_submitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
