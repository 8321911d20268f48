/* SPDX-License-Identifier: MIT */
/* How many workers a pool has: changed by the program, by idle time, by memory and by deaths. And
 * the pool that every process has. */
#include "support/pools.h"

#include <math.h>

enum { MOST = 64, MEGABYTE = 1 << 20 };

/* Waits until there are so many workers. */
static bool has_workers(mp_pool *pool, int count)
{
    double end = seconds() + LONG;
    while (mp_pool_worker_pids(pool, NULL, 0) != count)
        if (seconds() > end)
            return false;
        else
            nap(0.001);
    return true;
}

static void let_go(mp_result *r, int i)
{
    int out = -1;
    release(i);
    assert_int_equal(mp_result_get(r, &out, sizeof out, LONG), 0);
    assert_int_equal(out, i);
    mp_result_free(r);
}

/* So many items run at the same time, each in a worker of its own. */
static void run_together(mp_pool *pool, int count)
{
    mp_result *r[8];
    for (int i = 0; i < count; i++)
        r[i] = hold_running(pool, i);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            assert_int_not_equal(board->pid[i], board->pid[j]);
    for (int i = 0; i < count; i++)
        let_go(r[i], i);
    for (int i = 0; i < count; i++) {
        atomic_store(&board->pid[i], 0);
        atomic_store(&board->flag[i], 0);
    }
}

/* ---- resize ---- */

static void sizes_that_are_none(void **state)
{
    (void)state;
    pid_t pids[1];
    mp_pool *pool = make(2);
    assert_int_equal(mp_pool_processes(pool), 2);
    assert_int_equal(mp_pool_resize(pool, 0), MP_EINVAL);
    assert_int_equal(mp_pool_resize(pool, -1), MP_EINVAL);
    assert_int_equal(mp_pool_resize(pool, 4097), MP_EINVAL);
    assert_int_equal(mp_pool_resize(NULL, 1), MP_EINVAL);
    assert_int_equal(mp_pool_processes(NULL), MP_EINVAL);
    assert_int_equal(mp_pool_worker_pids(NULL, pids, 1), MP_EINVAL);
    assert_int_equal(mp_pool_worker_pids(pool, NULL, 1), MP_EINVAL);
    assert_int_equal(mp_pool_worker_pids(pool, pids, -1), MP_EINVAL);
    assert_int_equal(mp_pool_processes(pool), 2);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_resize(pool, 3), MP_ESTATE);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    assert_int_equal(mp_pool_worker_pids(pool, pids, 1), 0);
    mp_pool_free(pool);
}

static void up_and_down_and_up(void **state)
{
    (void)state;
    pid_t pids[MOST];
    mp_pool *pool = make(1);
    const int sizes[] = {4, 2, 8, 1, 3};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        assert_int_equal(mp_pool_resize(pool, sizes[k]), 0);
        assert_int_equal(mp_pool_processes(pool), sizes[k]);
        assert_true(has_workers(pool, sizes[k]));
        run_together(pool, sizes[k]);
        assert_int_equal(mp_pool_worker_pids(pool, pids, MOST), sizes[k]);
        for (int i = 0; i < sizes[k]; i++)
            assert_int_equal(kill(pids[i], 0), 0);
    }
    assert_int_equal(finish(pool), 0);
}

static void one_too_many_finishes_its_item(void **state)
{
    (void)state;
    mp_pool *pool = make(3);
    mp_result *r[3];
    for (int i = 0; i < 3; i++)
        r[i] = hold_running(pool, i);
    assert_int_equal(mp_pool_resize(pool, 1), 0);
    assert_int_equal(mp_pool_worker_pids(pool, NULL, 0), 3);
    for (int i = 0; i < 3; i++)
        let_go(r[i], i);
    assert_true(has_workers(pool, 1));
    assert_int_equal(finish(pool), 0);
}

