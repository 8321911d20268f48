/* SPDX-License-Identifier: MIT */
/*
 * How many messages of 64 bytes go through a queue, for one to four producers and as many
 * consumers, one at a time and in batches of 32.
 *
 *   make bench && build/tests/bench/queue_rate [SECONDS]
 *
 * Each line is the best of five runs. The consumers check what they get.
 */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LENGTH 64
#define BATCH  32
#define MOST   4
#define RUNS   5

/* What one run shares. */
typedef struct plan {
    mp_queue *queue;
    mp_barrier *start;
    int batch;
    double seconds;
    uint64_t got[MOST]; /* by consumer */
} plan;

typedef struct part {
    plan *p;
    int index;
} part;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void require(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", mp_errname(rc), mp_strerror(rc));
        exit(1);
    }
}

static int produce(void *arg)
{
    plan *p = ((part *)arg)->p;
    unsigned char bytes[LENGTH];
    mp_bytes batch[BATCH];
    memset(bytes, 0x5a, sizeof bytes);
    for (int i = 0; i < BATCH; i++)
        batch[i] = (mp_bytes){bytes, sizeof bytes, 0};
    require(mp_barrier_wait(p->start, MP_FOREVER));
    double end = now() + p->seconds;
    while (now() < end)
        for (int i = 0; i < 1000; i += p->batch)
            require(p->batch == 1 ? mp_queue_put(p->queue, bytes, sizeof bytes, MP_FOREVER)
                                  : mp_queue_put_many(p->queue, batch, p->batch, MP_FOREVER));
    return 0;
}

static int consume(void *arg)
{
    part *me = arg;
    plan *p = me->p;
    static unsigned char bytes[BATCH][LENGTH];
    mp_bytes batch[BATCH];
    for (int i = 0; i < BATCH; i++)
        batch[i] = (mp_bytes){bytes[i], LENGTH, LENGTH};
    require(mp_barrier_wait(p->start, MP_FOREVER));
    uint64_t count = 0;
    for (;;) {
        int n = p->batch == 1
                    ? (mp_queue_get(p->queue, bytes[0], LENGTH, MP_FOREVER) == LENGTH ? 1 : -1)
                    : mp_queue_get_many(p->queue, batch, p->batch, MP_FOREVER);
        if (n < 0)
            break; /* closed and empty */
        for (int i = 0; i < n; i++)
            if (bytes[i][0] != 0x5a || bytes[i][LENGTH - 1] != 0x5a)
                abort();
        count += (uint64_t)n;
    }
    p->got[me->index] = count;
    return 0;
}

/* Millions of messages a second. */
static double run(int pairs, int batch, double seconds)
{
    plan *p = mp_shared_calloc(1, sizeof *p);
    mp_process *producers[MOST], *consumers[MOST];
    if (p == NULL)
        require(mp_shared_error());
    p->batch = batch;
    p->seconds = seconds;
    require(mp_queue_new(&p->queue, .maxsize = 4096));
    require(mp_barrier_new(&p->start, 2 * pairs + 1));
    for (int i = 0; i < pairs; i++) {
        part me = {p, i};
        require(
            mp_process_new(&consumers[i], .target = consume, .arg = &me, .arg_size = sizeof me));
        require(
            mp_process_new(&producers[i], .target = produce, .arg = &me, .arg_size = sizeof me));
        require(mp_process_start(consumers[i]));
        require(mp_process_start(producers[i]));
    }
    require(mp_barrier_wait(p->start, MP_FOREVER));
    double began = now();
    for (int i = 0; i < pairs; i++)
        require(mp_process_join(producers[i], MP_FOREVER));
    require(mp_queue_close(p->queue));
    uint64_t got = 0;
    for (int i = 0; i < pairs; i++) {
        require(mp_process_join(consumers[i], MP_FOREVER));
        got += p->got[i];
        mp_process_free(producers[i]);
        mp_process_free(consumers[i]);
    }
    double took = now() - began;
    mp_queue_free(p->queue);
    mp_barrier_free(p->start);
    mp_shared_free(p);
    return (double)got / took / 1e6;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    static const int batches[] = {1, BATCH};
    for (int b = 0; b < 2; b++)
        for (int pairs = 1; pairs <= MOST; pairs *= 2) {
            double best = 0;
            for (int i = 0; i < RUNS; i++) {
                double rate = run(pairs, batches[b], seconds);
                best = rate > best ? rate : best;
            }
            printf("%d to %d, %2d at a time: %5.1f million messages a second\n", pairs, pairs,
                   batches[b], best);
        }
    return 0;
}
