/* SPDX-License-Identifier: MIT */
/* What pools are compared with. All call the task through a pointer, as a pool has to. */
#ifndef BENCH_POOL_PEERS_H
#define BENCH_POOL_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_WORKERS 2

typedef int (*bench_task)(const void *in, void *out, void *context);

/* A task over `count` longs. */
typedef struct bench_map {
    bench_task task;
    const long *in;
    long *out;
    size_t count;
} bench_map;

/* Whether they were there when this was built. */
extern const bool bench_has_openmp, bench_has_tbb;

/* Two threads, the caller one of them. They share its memory, and nothing is left if one dies. */
void bench_openmp_end(void); /* clang's leaves a file in /dev/shm if it is not told */
void bench_openmp_static(const bench_map *map);
void bench_openmp_dynamic(const bench_map *map); /* item by item */
void bench_tbb_auto(const bench_map *map);       /* ranges as its partitioner likes them */
void bench_tbb_grain(const bench_map *map);      /* item by item */

/* One task for each item, and a wait for all of them. */
void bench_openmp_tasks(const bench_map *map);
void bench_tbb_tasks(const bench_map *map);

/* Two processes forked for the occasion, each for a half; the outputs must lie in shared memory.
 * This and what follows returns false if it does not work. */
bool bench_fork_per_map(const bench_map *map);

/* A worker process that waits for tasks at a Unix stream socket. */
typedef struct bench_socket_worker {
    int socket, pid;
} bench_socket_worker;

bool bench_socket_start(bench_socket_worker *worker, bench_task task);
bool bench_socket_apply(const bench_socket_worker *worker, long in, long *out);
bool bench_socket_stop(const bench_socket_worker *worker);

/* Forks workers that read from a pipe each, gives each a task, gets the results by another, and
 * waits for them. */
bool bench_prefork(int workers, bench_task task);

#ifdef __cplusplus
}
#endif

#endif
