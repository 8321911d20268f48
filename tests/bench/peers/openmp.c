/* SPDX-License-Identifier: MIT */
#include "pool.h"

#ifdef BENCH_HAVE_OPENMP

#include <omp.h>

const bool bench_has_openmp = true;

void bench_openmp_end(void)
{
    omp_pause_resource_all(omp_pause_hard);
}

void bench_openmp_static(const bench_map *map)
{
    const bench_map m = *map;
#pragma omp parallel for schedule(static) num_threads(BENCH_WORKERS)
    for (size_t i = 0; i < m.count; i++)
        m.task(m.in + i, m.out + i, NULL);
}

void bench_openmp_dynamic(const bench_map *map)
{
    const bench_map m = *map;
#pragma omp parallel for schedule(dynamic, 1) num_threads(BENCH_WORKERS)
    for (size_t i = 0; i < m.count; i++)
        m.task(m.in + i, m.out + i, NULL);
}

void bench_openmp_tasks(const bench_map *map)
{
    const bench_map m = *map;
#pragma omp parallel num_threads(BENCH_WORKERS)
#pragma omp single
    for (size_t i = 0; i < m.count; i++) {
#pragma omp task firstprivate(i)
        m.task(m.in + i, m.out + i, NULL);
    }
}

#else

const bool bench_has_openmp = false;

void bench_openmp_end(void)
{
}

void bench_openmp_static(const bench_map *map)
{
    (void)map;
}

void bench_openmp_dynamic(const bench_map *map)
{
    (void)map;
}

void bench_openmp_tasks(const bench_map *map)
{
    (void)map;
}

#endif
