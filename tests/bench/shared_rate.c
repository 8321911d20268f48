/* SPDX-License-Identifier: MIT */
/*
 * How many pairs of mp_shared_alloc and mp_shared_free a second 1, 2, 4 and 8 processes do, each
 * with 16 blocks in hand: small ones (64 bytes), and ones of every size up to 32 KiB.
 *
 *   make bench && build/tests/bench/shared_rate [SECONDS]
 *
 * Each figure is the median of five runs. On N processors no more than N times the figure of one
 * process can be had; the processor time of a pair says whether the processes hinder each other,
 * also where other work goes on.
 */
#include <mproc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELD 16
#define RUNS 5
#define MOST 8

typedef struct board {
    atomic_int ready, go, stop;
    unsigned long pairs[MOST];
    double cpu[MOST]; /* seconds of processor time */
} board;

typedef struct figures {
    double rate, cpu; /* pairs a second; nanoseconds of processor time for a pair */
} figures;

static void require(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static double clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void churn(board *b, int index, int wild)
{
    void *held[HELD] = {NULL};
    unsigned long pairs = 0;
    unsigned seed = (unsigned)index * 7919u + 1;
    atomic_fetch_add(&b->ready, 1);
    while (!atomic_load(&b->go))
        usleep(100);
    double start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    while (!atomic_load_explicit(&b->stop, memory_order_relaxed)) {
        for (int i = 0; i < 64; i++) {
            seed = seed * 1103515245u + 12345u;
            size_t size = wild ? 1 + (seed >> 8) % (1u << (4 + (seed >> 24) % 12)) : 64;
            void **place = &held[i % HELD];
            mp_shared_free(*place);
            *place = mp_shared_alloc(size);
            require(*place != NULL, "mp_shared_alloc");
        }
        pairs += 64;
    }
    b->cpu[index] = clock_of(CLOCK_PROCESS_CPUTIME_ID) - start;
    for (int i = 0; i < HELD; i++)
        mp_shared_free(held[i]);
    b->pairs[index] = pairs;
}

static figures run(board *b, int processes, int wild, double length)
{
    pid_t pid[MOST];
    memset(b, 0, sizeof *b);
    for (int i = 0; i < processes; i++) {
        pid[i] = fork();
        require(pid[i] >= 0, "fork");
        if (pid[i] == 0) {
            churn(b, i, wild);
            _exit(0);
        }
    }
    while (atomic_load(&b->ready) < processes)
        usleep(100);
    double start = clock_of(CLOCK_MONOTONIC);
    atomic_store(&b->go, 1);
    usleep((useconds_t)(length * 1e6));
    atomic_store(&b->stop, 1);
    double taken = clock_of(CLOCK_MONOTONIC) - start;
    double pairs = 0, cpu = 0;
    for (int i = 0; i < processes; i++) {
        int status;
        waitpid(pid[i], &status, 0);
        require(status == 0, "a child failed");
        pairs += (double)b->pairs[i];
        cpu += b->cpu[i];
    }
    return (figures){pairs / taken, cpu * 1e9 / pairs};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double length = argc > 1 ? atof(argv[1]) : 0.3;
    board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(b != MAP_FAILED && mp_init() == 0, "mp_init");
    for (int wild = 0; wild < 2; wild++)
        for (int processes = 1; processes <= MOST; processes *= 2) {
            double rate[RUNS], cpu[RUNS];
            for (int i = 0; i < RUNS; i++) {
                figures f = run(b, processes, wild, length);
                rate[i] = f.rate;
                cpu[i] = f.cpu;
            }
            qsort(rate, RUNS, sizeof *rate, ascending);
            qsort(cpu, RUNS, sizeof *cpu, ascending);
            printf("shared_rate: %s, %d process%s: %.1f million pairs a second, %.1f ns of "
                   "processor time for a pair\n",
                   wild ? "1 to 32768 bytes" : "64 bytes", processes, processes > 1 ? "es" : "",
                   rate[RUNS / 2] / 1e6, cpu[RUNS / 2]);
        }
    const char *problem = NULL;
    require(mp_shared_check(&problem) == 0, problem != NULL ? problem : "mp_shared_check");
    return 0;
}
