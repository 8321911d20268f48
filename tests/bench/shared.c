/* SPDX-License-Identifier: MIT */
/*
 * Shared memory: how many pairs of mp_shared_alloc and mp_shared_free a second 1, 2, 4 and 8
 * processes do, each with 16 blocks in hand, of 64 bytes or of every size up to 32 KiB; and how
 * much processor time a pair takes, which says whether the processes hinder each other, also where
 * other work goes on. The peer is malloc, whose memory is each process's own.
 */
#include "support/bench.h"

#include <mproc.h>
#include <stdlib.h>
#include <time.h>

#define HELD  16
#define BATCH 64

enum { SMALL, SMALL_TIME, EVERY, EVERY_TIME }; /* the metric's argument */

typedef struct churn {
    bench_party *p;
    void *held[HELD];
    unsigned seed;
} churn;

static size_t next_size(churn *c)
{
    c->seed = c->seed * 1103515245u + 12345u;
    return c->p->argument >= EVERY ? 1 + (c->seed >> 8) % (1u << (4 + (c->seed >> 24) % 12)) : 64;
}

static void churn_ours(churn *c)
{
    for (int i = 0; i < BATCH; i++) {
        void **place = &c->held[i % HELD];
        mp_shared_free(*place);
        *place = mp_shared_alloc(next_size(c));
        BENCH_CHECK(c->p, *place != NULL);
    }
}

static void churn_malloc(churn *c)
{
    for (int i = 0; i < BATCH; i++) {
        void **place = &c->held[i % HELD];
        free(*place);
        *place = malloc(next_size(c));
        BENCH_CHECK(c->p, *place != NULL);
    }
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void work(bench_party *p, void (*batch)(churn *c))
{
    churn c = {.p = p, .seed = (unsigned)p->index * 7919u + 1};
    uint64_t pairs = 0;
    double before = processor_seconds();
    bool measuring = false;
    do {
        if (!measuring && p->phase == BENCH_MEASURE) { /* the first touches are over */
            measuring = true;
            pairs = 0;
            before = processor_seconds();
        }
        batch(&c);
        pairs += BATCH;
    } while (bench_go_on(p, BATCH));
    if (p->argument % 2 == SMALL_TIME) /* what the parties report is added up */
        bench_report(p, (processor_seconds() - before) / (double)pairs / p->parties);
}

static void found(bench_party *p)
{
    int rc = mp_init();
    BENCH_OURS(p, rc);
}

static void use_ours(bench_party *p)
{
    work(p, churn_ours);
}

static void use_malloc(bench_party *p)
{
    work(p, churn_malloc);
}

static const bench_contender contenders[] = {
    {.name = "ours", .prepare = found, .party = use_ours},
    {.name = "malloc", .party = use_malloc},
    {0},
};

#define METRICS(text, n, what)                                                                     \
    {.name = text,                                                                                 \
     .contenders = contenders,                                                                     \
     .parties = (n),                                                                               \
     .placements = BENCH_PINNED,                                                                   \
     .unit = BENCH_MILLIONS,                                                                       \
     .argument = (what)},                                                                          \
    {                                                                                              \
        .name = text "-cpu-time", .contenders = contenders, .parties = (n),                        \
        .placements = BENCH_PINNED, .unit = BENCH_NS, .argument = (what) + 1                       \
    }

static const bench_metric metrics[] = {
    METRICS("64B-1", 1, SMALL),         METRICS("64B-2", 2, SMALL),
    METRICS("64B-4", 4, SMALL),         METRICS("64B-8", 8, SMALL),
    METRICS("1B-to-32KiB-1", 1, EVERY), METRICS("1B-to-32KiB-2", 2, EVERY),
    METRICS("1B-to-32KiB-4", 4, EVERY), METRICS("1B-to-32KiB-8", 8, EVERY),
};

int main(void)
{
    return bench_main("shared", metrics, sizeof metrics / sizeof *metrics);
}
