/* SPDX-License-Identifier: MIT */
/*
 * Maps over two workers, who have started and are used again and again: ours, and those of OpenMP
 * and TBB, whose two threads share the program's memory.
 *
 * squares             how long a map over a million longs takes that squares each; the arrays come
 *                     from malloc(), so that ours has to copy them there and back. Names that end
 *                     in "-shared" have them in shared memory: ours in MP_ARRAY()
 * squares-shared      the same, in shared memory unless a name says "-private"
 * squares-chunk-1     the same, item by item. Python does a fiftieth of it, its Executor a
 *                     two-hundredth, and what that took is multiplied
 * NAME-efficiency     of items that compute for that long and use no memory: the time of a plain
 *                     loop over twice the time of the map, in percent. Loop and map take turns
 * uneven              a map over items of 1 us, but one in a hundred, at random, of 1 ms
 *
 * Nobody is told how many items to take at once, but where the name says so. Everybody calls the
 * task through a pointer. The figures are medians of the maps of a run.
 */
#include "peers/pool.h"
#include "support/bench.h"

#include <mproc.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SAMPLES 1024

enum { SQUARES, EVEN, UNEVEN }; /* the metric's argument; EVEN + 16 * ns: items of that long */

typedef enum memory { PRIVATE, ANY_SHARED, OUR_SHARED } memory;

typedef void mapper(bench_party *p, const bench_map *map);

static mp_pool *pool;
static double steps_per_ns;

/* ---- Tasks */

static __attribute__((noinline)) int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

/* So many steps, each of which has to wait for the one before. */
static __attribute__((noinline)) int compute(const void *in, void *out, void *context)
{
    (void)context;
    unsigned long x = 1;
    for (long i = *(const long *)in; i > 0; i--) {
        x = x * 6364136223846793005 + 1442695040888963407;
        __asm__ volatile("" : "+r"(x));
    }
    *(long *)out = (long)(x >> 1);
    return 0;
}

static void calibrate(void)
{
    const long steps = 300000;
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        long out;
        int64_t before = bench_now();
        compute(&steps, &out, NULL);
        int64_t took = bench_now() - before;
        least = took < least ? took : least;
    }
    steps_per_ns = (double)steps / (double)least;
}

/* ---- What a map works on */

static long *array(bench_party *p, memory where)
{
    size_t bytes = p->length * sizeof(long);
    long *a = where == PRIVATE ? malloc(bytes)
              : where == OUR_SHARED
                  ? MP_ARRAY(long, (ssize_t)p->length)
                  : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(p, a != NULL && a != MAP_FAILED);
    return a;
}

static long item(bench_party *p, size_t i)
{
    if (p->argument == SQUARES)
        return (long)i;
    if (p->argument != UNEVEN)
        return (long)(p->argument / 16 * steps_per_ns);
    unsigned long random = (i + 1) * 0x9E3779B97F4A7C15;
    bool is_long = (random ^ random >> 29) * 0xBF58476D1CE4E5B9 >> 32 < (1ul << 32) / 100;
    return (long)((is_long ? 1e6 : 1e3) * steps_per_ns);
}

/* Both are touched. */
static bench_map make_map(bench_party *p, memory where)
{
    if (p->argument != SQUARES)
        calibrate();
    long *in = array(p, where), *out = array(p, where);
    for (size_t i = 0; i < p->length; i++) {
        in[i] = item(p, i);
        out[i] = -1;
    }
    bench_task task = p->argument == SQUARES ? square : compute;
    __asm__ volatile("" : "+r"(task));
    return (bench_map){task, in, out, p->length};
}

static void check(bench_party *p, const bench_map *map)
{
    long right = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (p->argument == SQUARES)
            right = map->in[i] * map->in[i];
        else if (i == 0 || map->in[i] != map->in[i - 1])
            compute(&map->in[i], &right, NULL);
        BENCH_CHECK(p, map->out[i] == right);
        map->out[i] = -1;
    }
}

/* ---- What is measured */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double seconds(bench_party *p, const bench_map *map, mapper *run)
{
    int64_t before = bench_now();
    run(p, map);
    return (double)(bench_now() - before) / 1e9;
}

