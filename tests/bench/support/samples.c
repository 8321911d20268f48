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

void bench_report_samples(bench_party *p, int pieces)
{
    if (taken == 0)
        bench_fail(p, "nothing was done in the time");
    qsort(samples, (size_t)taken, sizeof *samples, ascending);
    bench_report(p, (double)samples[taken / 2] / 1e9 / pieces);
}