/* One that dies is not replaced, but its item is settled, or tried again by another for that. */
static void one_too_many_dies(void **state)
{
    (void)state;
    for (int retries = 0; retries < 2; retries++) {
        mp_pool *pool = make(2);
        mp_result *r[2];
        for (int i = 0; i < 2; i++) {
            mp_job job = {.size = sizeof job,
                          .task = held,
                          .in = &i,
                          .in_size = sizeof i,
                          .out_size = sizeof i,
                          .count = 1,
                          .retries = retries};
            assert_int_equal(mp_pool_submit(pool, &r[i], &job), 0);
            assert_true(await(&board->pid[i]));
        }
        assert_int_equal(mp_pool_resize(pool, 1), 0);
        pid_t first[2] = {board->pid[0], board->pid[1]};
        for (int i = 0; i < 2; i++) {
            release(i);
            kill(first[i], SIGKILL);
        }
        for (int i = 0; i < 2; i++) {
            int rc = mp_result_get(r[i], NULL, 0, LONG);
            assert_true(rc == 0 || (rc == MP_ECRASHED && retries == 0));
            mp_result_free(r[i]);
        }
        assert_true(has_workers(pool, 1));
        run_together(pool, 1);
        assert_int_equal(finish(pool), 0);
    }
}

/* Every item runs once, whatever the size does meanwhile. */
static void resized_under_maps(void **state)
{
    (void)state;
    enum { N = 20000 };
    static long in[N], out[N];
    count_up(in, N);
    mp_pool *pool = make(2);
    const size_t chunks[] = {0, 1, 7};
    for (int k = 0; k < 60; k++) {
        mp_result *r;
        memset(out, 0xff, sizeof out);
        mp_job job = {.size = sizeof job,
                      .task = square,
                      .in = in,
                      .in_size = sizeof *in,
                      .out = out,
                      .out_size = sizeof *out,
                      .count = N,
                      .chunksize = chunks[k % 3]};
        assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
        assert_int_equal(mp_pool_resize(pool, 1 + k * 5 % 7), 0);
        assert_int_equal(mp_pool_resize(pool, 1 + k * 3 % 5), 0);
        assert_int_equal(mp_result_wait(r, LONG), 0);
        assert_true(mp_result_successful(r));
        for (long i = 0; i < N; i++)
            assert_int_equal(out[i], i * i);
        mp_result_free(r);
    }
    assert_int_equal(finish(pool), 0);
}

/* ---- idle ---- */

static void idle_workers_rest_and_come_back(void **state)
{
    (void)state;
    mp_pool *pool;
    pid_t before[4], rest = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 4, .idle_timeout = 0.02), 0);
    for (int round = 0; round < 3; round++) {
        run_together(pool, 4);
        assert_in_range(mp_pool_worker_pids(pool, before, 4), 0, 4);
        assert_true(has_workers(pool, 1)); /* one stays */
        assert_int_equal(mp_pool_worker_pids(pool, &rest, 1), 1);
        assert_int_equal(mp_pool_processes(pool), 4);
    }
    /* That one dies: it is replaced, since it must be there. */
    kill(rest, SIGKILL);
    run_together(pool, 4);
    assert_true(has_workers(pool, 1));
    assert_int_equal(mp_pool_resize(pool, 2), 0);
    run_together(pool, 2);
    assert_int_equal(finish(pool), 0);
}

static void bad_idle_times(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .idle_timeout = -1), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .idle_timeout = NAN), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .idle_timeout = INFINITY), 0); /* never */
    assert_int_equal(finish(pool), 0);
}

/* ---- memory ---- */

static void *hoard; /* so that it is no leak */

static int keep_bytes(const void *in, void *out, void *context)
{
    (void)context;
    size_t size = *(const size_t *)in;
    char *block = malloc(size);
    if (block == NULL)
        return -1;
    memset(block, 1, size);
    *(void **)(void *)block = hoard;
    hoard = block;
    *(int *)out = getpid();
    nap(0.006); /* longer than the pool looks away */
    return 0;
}

static void a_worker_that_has_grown_is_replaced(void **state)
{
    (void)state;
    enum { N = 8 };
    size_t in[N];
    int pids[N], changes[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        mp_pool *pool;
        for (int i = 0; i < N; i++)
            in[i] = k == 0 ? 8 * MEGABYTE : 4096;
        assert_int_equal(mp_pool_new(&pool, .processes = 1, .max_memory_per_child = 12 * MEGABYTE),
                         0);
        assert_int_equal(mp_pool_map(pool, keep_bytes, in, sizeof *in, pids, sizeof *pids, N), 0);
        for (int i = 1; i < N; i++)
            changes[k] += pids[i] != pids[i - 1];
        assert_int_equal(finish(pool), 0);
    }
    assert_int_equal(changes[0], 3); /* each had two items */
    assert_int_equal(changes[1], 0);
}

