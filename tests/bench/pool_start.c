/* SPDX-License-Identifier: MIT */
/*
 * Lives of a pool and of its workers.
 *
 * start-N            how long it takes to make a pool of N workers, run as many tasks, one at a
 *                    time for each worker, close it and wait until its processes are gone.
 *                    "prefork" is that by hand: fork, a pipe to each worker, a pipe back, waitpid
 * killed-settled     a worker is killed while it runs an item: from just before kill() until
 *                    mp_result_wait() says that the item is lost
 * killed-replaced    the same until a new worker runs an item: one is waiting, and the other worker
 *                    is busy. No peer does it: Python's Pool never settles the lost item
 */
#include "peers/pool.h"
#include "support/bench.h"

#include <mproc.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MOST 8

enum { SETTLED, REPLACED }; /* the metric's argument */

static int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

static void end(bench_party *p, mp_pool *pool)
{
    BENCH_OURS(p, mp_pool_close(pool));
    BENCH_OURS(p, mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

/* ---- Start and end */

static void live_ours(bench_party *p)
{
    long in[WORKERS_MOST] = {3, 3, 3, 3, 3, 3, 3, 3}, out[WORKERS_MOST] = {0};
    mp_job job = {.size = sizeof job,
                  .task = square,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = p->length,
                  .chunksize = 1};
    mp_pool *pool;
    BENCH_OURS(p, mp_pool_new(&pool, .processes = (int)p->length));
    BENCH_OURS(p, mp_pool_run(pool, &job, MP_FOREVER));
    for (size_t i = 0; i < p->length; i++)
        BENCH_CHECK(p, out[i] == 9);
    end(p, pool);
}

static void live_prefork(bench_party *p)
{
    BENCH_CHECK(p, bench_prefork((int)p->length, square));
}

static void time_lives(bench_party *p, void (*live)(bench_party *p))
{
    while (bench_go_on(p, 0)) {
        int64_t before = bench_now();
        live(p);
        bench_sample(p, bench_now() - before);
    }
    bench_report_samples(p, 1);
}

static void ours(bench_party *p)
{
    time_lives(p, live_ours);
}

static void prefork(bench_party *p)
{
    time_lives(p, live_prefork);
}

/* ---- A worker is killed */

typedef struct scene {
    _Atomic int pid[BENCH_WORKERS]; /* of the workers that are busy */
    _Atomic int64_t ran;            /* when the item that waited did */
    _Atomic bool over;
} scene;

static void nap(void)
{
    nanosleep(&(struct timespec){0, 100000}, NULL);
}

/* The input is its number; one that is not a worker's place is the item that waits. */
static int act(const void *in, void *out, void *context)
{
    (void)out;
    scene *s = context;
    int number = *(const int *)in;
    if (number == BENCH_WORKERS) {
        atomic_store(&s->ran, bench_now());
        return 0;
    }
    atomic_store(&s->pid[number], getpid());
    while (!atomic_load(&s->over))
        nap();
    return 0;
}

static mp_result *submit(bench_party *p, mp_pool *pool, int number)
{
    mp_result *r;
    mp_job job = {.size = sizeof job,
                  .task = act,
                  .context = p->shared,
                  .in = &number,
                  .in_size = sizeof number,
                  .count = 1};
    BENCH_OURS(p, mp_pool_submit(pool, &r, &job));
    return r;
}

static int64_t kill_one(bench_party *p, scene *s, mp_result *results[])
{
    for (int i = 0; i < BENCH_WORKERS; i++)
        while (atomic_load(&s->pid[i]) == 0)
            nap();
    int64_t before = bench_now();
    BENCH_CHECK(p, kill(atomic_load(&s->pid[0]), SIGKILL) == 0);
    BENCH_OURS(p, mp_result_wait(results[0], MP_FOREVER));
    int64_t settled = bench_now();
    BENCH_CHECK(p, mp_result_get(results[0], NULL, 0, MP_NO_WAIT) == MP_ECRASHED);
    BENCH_OURS(p, mp_result_get(results[BENCH_WORKERS], NULL, 0, MP_FOREVER));
    return (p->argument == SETTLED ? settled : atomic_load(&s->ran)) - before;
}

static void play(bench_party *p)
{
    scene *s = p->shared;
    *s = (scene){.over = false};
    mp_pool *pool;
    mp_result *results[BENCH_WORKERS + 1];
    BENCH_OURS(p, mp_pool_new(&pool, .processes = BENCH_WORKERS));
    for (int i = 0; i <= BENCH_WORKERS; i++)
        results[i] = submit(p, pool, i);
    int64_t took = kill_one(p, s, results);
    atomic_store(&s->over, true);
    for (int i = 0; i <= BENCH_WORKERS; i++)
        mp_result_free(results[i]);
    end(p, pool);
    bench_sample(p, took);
}

static void ours_killed(bench_party *p)
{
    while (bench_go_on(p, 0))
        play(p);
    bench_report_samples(p, 1);
}

/* ---- What is compared */

static const bench_contender lives[] = {
    {.name = "ours", .party = ours},
    {.name = "prefork", .party = prefork, .need = {.at_most = 1.5}},
    {.name = "python-Pool", .python = "Pool start", .need = {.at_most = 0.125}},
    {.name = "python-Executor", .python = "Executor start", .thorough = true},
    {0},
};

static const bench_contender killed[] = {{.name = "ours", .party = ours_killed}, {0}};

#define METRIC(text, compared, what, workers)                                                      \
    .name = text, .contenders = compared, .parties = 1, .placements = BENCH_FREE,                  \
    .unit = BENCH_US, .argument = (what), .length = (workers), .seconds = 0.2

static const bench_metric metrics[] = {
    {METRIC("start-2", lives, 0, 2)},
    {METRIC("start-8", lives, 0, 8)},
    {METRIC("killed-settled", killed, SETTLED, 1), .need = {.at_most = 10000}},
    {METRIC("killed-replaced", killed, REPLACED, 1), .need = {.at_most = 10000}},
};

int main(void)
{
    return bench_main("pool_start", metrics, sizeof metrics / sizeof *metrics);
}
