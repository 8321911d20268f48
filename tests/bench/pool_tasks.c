/* SPDX-License-Identifier: MIT */
/*
 * Single tasks for a pool of two workers, who have started. A task squares a long.
 *
 * apply           mp_pool_apply() again and again: the next task comes when the last is done
 * apply-asleep    the same when the workers were left idle for so long that they sleep; the program
 *                 works meanwhile
 * async           how many go through mp_pool_apply_async(), with 1000 on their way: the oldest is
 *                 got and freed before the next is submitted. OpenMP and TBB, the limits, make 1000
 *                 tasks for their two threads and wait for all of them
 * async-memory    the most shared memory that was set aside for it, beyond what an idle pool has
 *
 * "unix-stream" is one worker process that reads 16 bytes from a socket and writes 16.
 */
#include "peers/pool.h"
#include "support/bench.h"

#include <mproc.h>

#define WINDOW  1000
#define BATCH   16     /* calls that are timed together */
#define LEAST   100000 /* tasks until its memory counts */
#define IDLE_NS 300000 /* longer than anybody looks for work before it sleeps */

enum { AWAKE, ASLEEP }; /* the metric's argument */

static __attribute__((noinline)) int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

static mp_pool *begin(bench_party *p)
{
    mp_pool *pool;
    BENCH_OURS(p, mp_pool_new(&pool, .processes = BENCH_WORKERS));
    return pool;
}

