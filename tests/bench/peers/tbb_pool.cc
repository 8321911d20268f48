// SPDX-License-Identifier: MIT
#include "pool.h"

#ifdef BENCH_HAVE_TBB

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>

namespace
{

using range = tbb::blocked_range<size_t>;

// From the first map on: the caller is one of the threads.
void limit_threads()
{
    static tbb::global_control limit(tbb::global_control::max_allowed_parallelism, BENCH_WORKERS);
}

} // namespace

void bench_tbb_auto(const bench_map *map)
{
    limit_threads();
    const bench_map m = *map;
    tbb::parallel_for(range(0, m.count), [m](const range &r) {
        for (size_t i = r.begin(); i != r.end(); i++)
            m.task(m.in + i, m.out + i, nullptr);
    });
}

void bench_tbb_grain(const bench_map *map)
{
    limit_threads();
    const bench_map m = *map;
    tbb::parallel_for(
        range(0, m.count, 1),
        [m](const range &r) {
            for (size_t i = r.begin(); i != r.end(); i++)
                m.task(m.in + i, m.out + i, nullptr);
        },
        tbb::simple_partitioner());
}

void bench_tbb_tasks(const bench_map *map)
{
    limit_threads();
    const bench_map m = *map;
    tbb::task_group group;
    for (size_t i = 0; i < m.count; i++)
        group.run([m, i] { m.task(m.in + i, m.out + i, nullptr); });
    group.wait();
}

#endif
