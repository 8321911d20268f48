/* SPDX-License-Identifier: MIT */
/* The median within a run, which what interrupts the run now and then does not touch. */
#include "bench.h"

#include <stdlib.h>

#define SAMPLES 65536

static int64_t samples[SAMPLES];
static int taken;

void bench_sample(bench_party *p, int64_t ns)
{
    BENCH_CHECK(p, ns > 0);
    if (p->phase == BENCH_MEASURE && taken < SAMPLES)
        samples[taken++] = ns;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void bench_time_rounds(bench_party *p)
{
    static int64_t before;
    int64_t now = bench_now();
    if (before != 0)
        bench_sample(p, now - before);
    before = now;
}

void bench_report_samples(bench_party *p, int pieces)
{
    if (taken == 0)
        bench_fail(p, "nothing was done in the time");
    qsort(samples, (size_t)taken, sizeof *samples, ascending);
    p->page->result[p->index].count = (uint64_t)pieces;
    p->page->result[p->index].began = 0;
    p->page->result[p->index].ended = samples[taken / 2];
}
