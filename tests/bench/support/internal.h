/* SPDX-License-Identifier: MIT */
/* Between the parts of the benchmarks' support. */
#ifndef BENCH_INTERNAL_H
#define BENCH_INTERNAL_H

#include "bench.h"

#define BENCH_RUNS       15 /* of a contender, at most */
#define BENCH_CONTENDERS 20

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

/* Whether the contender was not there when this was built. */
static inline bool bench_is_missing(const bench_contender *c)
{
    return (c->peer != NULL && c->peer->one_way == NULL) || (c->built != NULL && !*c->built);
}

void bench_run_init(void);       /* once, before the first run */
const char *bench_python(void);  /* the interpreter, or NULL */
int bench_processors(void);      /* how many this process may use */
unsigned bench_processor(int i); /* the number of one of them */

void bench_print_heading(const bench_metric *metrics, int count);

/* What BENCH_QUICK leaves out, in one line. */
void bench_print_quick(const bench_metric *metrics, int count, int tables, int all);

void bench_print_group(const bench_group *g);

#endif