static double efficiency(bench_party *p, const bench_map *map, mapper *run)
{
    int64_t before = bench_now();
    for (size_t i = 0; i < map->count; i++)
        map->task(map->in + i, map->out + i, NULL);
    double alone = (double)(bench_now() - before) / 1e9;
    return 100. / BENCH_WORKERS * alone / seconds(p, map, run);
}

/* The median: those of the warm-up count only if they are so long that there are no others. */
static double median(bench_party *p, const bench_map *map, mapper *run)
{
    static double all[SAMPLES];
    bool is_time = p->argument == SQUARES || p->argument == UNEVEN, measuring = false;
    int n = 0;
    do {
        if (!measuring && p->phase == BENCH_MEASURE) {
            measuring = true;
            n = 0;
        }
        double one = (is_time ? seconds : efficiency)(p, map, run);
        if (n < SAMPLES)
            all[n++] = one;
    } while (bench_go_on(p, 0));
    qsort(all, (size_t)n, sizeof *all, ascending);
    return all[n / 2];
}

static void measure(bench_party *p, memory where, mapper *run)
{
    bench_map map = make_map(p, where);
    run(p, &map);
    check(p, &map);
    bench_report(p, median(p, &map, run));
    check(p, &map);
}

/* ---- Contenders */

static void in_our_chunks(bench_party *p, const bench_map *m)
{
    BENCH_OURS(p, MP_MAP(pool, m->task, m->in, m->out, m->count));
}

static void our_one_by_one(bench_party *p, const bench_map *m)
{
    mp_job job = {.size = sizeof job,
                  .task = m->task,
                  .in = m->in,
                  .in_size = sizeof *m->in,
                  .out = m->out,
                  .out_size = sizeof *m->out,
                  .count = m->count,
                  .chunksize = 1};
    BENCH_OURS(p, mp_pool_run(pool, &job, MP_FOREVER));
}