/* ---- deaths ---- */

static int die(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    _exit(3);
}

/* Every item kills its worker: all are told, and the machine is not asked for as many processes as
 * it can make. */
static void deaths_in_a_row(void **state)
{
    (void)state;
    enum { N = 140 };
    mp_task_error errors[N];
    mp_pool *pool = make(2);
    mp_job job = {.size = sizeof job, .task = die, .count = N, .errors = errors};
    double before = seconds();
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ECRASHED);
    /* A hundred at once; the others come 5 ms apart, but for those two that are there already. */
    assert_true(seconds() - before >= (N - 100 - 2) * 0.005 - 0.001);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(errors[i].code, MP_ECRASHED);
        assert_int_equal(errors[i].exit_status, 3);
    }
    run_together(pool, 2);
    assert_int_equal(finish(pool), 0);
}

/* ---- the default pool ---- */

static int in_child(void)
{
    mp_pool *pool;
    long in[3] = {1, 2, 3}, out[3] = {0};
    bool good = mp_pool_default(&pool) == 0 && MP_MAP(pool, square, in, out, 3) == 0 && out[2] == 9;
    return good ? 0 : 1;
}

static int use_the_default_pool(void)
{
    mp_pool *pool, *again, *other;
    long in[3] = {1, 2, 3}, out[3] = {0};
    int status;
    CHECK(mp_pool_default(NULL) == MP_EINVAL);
    CHECK(mp_pool_default(&pool) == 0 && mp_pool_default(&again) == 0 && again == pool);
    CHECK(mp_pool_processes(pool) == mp_cpu_count());
    mp_pool_free(pool); /* harmless */
    CHECK(MP_MAP(pool, square, in, out, 3) == 0 && out[2] == 9);
    CHECK(mp_pool_close(pool) == 0 && mp_pool_join(pool, LONG) == 0);
    CHECK(mp_pool_default(&other) == 0 && other != pool);
    CHECK(MP_MAP(other, square, in, out, 3) == 0 && MP_MAP(pool, square, in, out, 3) == MP_ESTATE);
    CHECK(mp_pool_terminate(other) == 0 && mp_pool_default(&again) == 0 && again != other);
    kill(supervisor_of(again), SIGKILL);
    int rc;
    while ((rc = mp_pool_join(again, LONG)) == MP_ESTATE) /* it is dying still */
        nap(0.001);
    CHECK(rc == 0);
    /* Those that have ended keep no descriptor. */
    int descriptors = 0;
    for (int i = 0; i < 10; i++) {
        CHECK(mp_pool_default(&pool) == 0 && MP_MAP(pool, square, in, out, 3) == 0);
        if (i == 1)
            descriptors = open_descriptors();
        CHECK(i == 0 || open_descriptors() == descriptors);
        CHECK(i == 9 || mp_pool_terminate(pool) == 0);
    }
    CHECK(mp_pool_terminate(other) == 0 && mp_pool_join(other, LONG) == 0);
    pid_t child = fork();
    if (child == 0)
        exit(in_child());
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(MP_MAP(pool, square, in, out, 3) == 0);
    return 0; /* it ends with the process */
}

static void the_default_pool(void **state)
{
    (void)state;
    pid_t program = fork();
    if (program == 0)
        exit(use_the_default_pool());
    int status = -1;
    assert_int_equal(waitpid(program, &status, 0), program);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(sizes_that_are_none),
        POOL_TEST(up_and_down_and_up),
        POOL_TEST(one_too_many_finishes_its_item),
        POOL_TEST(one_too_many_dies),
        POOL_TEST(resized_under_maps),
        POOL_TEST(idle_workers_rest_and_come_back),
        POOL_TEST(bad_idle_times),
        POOL_TEST(a_worker_that_has_grown_is_replaced),
        POOL_TEST(deaths_in_a_row),
        POOL_TEST(the_default_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
