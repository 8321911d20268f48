/* SPDX-License-Identifier: MIT */
/* Between the parts of the benchmarks' support. */
#ifndef BENCH_INTERNAL_H
#define BENCH_INTERNAL_H

#include "bench.h"

#define BENCH_RUNS       15 /* of a contender, at most */
#define BENCH_CONTENDERS 12

/* The figures of one metric at one placement. */
typedef struct bench_group {
    const char *bench;
    const bench_metric *metric;
    unsigned placement;
    double value[BENCH_CONTENDERS][BENCH_RUNS]; /* NAN: none */
    int failed[BENCH_CONTENDERS];               /* runs */
    char why[BENCH_CONTENDERS][200];            /* the last of them failed */
} bench_group;

/* Runs a contender once. Returns whether it succeeded; else page->why says what happened. */
bool bench_run_once(bench_page *page, const bench_metric *m, const bench_contender *c,
                    unsigned placement, double seconds);

void bench_run_init(void);       /* once, before the first run */
const char *bench_python(void);  /* the interpreter, or NULL */
int bench_processors(void);      /* how many this process may use */
unsigned bench_processor(int i); /* the number of one of them */

void bench_print_heading(void);
void bench_print_group(const bench_group *g);

#endif
