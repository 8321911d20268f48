/* SPDX-License-Identifier: MIT */
/* Whether tbb_pool.cc is there, and what stands for it if not. */
#include "pool.h"

#ifdef BENCH_HAVE_TBB

const bool bench_has_tbb = true;

#else

const bool bench_has_tbb = false;

void bench_tbb_auto(const bench_map *map)
{
    (void)map;
}

void bench_tbb_grain(const bench_map *map)
{
    (void)map;
}

void bench_tbb_tasks(const bench_map *map)
{
    (void)map;
}

#endif