static void end(bench_party *p, mp_pool *pool)
{
    BENCH_OURS(p, mp_pool_close(pool));
    BENCH_OURS(p, mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

/* ---- One at a time */

typedef long applier(bench_party *p, void *with, long in);

static void one_by_one(bench_party *p, applier *apply, void *with)
{
    int batch = p->argument == ASLEEP ? 1 : BATCH;
    long in = 0;
    while (bench_go_on(p, 0)) {
        int64_t before = bench_now();
        while (p->argument == ASLEEP && bench_now() - before < IDLE_NS)
            ;
        before = bench_now();
        for (int i = 0; i < batch; i++, in++)
            BENCH_CHECK(p, apply(p, with, in) == in * in);
        bench_sample(p, bench_now() - before);
    }
    bench_report_samples(p, batch);
}

static long apply_ours(bench_party *p, void *pool, long in)
{
    long out = -1;
    BENCH_OURS(p, mp_pool_apply(pool, square, &in, sizeof in, &out, sizeof out, MP_FOREVER));
    return out;
}

static void ours(bench_party *p)
{
    mp_pool *pool = begin(p);
    one_by_one(p, apply_ours, pool);
    end(p, pool);
}

static long apply_socket(bench_party *p, void *worker, long in)
{
    long out = -1;
    BENCH_CHECK(p, bench_socket_apply(worker, in, &out));
    return out;
}

static void unix_stream(bench_party *p)
{
    bench_socket_worker worker;
    BENCH_CHECK(p, bench_socket_start(&worker, square));
    one_by_one(p, apply_socket, &worker);
    BENCH_CHECK(p, bench_socket_stop(&worker));
}

/* ---- Many at once */

typedef struct window {
    mp_result *result[WINDOW];
    long in[WINDOW];
    long next;
} window;

static void get_oldest(bench_party *p, window *w)
{
    long place = w->next % WINDOW, out = -1;
    if (w->result[place] == NULL)
        return;
    BENCH_OURS(p, mp_result_get(w->result[place], &out, sizeof out, MP_FOREVER));
    BENCH_CHECK(p, out == w->in[place] * w->in[place]);
    mp_result_free(w->result[place]);
    w->result[place] = NULL;
}

static void put_next(bench_party *p, mp_pool *pool, window *w)
{
    long place = w->next % WINDOW;
    get_oldest(p, w);
    w->in[place] = w->next++;
    BENCH_OURS(p, mp_pool_apply_async(pool, &w->result[place], square, &w->in[place],
                                      sizeof w->in[place], sizeof(long)));
}

static void drain(bench_party *p, window *w)
{
    for (int i = 0; i < WINDOW; i++, w->next++)
        get_oldest(p, w);
}

static void ours_async(bench_party *p)
{
    static window w;
    mp_pool *pool = begin(p);
    do {
        for (int i = 0; i < BATCH; i++)
            put_next(p, pool, &w);
    } while (bench_go_on(p, BATCH));
    drain(p, &w);
    end(p, pool);
}

static void memory(bench_party *p)
{
    static window w;
    mp_shared_usage before = {.size = sizeof before}, after = {.size = sizeof after};
    mp_pool *pool = begin(p);
    BENCH_CHECK(p, apply_ours(p, pool, 2) == 4);
    BENCH_OURS(p, mp_shared_stats(&before));
    for (bool go_on = true; go_on || w.next < LEAST; go_on = go_on && bench_go_on(p, 0))
        put_next(p, pool, &w);
    drain(p, &w);
    BENCH_OURS(p, mp_shared_stats(&after));
    bench_report(p, ((double)after.peak - (double)before.reserved) / 1024);
    end(p, pool);
}

static void in_batches(bench_party *p, void (*run)(const bench_map *map))
{
    static long in[WINDOW], out[WINDOW];
    bench_map map = {square, in, out, WINDOW};
    for (long i = 0; i < WINDOW; i++)
        in[i] = i;
    do {
        run(&map);
    } while (bench_go_on(p, WINDOW));
    for (long i = 0; i < WINDOW; i++)
        BENCH_CHECK(p, out[i] == i * i);
}

static void openmp_tasks(bench_party *p)
{
    in_batches(p, bench_openmp_tasks);
    bench_openmp_end();
}

static void tbb_tasks(bench_party *p)
{
    in_batches(p, bench_tbb_tasks);
}

/* ---- What is compared */

static const bench_contender apply[] = {
    {.name = "ours", .party = ours},
    {.name = "unix-stream", .party = unix_stream},
    {.name = "python-Pool.apply", .python = "Pool apply", .need = {.at_most = 0.25}},
    {.name = "python-Executor.submit", .python = "Executor apply", .thorough = true},
    {0},
};

static const bench_contender apply_asleep[] = {
    {.name = "ours", .party = ours},
    {.name = "unix-stream", .party = unix_stream, .need = {.at_most = 1.1}},
    {.name = "python-Pool.apply", .python = "Pool apply_asleep", .need = {.at_most = 0.25}},
    {.name = "python-Executor.submit", .python = "Executor apply_asleep", .thorough = true},
    {0},
};

static const bench_contender async[] = {
    {.name = "ours", .party = ours_async},
    {.name = "openmp-tasks", .party = openmp_tasks, .built = &bench_has_openmp},
    {.name = "tbb-task_group", .party = tbb_tasks, .built = &bench_has_tbb},
    {.name = "python-Pool.apply_async", .python = "Pool apply_async"},
    {.name = "python-Executor.submit", .python = "Executor apply_async", .thorough = true},
    {0},
};

static const bench_contender of_memory[] = {{.name = "ours", .party = memory}, {0}};

#define METRIC(text, compared, how, in)                                                            \
    .name = text, .contenders = compared, .parties = 1, .placements = BENCH_FREE,                  \
    .unit = BENCH_##in, .argument = (how), .length = 1

static const bench_metric metrics[] = {
    {METRIC("apply", apply, AWAKE, US), .need = {.at_most = 0.5}},
    {METRIC("apply-asleep", apply_asleep, ASLEEP, US), .seconds = 0.2},
    {METRIC("async", async, 0, MILLIONS), .need = {.at_least = 2}, .seconds = 0.2},
    {METRIC("async-memory", of_memory, 0, KIB), .seconds = 0.4, .runs = 3},
};

int main(void)
{
    return bench_main("pool_tasks", metrics, sizeof metrics / sizeof *metrics);
}
