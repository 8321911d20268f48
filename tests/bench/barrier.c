/* SPDX-License-Identifier: MIT */
/*
 * Barrier: how many rounds a second the parties do together that do nothing else: two that stay
 * awake, each on a processor of its own; two on one processor; and eight on what there is. The
 * figure comes from the median of the times of 16 rounds. In each 64th round a party looks whether
 * another has come as far.
 */
#include "support/bench.h"

#include <mproc.h>
#include <pthread.h>

typedef struct things {
    _Alignas(BENCH_LINE) pthread_barrier_t pthread;
    _Alignas(BENCH_LINE) mp_barrier *ours;
    struct {
        _Alignas(BENCH_LINE) _Atomic uint64_t round;
    } party[BENCH_PARTIES];
} things;

/* The next party's round is this one, or one more: it cannot be behind, nor two ahead. */
static inline void check(bench_party *p, things *t, uint64_t round)
{
    int next = p->index + 1 < p->parties ? p->index + 1 : 0;
    uint64_t its = atomic_load_explicit(&t->party[next].round, memory_order_relaxed);
    BENCH_CHECK(p, its - round <= 1);
}

/* A party that does rounds. It looks at another's round only now and then: that costs a miss. */
#define PARTY(name, wait)                                                                          \
    static void name(bench_party *p)                                                               \
    {                                                                                              \
        things *t = p->shared;                                                                     \
        for (uint64_t round = 1;; round++) {                                                       \
            bench_begin_round(p, round);                                                           \
            if (round % 64 == 0)                                                                   \
                atomic_store_explicit(&t->party[p->index].round, round / 64,                       \
                                      memory_order_relaxed);                                       \
            wait;                                                                                  \
            if (round % 64 == 0)                                                                   \
                check(p, t, round / 64);                                                           \
            if (bench_last(p, round))                                                              \
                break;                                                                             \
        }                                                                                          \
        bench_end_rounds(p);                                                                       \
    }

static void make_ours(bench_party *p)
{
    BENCH_OURS(p, mp_barrier_new(&((things *)p->shared)->ours, p->parties));
}

PARTY(use_ours, BENCH_OURS(p, mp_barrier_wait(t->ours, MP_FOREVER)))

static void make_pthread(bench_party *p)
{
    pthread_barrierattr_t a;
    BENCH_CHECK(p, pthread_barrierattr_init(&a) == 0);
    BENCH_CHECK(p, pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
    BENCH_CHECK(
        p, pthread_barrier_init(&((things *)p->shared)->pthread, &a, (unsigned)p->parties) == 0);
}

static inline bool waited(int rc)
{
    return rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD;
}

PARTY(use_pthread, BENCH_CHECK(p, waited(pthread_barrier_wait(&t->pthread))))

static const bench_contender two[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "pthread-barrier",
     .prepare = make_pthread,
     .party = use_pthread,
     .need = {.at_least = 100, .where = BENCH_PINNED | BENCH_FREE}},
    {.name = "python-Barrier",
     .python = "Barrier rounds",
     .need = {.at_least = 5, .where = BENCH_PINNED | BENCH_FREE}},
    {0},
};

static const bench_contender eight[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "pthread-barrier",
     .prepare = make_pthread,
     .party = use_pthread,
     .need = {.at_least = 0.9}},
    {.name = "python-Barrier",
     .python = "Barrier rounds",
     .need = {.at_least = 5, .where = BENCH_PINNED | BENCH_FREE}},
    {0},
};

static const bench_metric metrics[] = {
    {.name = "2-parties",
     .contenders = two,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_ONE_CPU | BENCH_FREE,
     .unit = BENCH_THOUSANDS},
    {.name = "8-parties",
     .contenders = eight,
     .parties = 8,
     .placements = BENCH_PINNED | BENCH_FREE,
     .unit = BENCH_THOUSANDS},
};

int main(void)
{
    return bench_main("barrier", metrics, sizeof metrics / sizeof *metrics);
}
