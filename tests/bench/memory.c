/* SPDX-License-Identifier: MIT */
/*
 * Memory of queues: what the kernel says is resident of this process's shared mappings (Rss in
 * /proc/self/smaps), less what was so before.
 *
 * empty-queue      of a queue as mp_queue_new(&q) makes it, the mean of 64 of them
 * used-queue       the same, when one message has gone through it
 * full             1,000,000 messages of 64 bytes in a queue, in times of these bytes
 * drained-queue    when these have been got again
 *
 * What is counted includes what the allocator has set aside for it. Nothing of it is shared with
 * other processes, and at most 200 MB are used at a time.
 */
#include "support/bench.h"

#include <mproc.h>
#include <stdio.h>
#include <string.h>

#define QUEUES   64
#define LENGTH   64
#define MESSAGES 1000000

enum { EMPTY, USED, FULL, DRAINED }; /* the metric's argument */

static double resident(bench_party *p)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    BENCH_CHECK(p, f != NULL);
    char line[1024], modes[8];
    bool shared = false;
    long kib, sum = 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%*x-%*x %7s", modes) == 1)
            shared = modes[3] == 's';
        else if (shared && sscanf(line, "Rss: %ld kB", &kib) == 1)
            sum += kib;
    fclose(f);
    return (double)sum;
}

static void found(bench_party *p)
{
    int rc = mp_init();
    BENCH_OURS(p, rc);
}

static void of_queues(bench_party *p)
{
    mp_queue *queue;
    char bytes[LENGTH] = {0};
    double before = 0;
    for (int i = 0; i <= QUEUES; i++) {
        BENCH_OURS(p, mp_queue_new(&queue));
        if (p->argument == USED) {
            BENCH_OURS(p, mp_queue_put(queue, bytes, LENGTH, MP_NO_WAIT));
            BENCH_OURS(p, (int)mp_queue_get(queue, bytes, LENGTH, MP_NO_WAIT));
        }
        if (i == 0) /* the first also opened the arena */
            before = resident(p);
    }
    bench_report(p, (resident(p) - before) / QUEUES);
}

static void of_messages(bench_party *p)
{
    mp_queue *queue;
    char bytes[LENGTH];
    memset(bytes, 0x5a, sizeof bytes);
    BENCH_OURS(p, mp_queue_new(&queue));
    double before = resident(p);
    for (int i = 0; i < MESSAGES; i++)
        BENCH_OURS(p, mp_queue_put(queue, bytes, LENGTH, MP_NO_WAIT));
    BENCH_CHECK(p, mp_queue_size(queue) == MESSAGES);
    double full = resident(p) - before;
    for (int i = 0; i < MESSAGES; i++)
        BENCH_OURS(p, (int)mp_queue_get(queue, bytes, LENGTH, MP_NO_WAIT));
    if (p->argument == FULL)
        bench_report(p, full * 1024 / ((double)MESSAGES * LENGTH));
    else
        bench_report(p, resident(p) - before);
}

static void party(bench_party *p)
{
    if (p->argument == FULL || p->argument == DRAINED)
        of_messages(p);
    else
        of_queues(p);
}

static const bench_contender contenders[] = {
    {.name = "ours", .prepare = found, .party = party},
    {0},
};

#define METRIC(text, what, in, most)                                                               \
    {                                                                                              \
        .name = text, .contenders = contenders, .parties = 1, .placements = BENCH_ALONE,           \
        .unit = (in), .argument = (what), .need = {.at_most = (most)}, .runs = 3                   \
    }

static const bench_metric metrics[] = {
    METRIC("empty-queue", EMPTY, BENCH_KIB, 64),
    METRIC("used-queue", USED, BENCH_KIB, 64),
    METRIC("full", FULL, BENCH_TIMES, 1.5),
    METRIC("drained-queue", DRAINED, BENCH_KIB, 0),
};

int main(void)
{
    return bench_main("memory", metrics, sizeof metrics / sizeof *metrics);
}