static void measure_ours(bench_party *p, memory where, mapper *run)
{
    BENCH_OURS(p, mp_pool_new(&pool, .processes = BENCH_WORKERS));
    measure(p, where, run);
    BENCH_OURS(p, mp_pool_close(pool));
    BENCH_OURS(p, mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void measure_openmp(bench_party *p, memory where, mapper *run)
{
    measure(p, where, run);
    bench_openmp_end();
}

static void by_forks(bench_party *p, const bench_map *map)
{
    BENCH_CHECK(p, bench_fork_per_map(map));
}

#define PEER_MAPPER(name)                                                                          \
    static void by_##name(bench_party *p, const bench_map *map)                                    \
    {                                                                                              \
        (void)p;                                                                                   \
        bench_##name(map);                                                                         \
    }
PEER_MAPPER(openmp_static)
PEER_MAPPER(openmp_dynamic)
PEER_MAPPER(tbb_auto)
PEER_MAPPER(tbb_grain)

#define PARTY(name, how, where, mapper)                                                            \
    static void name(bench_party *p)                                                               \
    {                                                                                              \
        how(p, where, mapper);                                                                     \
    }
PARTY(ours, measure_ours, PRIVATE, in_our_chunks)
PARTY(ours_shared, measure_ours, OUR_SHARED, in_our_chunks)
PARTY(ours_single, measure_ours, PRIVATE, our_one_by_one)
PARTY(ours_single_shared, measure_ours, OUR_SHARED, our_one_by_one)
PARTY(openmp_static, measure_openmp, PRIVATE, by_openmp_static)
PARTY(openmp_static_shared, measure_openmp, ANY_SHARED, by_openmp_static)
PARTY(openmp_dynamic, measure_openmp, PRIVATE, by_openmp_dynamic)
PARTY(tbb_auto, measure, PRIVATE, by_tbb_auto)
PARTY(tbb_auto_shared, measure, ANY_SHARED, by_tbb_auto)
PARTY(tbb_grain, measure, PRIVATE, by_tbb_grain)
PARTY(fork_per_map, measure, ANY_SHARED, by_forks)

/* ---- What is compared */

/* After these come further members. */
#define PLAIN(text, function)                                                                      \
    {                                                                                              \
        .name = text, .party = function                                                            \
    }
#define OPENMP(text, function, ...)                                                                \
    {                                                                                              \
        .name = "openmp-" text, .party = function, .built = &bench_has_openmp, __VA_ARGS__         \
    }
#define TBB(text, function, ...)                                                                   \
    {                                                                                              \
        .name = "tbb-" text, .party = function, .built = &bench_has_tbb, __VA_ARGS__               \
    }
#define PYTHON(text, words, ...)                                                                   \
    {                                                                                              \
        .name = "python-" text, .python = words, __VA_ARGS__                                       \
    }
#define AT_MOST(ratio) .need = {.at_most = (ratio)}
#define THOROUGH       .thorough = true

static const bench_contender squares[] = {
    PLAIN("ours", ours),
    PLAIN("ours-shared", ours_shared),
    OPENMP("static", openmp_static, AT_MOST(1.2)),
    OPENMP("static-shared", openmp_static_shared, ),
    TBB("auto", tbb_auto, ),
    PLAIN("fork-per-map-shared", fork_per_map),
    PYTHON("Pool.map", "Pool squares", AT_MOST(0.01)),
    PYTHON("Executor.map-chunk-1000", "Executor squares", THOROUGH),
    {0},
};

static const bench_contender squares_shared[] = {
    PLAIN("ours", ours_shared),
    OPENMP("static", openmp_static_shared, AT_MOST(1.05)),
    OPENMP("static-private", openmp_static, AT_MOST(1.2)),
    TBB("auto", tbb_auto_shared, ),
    {0},
};

static const bench_contender one_by_one[] = {
    PLAIN("ours", ours_single),
    PLAIN("ours-shared", ours_single_shared),
    OPENMP("dynamic-1", openmp_dynamic, AT_MOST(1)),
    TBB("grain-1", tbb_grain, AT_MOST(1)),
    PYTHON("Pool.map-chunk-1", "Pool squares_one_by_one", ),
    PYTHON("Executor.map", "Executor squares_one_by_one", ),
    {0},
};

static const bench_contender efficient[] = {
    PLAIN("ours", ours),
    OPENMP("static", openmp_static, THOROUGH),
    OPENMP("dynamic-1", openmp_dynamic, .need = {.at_least = 1}),
    TBB("auto", tbb_auto, THOROUGH),
    {0},
};

static const bench_contender uneven[] = {
    PLAIN("ours", ours),
    OPENMP("static", openmp_static, THOROUGH),
    OPENMP("dynamic-1", openmp_dynamic, AT_MOST(1.05)),
    TBB("auto", tbb_auto, THOROUGH),
    TBB("grain-1", tbb_grain, THOROUGH),
    {0},
};

#define METRIC(text, compared, kind, items, in, ...)                                               \
    {                                                                                              \
        .name = text, .contenders = compared, .parties = 1, .placements = BENCH_FREE,              \
        .unit = BENCH_##in, .argument = (kind), .length = (items), __VA_ARGS__                     \
    }
#define LEFT_OUT .thorough = BENCH_FREE

static const bench_metric metrics[] = {
    METRIC("squares", squares, SQUARES, 1000000, MS, ),
    METRIC("squares-shared", squares_shared, SQUARES, 1000000, MS, ),
    METRIC("squares-chunk-1", one_by_one, SQUARES, 1000000, MS, ),
    METRIC("1us-efficiency", efficient, EVEN + 16 * 1000, 50000, PERCENT, .seconds = 0.3,
           .need = {.at_least = 97}),
    METRIC("10us-efficiency", efficient, EVEN + 16 * 10000, 5000, PERCENT, .seconds = 0.3,
           .need = {.at_least = 97}, LEFT_OUT),
    METRIC("1ms-efficiency", efficient, EVEN + 16 * 1000000, 50, PERCENT, .seconds = 0.3,
           .need = {.at_least = 97}),
    METRIC("uneven", uneven, UNEVEN, 4000, MS, .seconds = 0.2),
};

int main(void)
{
    return bench_main("pool_map", metrics, sizeof metrics / sizeof *metrics);
}
