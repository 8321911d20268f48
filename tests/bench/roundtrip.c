/* SPDX-License-Identifier: MIT */
/*
 * Queues there and back: how long it takes until a message of 8 or 64 bytes that one process puts
 * into a queue has been answered by another through a second queue; see support/pingpong.h.
 *
 * awake      on two processors, each answers at once
 * asleep     each lets the other fall asleep first, on two processors or on one
 * at-once    on one processor, where the other is asleep anyhow, unless it spins
 *
 * The bare futex is what sleeping and waking cost if nothing is carried; the rings never sleep.
 */
#include "peers/channel.h"
#include "peers/peers.h"

#include <mproc.h>

static mp_queue *queue[BENCH_CHANNELS];

static void ours_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++)
        BENCH_OURS(p, mp_queue_new(&queue[i]));
}

static void ours_put(bench_party *p, int channel, const void *data, size_t length)
{
    BENCH_OURS(p, mp_queue_put(queue[channel], data, length, MP_FOREVER));
}

static size_t ours_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ssize_t length = mp_queue_get(queue[channel], buffer, capacity, MP_FOREVER);
    if (length < 0)
        bench_fail(p, "mp_queue_get: %s", mp_errname((int)length));
    return (size_t)length;
}

BENCH_ROUND_TRIP(ours, bench_join_nothing, ours_put, ours_get)

static void send_futex(bench_party *p, int to)
{
    bench_futex_send(p->shared, to);
}

static void receive_futex(bench_party *p, int to)
{
    bench_futex_receive(p->shared, to);
}

BENCH_PINGPONG(use_futex, send_futex, receive_futex)

/* What is needed is not needed where the scheduler may put both on one processor. */
#define THOROUGH true
#define AT_MOST(ratio)                                                                             \
    {                                                                                              \
        .at_most = (ratio), .where = BENCH_PINNED | BENCH_ONE_CPU                                  \
    }
#define PEER(text, which, left_out, ratio)                                                         \
    {                                                                                              \
        .name = text, .peer = &(which), .thorough = (left_out), .need = AT_MOST(ratio)             \
    }
#define PYTHON(text, object, metric, left_out, ratio)                                              \
    {                                                                                              \
        .name = "python-" text, .python = object " " metric, .thorough = (left_out),               \
        .need = AT_MOST(ratio)                                                                     \
    }

#define ALL_BUT_RINGS(bare, metric, py)                                                            \
    {.name = "ours", .prepare = ours_open, .party = ours_round_trip},                              \
        {.name = "bare-futex", .party = use_futex, .need = AT_MOST(bare)},                         \
        PEER("pipe", bench_pipe, 0, 0), PEER("unix-stream", bench_unix_stream, THOROUGH, 0),       \
        PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),                                 \
        PEER("posix-mq", bench_posix_mq, THOROUGH, 0), PEER("boost-mq", bench_boost_mq, 0, 0),     \
        PEER("libqb-ring", bench_libqb_ring, 0, 0), PEER("zeromq", bench_zeromq, 0, 0),            \
        PEER("nng", bench_nng, THOROUGH, 0), PYTHON("Pipe", "Pipe", metric, 0, py),                \
        PYTHON("SimpleQueue", "SimpleQueue", metric, THOROUGH, 0),                                 \
        PYTHON("Queue", "Queue", metric, 0, 0)

static const bench_contender awake[] = {
    ALL_BUT_RINGS(0, "round_trip", 0.01),
    PEER("spsc-ring", bench_spsc_ring, 0, 0),
    PEER("vyukov-ring", bench_vyukov_ring, 0, 2),
    {0},
};

static const bench_contender asleep[] = {ALL_BUT_RINGS(1.1, "asleep", 0), {0}};
static const bench_contender one_cpu[] = {ALL_BUT_RINGS(1.1, "round_trip", 0), {0}};

#define METRIC(text, bytes, compared, where, how, left_out)                                        \
    {                                                                                              \
        .name = text, .contenders = compared, .parties = 2, .placements = (where),                 \
        .unit = BENCH_US, .argument = (how), .length = (bytes), .thorough = (left_out)             \
    }

#define METRICS(bytes, free, all)                                                                  \
    METRIC(#bytes "B-awake", bytes, awake, BENCH_PINNED | BENCH_FREE, AT_ONCE, free),              \
        METRIC(#bytes "B-asleep", bytes, asleep, BENCH_PINNED | BENCH_ONE_CPU, ASLEEP, all),       \
        METRIC(#bytes "B-at-once", bytes, one_cpu, BENCH_ONE_CPU, AT_ONCE, all)

static const bench_metric metrics[] = {
    METRICS(64, BENCH_FREE, 0),
    METRICS(8, BENCH_PINNED | BENCH_FREE, BENCH_PINNED | BENCH_ONE_CPU),
};

int main(void)
{
    return bench_main("roundtrip", metrics, sizeof metrics / sizeof *metrics);
}
