/* SPDX-License-Identifier: MIT */
/*
 * Semaphore of value 1: how long acquire + release takes when nobody else wants the permit, and how
 * many pairs two processes together get done that do nothing else but increment a counter
 * meanwhile, by which a semaphore that lets in two at once is found out.
 */
#include "support/pairs.h"

#include <mproc.h>
#include <semaphore.h>

typedef struct things {
    bench_pairs all;
    _Alignas(BENCH_LINE) sem_t posix;
    _Alignas(BENCH_LINE) mp_semaphore *ours;
} things;

static void make_ours(bench_party *p)
{
    BENCH_OURS(p, mp_semaphore_new(&((things *)p->shared)->ours, 1));
}

static void make_owned(bench_party *p)
{
    BENCH_OURS(p, mp_semaphore_new(&((things *)p->shared)->ours, 1, .owned = MP_YES));
}

BENCH_PAIRS(use_ours, BENCH_OURS(p, mp_semaphore_acquire(t->ours, MP_FOREVER)),
            BENCH_OURS(p, mp_semaphore_release(t->ours, 1)))

static void make_posix(bench_party *p)
{
    BENCH_CHECK(p, sem_init(&((things *)p->shared)->posix, 1, 1) == 0);
}

BENCH_PAIRS(use_posix, BENCH_CHECK(p, sem_wait(&t->posix) == 0),
            BENCH_CHECK(p, sem_post(&t->posix) == 0))

static const bench_contender uncontended[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours_alone},
    {.name = "ours-owned", .prepare = make_owned, .party = use_ours_alone},
    {.name = "sem_t", .prepare = make_posix, .party = use_posix_alone, .need = {.at_most = 1.5}},
    {.name = "python-Semaphore", .python = "Semaphore uncontended", .need = {.at_most = 0.2}},
    {0},
};

static const bench_contender contended[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "ours-owned", .prepare = make_owned, .party = use_ours},
    {.name = "sem_t", .prepare = make_posix, .party = use_posix},
    {.name = "python-Semaphore",
     .python = "Semaphore contended",
     .need = {.at_least = 5, .where = BENCH_PINNED | BENCH_FREE}},
    {0},
};

static const bench_metric metrics[] = {
    {.name = "uncontended",
     .contenders = uncontended,
     .parties = 1,
     .placements = BENCH_ALONE,
     .unit = BENCH_NS},
    {.name = "contended",
     .contenders = contended,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_ONE_CPU | BENCH_FREE,
     .unit = BENCH_MILLIONS},
};

int main(void)
{
    return bench_main("semaphore", metrics, sizeof metrics / sizeof *metrics);
}
