/* SPDX-License-Identifier: MIT */
/*
 * Queue: how many messages of 64 bytes a second go through it, for one to four producers and as
 * many consumers, one at a time and in batches of 32. The consumers check what they get. Pinned,
 * the producers are on one processor and the consumers on the other.
 */
#include "support/bench.h"

#include <mproc.h>
#include <string.h>

#define LENGTH 64
#define BATCH  32

typedef struct things {
    mp_queue *queue;
    _Alignas(BENCH_LINE) _Atomic int done; /* producers */
} things;

static void make(bench_party *p)
{
    BENCH_OURS(p, mp_queue_new(&((things *)p->shared)->queue, .maxsize = 4096));
}

/* Puts until it is over; the last to end closes the queue. */
static void produce(bench_party *p)
{
    things *t = p->shared;
    unsigned char bytes[LENGTH];
    mp_bytes batch[BATCH];
    memset(bytes, 0x5a, sizeof bytes);
    for (int i = 0; i < BATCH; i++)
        batch[i] = (mp_bytes){bytes, sizeof bytes, 0};
    while (bench_go_on(p, 0))
        for (int i = 0; i < BATCH; i += p->argument)
            if (p->argument == 1)
                BENCH_OURS(p, mp_queue_put(t->queue, bytes, sizeof bytes, MP_FOREVER));
            else
                BENCH_OURS(p, mp_queue_put_many(t->queue, batch, BATCH, MP_FOREVER));
    if (atomic_fetch_add(&t->done, 1) + 1 == p->parties / 2)
        BENCH_OURS(p, mp_queue_close(t->queue));
}

static int get(bench_party *p, mp_bytes batch[BATCH])
{
    things *t = p->shared;
    if (p->argument == 1) {
        ssize_t length = mp_queue_get(t->queue, batch[0].data, LENGTH, MP_FOREVER);
        batch[0].length = (size_t)length;
        return length < 0 ? (int)length : 1;
    }
    return mp_queue_get_many(t->queue, batch, BATCH, MP_FOREVER);
}

/* Counts until it is over, and drains. */
static void consume(bench_party *p)
{
    static unsigned char bytes[BATCH][LENGTH];
    mp_bytes batch[BATCH];
    for (int i = 0; i < BATCH; i++)
        batch[i] = (mp_bytes){bytes[i], LENGTH, LENGTH};
    bool counting = true;
    for (;;) {
        int n = get(p, batch);
        if (n == MP_ECLOSED)
            break;
        BENCH_OURS(p, n);
        for (int i = 0; i < n; i++) {
            BENCH_CHECK(p, batch[i].length == LENGTH);
            BENCH_CHECK(p, bytes[i][0] == 0x5a && bytes[i][LENGTH - 1] == 0x5a);
        }
        counting = counting && bench_go_on(p, (uint64_t)n);
    }
    if (counting)
        bench_go_on(p, 0);
}

static void party(bench_party *p)
{
    if (p->index % 2 == 0)
        produce(p);
    else
        consume(p);
}

static const bench_contender contenders[] = {
    {.name = "ours", .prepare = make, .party = party},
    {0},
};

#define METRIC(text, pairs, batch)                                                                 \
    {                                                                                              \
        .name = text, .contenders = contenders, .parties = 2 * (pairs),                            \
        .placements = BENCH_PINNED | BENCH_FREE, .unit = BENCH_MILLIONS, .argument = (batch)       \
    }

static const bench_metric metrics[] = {
    METRIC("64B-1:1", 1, 1),
    METRIC("64B-2:2", 2, 1),
    METRIC("64B-4:4", 4, 1),
    METRIC("64B-1:1-batch-32", 1, BATCH),
    METRIC("64B-2:2-batch-32", 2, BATCH),
    METRIC("64B-4:4-batch-32", 4, BATCH),
};

int main(void)
{
    return bench_main("queue", metrics, sizeof metrics / sizeof *metrics);
}
