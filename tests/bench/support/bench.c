/* SPDX-License-Identifier: MIT */
/* The order of the runs. */
#include "bench.h"

#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define FAILURES 3 /* after so many it is not tried again */

static bool quick;

/* What a group may take; what is not done by then is not done, but each contender runs once. */
static double budget(void)
{
    return quick ? 2 : 20;
}

static int runs_of(const bench_metric *m, const bench_contender *c)
{
    int runs = m->runs != 0 ? m->runs : quick ? 3 : BENCH_RUNS;
    int most = c->python == NULL ? BENCH_RUNS : quick ? 1 : 3; /* it takes long to start */
    return runs < most ? runs : most;
}

static double seconds_of(const bench_metric *m)
{
    double seconds = m->seconds != 0 ? m->seconds : 0.06;
    return quick ? seconds / 3 : seconds;
}

static int count_of(const bench_contender *contenders)
{
    int n = 0;
    while (n < BENCH_CONTENDERS && contenders[n].name != NULL)
        n++;
    return n;
}

static void measure(bench_group *g, bench_page *page)
{
    const bench_metric *m = g->metric;
    int n = count_of(m->contenders);
    int64_t end = bench_now() + (int64_t)(budget() * 1e9);
    for (int r = 0; r < BENCH_RUNS; r++)
        for (int i = 0; i < n; i++) {
            const bench_contender *c = &m->contenders[i];
            g->value[i][r] = NAN;
            if (r >= runs_of(m, c) || g->failed[i] == FAILURES || (r > 0 && bench_now() > end))
                continue;
            if (bench_run_once(page, m, c, g->placement, seconds_of(m))) {
                g->value[i][r] = page->value;
            } else {
                g->failed[i]++;
                memcpy(g->why[i], page->why, sizeof page->why);
            }
        }
}

/* Whether ours could be measured. */
static bool measure_at(const char *bench, const bench_metric *m, unsigned placement,
                       bench_page *page)
{
    static bench_group g;
    memset(&g, 0, sizeof g);
    g.bench = bench;
    g.metric = m;
    g.placement = placement;
    const char *end = getenv("BENCH_END");
    if (end != NULL && end[0] != '\0' && time(NULL) >= atoll(end)) {
        printf("\n%s %s: left out, no time is left\n", bench, m->name);
        return true;
    }
    if (placement == BENCH_PINNED && bench_processors() < 2) {
        printf("\n%s %s: left out on two processors, there is but one\n", bench, m->name);
        return true;
    }
    measure(&g, page);
    bench_print_group(&g);
    bool measured = true;
    for (int i = 0; i < count_of(m->contenders); i++)
        if (strcmp(m->contenders[i].name, "ours") == 0) {
            measured = false;
            for (int r = 0; r < BENCH_RUNS; r++)
                measured = measured || !isnan(g.value[i][r]);
        }
    return measured;
}

int bench_main(const char *bench, const bench_metric *metrics, int count)
{
    const char *q = getenv("BENCH_QUICK");
    quick = q != NULL && q[0] != '\0' && strcmp(q, "0") != 0;
    bench_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    bench_run_init();
    bench_print_heading();
    bool good = true;
    for (int i = 0; i < count; i++)
        for (unsigned where = BENCH_ALONE; where <= BENCH_FREE; where *= 2)
            if (metrics[i].placements & where)
                good = measure_at(bench, &metrics[i], where, page) && good;
    munmap(page, sizeof *page);
    return good ? 0 : 1;
}
