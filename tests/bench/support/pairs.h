/* SPDX-License-Identifier: MIT */
/* Parties that acquire and release something that lets in one at a time, and do nothing else. */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "bench.h"

#define BENCH_BATCH       64  /* pairs between two looks at the phase */
#define BENCH_ALONE_BATCH 512 /* pairs that are timed together */

/* The first member of what the parties share. */
typedef struct bench_pairs {
    _Alignas(BENCH_LINE) uint64_t count; /* guarded by what is measured */
    _Alignas(BENCH_LINE) _Atomic uint64_t pairs;
    _Atomic int finished;
} bench_pairs;

/* The last party compares: had two been in at once, an increment would be lost. */
static inline void bench_pairs_check(bench_party *p, uint64_t pairs)
{
    bench_pairs *all = p->shared;
    atomic_fetch_add(&all->pairs, pairs);
    if (atomic_fetch_add(&all->finished, 1) + 1 == p->parties)
        BENCH_CHECK(p, all->count == all->pairs);
}

/* NAME_alone, for one party: the median of batches; NAME, for several: these increment the count.
 * `acquire` and `release` are expressions that may use p and t, the things that they share. */
#define BENCH_PAIRS(name, acquire, release)                                                        \
    static void name##_alone(bench_party *p)                                                       \
    {                                                                                              \
        things *t = p->shared;                                                                     \
        while (bench_go_on(p, 0)) {                                                                \
            int64_t before = bench_now();                                                          \
            for (int i = 0; i < BENCH_ALONE_BATCH; i++) {                                          \
                acquire;                                                                           \
                release;                                                                           \
            }                                                                                      \
            bench_sample(p, bench_now() - before);                                                 \
        }                                                                                          \
        bench_report_samples(p, BENCH_ALONE_BATCH);                                                \
    }                                                                                              \
    static void name(bench_party *p)                                                               \
    {                                                                                              \
        things *t = p->shared;                                                                     \
        uint64_t pairs = 0;                                                                        \
        do {                                                                                       \
            for (int i = 0; i < BENCH_BATCH; i++) {                                                \
                acquire;                                                                           \
                t->all.count++;                                                                    \
                release;                                                                           \
            }                                                                                      \
            pairs += BENCH_BATCH;                                                                  \
        } while (bench_go_on(p, BENCH_BATCH));                                                     \
        bench_pairs_check(p, pairs);                                                               \
    }

#endif
