/* SPDX-License-Identifier: MIT */
/* The order of the runs, and how much time each table gets. */
#include "bench.h"

#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define FAILURES 3 /* after so many it is not tried again, nor if it hung at once */

static bool quick;
static const char *only;   /* metrics whose name contains it; NULL: all */
static int64_t end_of_all; /* by bench_now(); 0: none */

static int runs_of(const bench_metric *m, const bench_contender *c)
{
    int runs = m->runs != 0 ? m->runs : quick ? 3 : BENCH_RUNS;
    int most = c->python == NULL ? BENCH_RUNS : quick ? 1 : 3; /* it takes long to start */
    return runs < most ? runs : most;
}

static double seconds_of(const bench_metric *m)
{
    double seconds = m->seconds != 0 ? m->seconds : 0.06;
    return quick ? seconds / 2 : seconds;
}

static int count_of(const bench_contender *contenders)
{
    int n = 0;
    while (n < BENCH_CONTENDERS && contenders[n].name != NULL)
        n++;
    return n;
}

/* The placements at which it is measured. */
static unsigned placements_of(const bench_metric *m)
{
    if (only != NULL && strstr(m->name, only) == NULL)
        return 0;
    return quick ? m->placements & ~m->thorough : m->placements;
}

/* What is not done by `end` is not done, but of each contender one run. */
static void measure(bench_group *g, bench_page *page, int64_t end)
{
    const bench_metric *m = g->metric;
    int n = count_of(m->contenders);
    for (int r = 0; r < BENCH_RUNS; r++)
        for (int i = 0; i < n; i++) {
            const bench_contender *c = &m->contenders[i];
            g->value[i][r] = NAN;
            if (r >= runs_of(m, c) && g->failed[i] < r)
                continue;
            if (g->failed[i] >= FAILURES || bench_is_missing(c) || (quick && c->thorough) ||
                (g->failed[i] < r && bench_now() > end))
                continue;
            if (bench_run_once(page, m, c, g->placement, seconds_of(m))) {
                g->value[i][r] = page->value;
            } else {
                g->failed[i] += page->hung && g->failed[i] == r ? FAILURES : 1;
                memcpy(g->why[i], page->why, sizeof page->why);
            }
        }
}

/* Whether ours could be measured. */
static bool has_ours(const bench_group *g)
{
    bool measured = true;
    for (int i = 0; i < count_of(g->metric->contenders); i++)
        if (strcmp(g->metric->contenders[i].name, "ours") == 0) {
            measured = false;
            for (int r = 0; r < BENCH_RUNS; r++)
                measured = measured || !isnan(g->value[i][r]);
        }
    return measured;
}

/* `left` tables have to be done, this one included. Returns whether ours could be measured. */
static bool measure_at(const char *bench, const bench_metric *m, unsigned placement,
                       bench_page *page, int left)
{
    static bench_group g;
    memset(&g, 0, sizeof g);
    g.bench = bench;
    g.metric = m;
    g.placement = placement;
    int64_t now = bench_now();
    if (end_of_all != 0 && now >= end_of_all) {
        printf("\n%s %s: left out, no time is left\n", bench, m->name);
        return true;
    }
    if (placement == BENCH_PINNED && bench_processors() < 2) {
        printf("\n%s %s: left out on two processors, there is but one\n", bench, m->name);
        return true;
    }
    int64_t most = m->thorough == m->placements ? 10000000000 : 20000000000;
    int64_t share = end_of_all != 0 ? (end_of_all - now) / left : most;
    measure(&g, page, now + (share < most ? share : most));
    bench_print_group(&g);
    return has_ours(&g);
}

/* How many tables there will be. */
static int plan(const bench_metric *metrics, int count)
{
    int tables = 0, all = 0;
    for (int i = 0; i < count; i++)
        for (unsigned where = BENCH_ALONE; where <= BENCH_FREE; where *= 2) {
            all += (metrics[i].placements & where) != 0;
            tables += (placements_of(&metrics[i]) & where) != 0;
        }
    if (quick)
        bench_print_quick(metrics, count, tables, all);
    return tables;
}

int bench_main(const char *bench, const bench_metric *metrics, int count)
{
    const char *q = getenv("BENCH_QUICK"), *end = getenv("BENCH_END");
    quick = q != NULL && q[0] != '\0' && strcmp(q, "0") != 0;
    only = getenv("BENCH_METRIC");
    if (end != NULL && end[0] != '\0')
        end_of_all = bench_now() + (atoll(end) - time(NULL)) * 1000000000;
    bench_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    bench_run_init();
    bench_print_heading(metrics, count);
    int left = plan(metrics, count);
    bool good = true;
    for (int i = 0; i < count; i++)
        for (unsigned where = BENCH_ALONE; where <= BENCH_FREE; where *= 2)
            if (placements_of(&metrics[i]) & where)
                good = measure_at(bench, &metrics[i], where, page, left--) && good;
    munmap(page, sizeof *page);
    return good ? 0 : 1;
}
