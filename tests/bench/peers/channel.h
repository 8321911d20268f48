/* SPDX-License-Identifier: MIT */
/*
 * Channels for messages between processes, and what they are measured by. A channel is an open, a
 * put and a get; everything else is the same code for all, ours among them, so that nobody is given
 * a simpler task:
 *
 * one way     Even parties fill messages (the first and the last byte) and put them in, odd ones
 *             get them into a buffer of their own and look at these bytes. Figures are the messages
 *             that came out. The last producer to end puts one end mark for each consumer, and
 *             nobody leaves before all are through, since some lose what a dead process has sent.
 * there and   See support/pingpong.h.
 * back
 *
 * A channel has the number of the party that gets: 1, and there and back also 0.
 *
 * `open` runs in the host, before the parties are forked; it leaves nothing that has a name. A
 * channel has room for bench_slots() messages, or what its maker thinks good. Who finds it empty or
 * full either sleeps in the kernel or, the rings that are a limit and no more, looks again:
 * BENCH_UNTIL().
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include "../support/pingpong.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_CHANNELS 2

typedef void bench_put(bench_party *p, int channel, const void *data, size_t length);
typedef size_t bench_get(bench_party *p, int channel, void *buffer, size_t capacity);

/* How many messages a channel has to hold; large ones take no more than 8 MiB. */
static inline size_t bench_slots(const bench_party *p)
{
    return p->length <= 1024 ? 1024 : p->length <= 65536 ? 64 : 8;
}

/* Looks until it is so: 500 times in a row, and then gives the processor away after each. */
#define BENCH_UNTIL(so)                                                                            \
    do {                                                                                           \
        for (int bench_looks = 0; !(so); bench_looks++)                                            \
            if (bench_looks < 500)                                                                 \
                bench_pause();                                                                     \
            else                                                                                   \
                sched_yield();                                                                     \
    } while (0)

static inline void bench_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Memory for one message, or for several in a row. */
unsigned char *bench_buffer(bench_party *p, size_t length);

/* Returns when `all` parties have come here to the counter. */
void bench_meet(_Atomic int *counter, int all);

enum { BENCH_DATA = 0x5a, BENCH_END = 0xe5 }; /* the first byte; the last is always the former */

static inline __attribute__((always_inline)) void bench_fill(unsigned char *bytes, size_t length,
                                                             unsigned char kind)
{
    bytes[length - 1] = BENCH_DATA;
    bytes[0] = kind;
}

/* Whether it is no end mark. */
static inline __attribute__((always_inline)) bool
bench_look(bench_party *p, const unsigned char *bytes, size_t length)
{
    BENCH_CHECK(p, length == p->length && bytes[length - 1] == BENCH_DATA);
    if (__builtin_expect(bytes[0] == BENCH_DATA, 1))
        return true;
    BENCH_CHECK(p, bytes[0] == BENCH_END);
    return false;
}

/* Whether the caller is the last producer, who has to put an end mark for each consumer. */
static inline bool bench_is_last_producer(bench_party *p)
{
    return atomic_fetch_add(&p->page->ended, 1) + 1 == p->parties / 2;
}

static inline void bench_leave(bench_party *p)
{
    bench_meet(&p->page->left, p->parties);
}

static inline __attribute__((always_inline)) void bench_one_way(bench_party *p, bench_put *put,
                                                                bench_get *get)
{
    unsigned char *bytes = bench_buffer(p, p->length);
    if (p->index % 2 == 0) {
        do {
            bench_fill(bytes, p->length, BENCH_DATA);
            put(p, 1, bytes, p->length);
        } while (bench_go_on(p, 0));
        bench_fill(bytes, p->length, BENCH_END);
        if (bench_is_last_producer(p))
            for (int i = 0; i < p->parties / 2; i++)
                put(p, 1, bytes, p->length);
    } else {
        bool counting = true;
        while (bench_look(p, bytes, get(p, 1, bytes, p->length)))
            counting = counting && bench_go_on(p, 1);
        if (counting)
            bench_go_on(p, 0);
    }
    bench_leave(p);
}

extern unsigned char *bench_bytes; /* the buffer for round trips */

/* PREFIX_one_way and PREFIX_round_trip; `join` is what a party does first. */
#define BENCH_ONE_WAY(prefix, join, put, get)                                                      \
    static void prefix##_one_way(bench_party *p)                                                   \
    {                                                                                              \
        join(p);                                                                                   \
        bench_one_way(p, put, get);                                                                \
    }
#define BENCH_ROUND_TRIP(prefix, join, put, get)                                                   \
    static void prefix##_send(bench_party *p, int to)                                              \
    {                                                                                              \
        bench_fill(bench_bytes, p->length, BENCH_DATA);                                            \
        put(p, to, bench_bytes, p->length);                                                        \
    }                                                                                              \
    static void prefix##_receive(bench_party *p, int to)                                           \
    {                                                                                              \
        BENCH_CHECK(p, bench_look(p, bench_bytes, get(p, to, bench_bytes, p->length)));            \
    }                                                                                              \
    BENCH_PINGPONG(prefix##_ping_pong, prefix##_send, prefix##_receive)                            \
    static void prefix##_round_trip(bench_party *p)                                                \
    {                                                                                              \
        bench_bytes = bench_buffer(p, p->length);                                                  \
        join(p);                                                                                   \
        prefix##_ping_pong(p);                                                                     \
        bench_leave(p);                                                                            \
    }
#define BENCH_CHANNEL(prefix, join, put, get)                                                      \
    BENCH_ONE_WAY(prefix, join, put, get)                                                          \
    BENCH_ROUND_TRIP(prefix, join, put, get)

static inline void bench_join_nothing(bench_party *p)
{
    (void)p;
}

/* A channel of peers.h, made by BENCH_CHANNEL. */
#define BENCH_PEER(name, prefix)                                                                   \
    const bench_peer name = {prefix##_open, prefix##_one_way, prefix##_round_trip}

#endif
