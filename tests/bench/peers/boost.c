/* SPDX-License-Identifier: MIT */
#include "boost.h"

#include "channel.h"
#include "peers.h"

#ifdef BENCH_HAVE_BOOST

#include <stdio.h>
#include <unistd.h>

static void *queues[BENCH_CHANNELS];

static void boost_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        char name[64];
        snprintf(name, sizeof name, "bench-%ld-%d", (long)getpid(), i);
        queues[i] = bench_boost_open(name, bench_slots(p), p->length);
        BENCH_CHECK(p, queues[i] != NULL);
    }
}

static void boost_put(bench_party *p, int channel, const void *data, size_t length)
{
    BENCH_CHECK(p, bench_boost_put(queues[channel], data, length));
}

static size_t boost_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    size_t length = 0;
    BENCH_CHECK(p, bench_boost_get(queues[channel], buffer, capacity, &length));
    return length;
}

BENCH_CHANNEL(boost, bench_join_nothing, boost_put, boost_get)
BENCH_PEER(bench_boost_mq, boost);

#else

const bench_peer bench_boost_mq;

#endif
