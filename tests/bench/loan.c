/* SPDX-License-Identifier: MIT */
/*
 * Queue without copies: how many messages of 64 KiB and 1 MiB a second one process hands over to
 * another that takes them out where they are. The producer has a block loaned, writes its first and
 * last byte, and publishes it; the consumer takes it, looks at these, and releases it. "64B" says
 * what the hand-over costs, "-by-copy" what put and get would take. The ring copies as well.
 *
 * "ours" is the queue as mp_queue_new(&q) makes it, held back like that of queue.c; "ours-maxsize"
 * has a maxsize of 1024, 64 or 8.
 */
#include "peers/channel.h"
#include "peers/peers.h"

#include <mproc.h>

static mp_queue *queue;
static size_t most, unseen; /* messages: it may hold; put since the last look */

static void ours_open(bench_party *p)
{
    BENCH_OURS(p, mp_queue_new(&queue));
    most = bench_slots(p);
}

static void limited_open(bench_party *p)
{
    BENCH_OURS(p, mp_queue_new(&queue, .maxsize = (int)bench_slots(p)));
}

static inline void hand_over(bench_party *p, unsigned char kind, bool limited)
{
    void *block;
    BENCH_OURS(p, mp_queue_loan(queue, p->length, &block, MP_FOREVER));
    bench_fill(block, p->length, kind);
    BENCH_OURS(p, mp_queue_publish(queue, block, MP_FOREVER));
    if (limited || ++unseen * 8 < most)
        return;
    unseen = 0;
    while ((size_t)mp_queue_size(queue) >= most)
        sched_yield();
}

static inline bool take(bench_party *p)
{
    const void *message;
    size_t length;
    BENCH_OURS(p, mp_queue_take(queue, &message, &length, MP_FOREVER));
    bool more = bench_look(p, message, length);
    BENCH_OURS(p, mp_queue_release(queue, message));
    return more;
}

static void party(bench_party *p, bool limited)
{
    if (p->index == 0) {
        do
            hand_over(p, BENCH_DATA, limited);
        while (bench_go_on(p, 0));
        hand_over(p, BENCH_END, limited);
    } else {
        bool counting = true;
        while (take(p))
            counting = counting && bench_go_on(p, 1);
        if (counting)
            bench_go_on(p, 0);
    }
    bench_leave(p);
}

static void ours_party(bench_party *p)
{
    party(p, false);
}

static void limited_party(bench_party *p)
{
    party(p, true);
}

static void put(bench_party *p, int channel, const void *data, size_t length)
{
    (void)channel;
    BENCH_OURS(p, mp_queue_put(queue, data, length, MP_FOREVER));
}

static size_t get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    (void)channel;
    ssize_t length = mp_queue_get(queue, buffer, capacity, MP_FOREVER);
    if (length < 0)
        bench_fail(p, "mp_queue_get: %s", mp_errname((int)length));
    return (size_t)length;
}

BENCH_ONE_WAY(by_copy, bench_join_nothing, put, get)

static const bench_contender contenders[] = {
    {.name = "ours", .prepare = ours_open, .party = ours_party},
    {.name = "ours-maxsize", .prepare = limited_open, .party = limited_party},
    {.name = "ours-by-copy", .prepare = limited_open, .party = by_copy_one_way},
    {.name = "spsc-ring", .peer = &bench_spsc_ring, .one_way = true},
    {0},
};

#define METRIC(text, bytes, least)                                                                 \
    {                                                                                              \
        .name = text, .contenders = contenders, .parties = 2,                                      \
        .placements = BENCH_PINNED | BENCH_FREE, .unit = BENCH_MILLIONS, .length = (bytes),        \
        .need = {.at_least = (least)}, .thorough = BENCH_FREE                                      \
    }

static const bench_metric metrics[] = {
    METRIC("1MiB", 1048576, 1),
    METRIC("64KiB", 65536, 1),
    METRIC("64B", 64, 0),
};

int main(void)
{
    return bench_main("loan", metrics, sizeof metrics / sizeof *metrics);
}
