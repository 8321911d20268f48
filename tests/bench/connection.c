/* SPDX-License-Identifier: MIT */
/*
 * Connection: messages of 64 B to 1 MiB through the two ends of mp_pipe().
 *
 * One way: how many a second; see peers/channel.h. "ours" goes one way, "ours-duplex" both. The
 * kernel's channels carry bare bytes without a frame, with one call for each.
 * There and back: see support/pingpong.h, and roundtrip.c for the words.
 */
#include "peers/channel.h"
#include "peers/peers.h"

#include <mproc.h>

static mp_connection *reading[BENCH_CHANNELS], *writing[BENCH_CHANNELS];

static void ours_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++)
        BENCH_OURS(p, mp_pipe(&reading[i], &writing[i], false));
}

/* One for both directions; its ends are named after the channels. */
static void duplex_open(bench_party *p)
{
    BENCH_OURS(p, mp_pipe(&reading[0], &reading[1], true));
    writing[0] = reading[1];
    writing[1] = reading[0];
}

/* As programs should, each closes the ends that it does not use. */
static void ours_join(bench_party *p)
{
    int other = 1 - p->index;
    mp_connection_free(reading[other]);
    mp_connection_free(writing[p->index]);
}

static void duplex_join(bench_party *p)
{
    mp_connection_free(reading[1 - p->index]);
}

static void ours_put(bench_party *p, int channel, const void *data, size_t length)
{
    BENCH_OURS(p, mp_connection_send(writing[channel], data, length, MP_FOREVER));
}

static size_t ours_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ssize_t length = mp_connection_recv(reading[channel], buffer, capacity, MP_FOREVER);
    if (length < 0)
        bench_fail(p, "mp_connection_recv: %s", mp_errname((int)length));
    return (size_t)length;
}

BENCH_CHANNEL(ours, ours_join, ours_put, ours_get)
BENCH_CHANNEL(duplex, duplex_join, ours_put, ours_get)

static void send_futex(bench_party *p, int to)
{
    bench_futex_send(p->shared, to);
}

static void receive_futex(bench_party *p, int to)
{
    bench_futex_receive(p->shared, to);
}

BENCH_PINGPONG(use_futex, send_futex, receive_futex)

#define THOROUGH true
#define PEER(text, which, left_out, ratio)                                                         \
    {                                                                                              \
        .name = text, .peer = &(which), .one_way = true, .thorough = (left_out), .need = {         \
            .at_least = (ratio)                                                                    \
        }                                                                                          \
    }
#define ONE_WAY(pipe)                                                                              \
    {.name = "ours", .prepare = ours_open, .party = ours_one_way},                                 \
        {.name = "ours-duplex", .prepare = duplex_open, .party = duplex_one_way},                  \
        PEER("pipe", bench_pipe, 0, pipe), PEER("unix-stream", bench_unix_stream, 0, 0),           \
        {.name = "python-Pipe", .python = "Pipe one_way"},                                         \
    {                                                                                              \
        .name = "python-Pipe-one-way", .python = "OneWayPipe one_way"                              \
    }

static const bench_contender small[] = {
    ONE_WAY(5),
    PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),
    {0},
};

static const bench_contender middle[] = {
    ONE_WAY(0),
    PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),
    {0},
};

static const bench_contender large[] = {ONE_WAY(0), {0}};

#define THERE_AND_BACK(metric)                                                                     \
    {.name = "ours", .prepare = ours_open, .party = ours_round_trip},                              \
        {.name = "ours-duplex", .prepare = duplex_open, .party = duplex_round_trip},               \
        {.name = "bare-futex", .party = use_futex}, {.name = "pipe", .peer = &bench_pipe},         \
        {.name = "unix-stream", .peer = &bench_unix_stream},                                       \
        {.name = "unix-seqpacket", .peer = &bench_unix_seqpacket, .thorough = true},               \
    {                                                                                              \
        .name = "python-Pipe", .python = "Pipe " metric                                            \
    }

static const bench_contender at_once[] = {THERE_AND_BACK("round_trip"), {0}};
static const bench_contender asleep[] = {THERE_AND_BACK("asleep"), {0}};

#define FORTH(text, bytes, compared, in, left_out)                                                 \
    {                                                                                              \
        .name = text "-one-way", .contenders = compared, .parties = 2,                             \
        .placements = BENCH_PINNED | BENCH_FREE, .unit = (in), .length = (bytes),                  \
        .thorough = (left_out)                                                                     \
    }
#define BACK(text, compared, where, how, left_out)                                                 \
    {                                                                                              \
        .name = "64B-" text, .contenders = compared, .parties = 2, .placements = (where),          \
        .unit = BENCH_US, .argument = (how), .length = 64, .thorough = (left_out)                  \
    }

static const bench_metric metrics[] = {
    FORTH("64B", 64, small, BENCH_MILLIONS, 0),
    FORTH("64KiB", 65536, middle, BENCH_THOUSANDS, BENCH_FREE),
    FORTH("1MiB", 1048576, large, BENCH_THOUSANDS, BENCH_FREE),
    BACK("awake", at_once, BENCH_PINNED | BENCH_FREE, AT_ONCE, BENCH_FREE),
    BACK("asleep", asleep, BENCH_PINNED | BENCH_ONE_CPU, ASLEEP, BENCH_PINNED | BENCH_ONE_CPU),
    BACK("at-once", at_once, BENCH_ONE_CPU, AT_ONCE, 0),
};

int main(void)
{
    return bench_main("connection", metrics, sizeof metrics / sizeof *metrics);
}
