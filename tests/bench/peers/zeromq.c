/* SPDX-License-Identifier: MIT */
/* The sockets' names are abstract, so that there are no files. Each party has a context of its own,
 * since one does not survive a fork. */
#include "channel.h"
#include "peers.h"

#ifdef BENCH_HAVE_ZEROMQ

#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

static void *sockets[BENCH_CHANNELS];
static long family;

static void zeromq_open(bench_party *p)
{
    (void)p;
    family = (long)getpid();
}

/* Half of the messages may be at either side. */
static void join_channel(bench_party *p, void *context, int channel)
{
    bool getting = p->index == channel;
    void *s = zmq_socket(context, getting ? ZMQ_PULL : ZMQ_PUSH);
    BENCH_CHECK(p, s != NULL);
    int most = (int)bench_slots(p) / 2;
    BENCH_CHECK(p, zmq_setsockopt(s, ZMQ_SNDHWM, &most, sizeof most) == 0);
    BENCH_CHECK(p, zmq_setsockopt(s, ZMQ_RCVHWM, &most, sizeof most) == 0);
    char name[64];
    snprintf(name, sizeof name, "ipc://@bench-%ld-%d", family, channel);
    int rc = getting ? zmq_bind(s, name) : zmq_connect(s, name);
    if (rc != 0)
        bench_fail(p, "%s: %s", name, zmq_strerror(zmq_errno()));
    sockets[channel] = s;
}

/* Who connects before the other has bound tries again much later. */
static void zeromq_join(bench_party *p)
{
    void *context = zmq_ctx_new();
    BENCH_CHECK(p, context != NULL);
    join_channel(p, context, p->index);
    bench_meet(&p->page->joined, p->parties);
    join_channel(p, context, 1 - p->index);
}

static void zeromq_put(bench_party *p, int channel, const void *data, size_t length)
{
    BENCH_CHECK(p, zmq_send(sockets[channel], data, length, 0) == (int)length);
}

static size_t zeromq_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    int n = zmq_recv(sockets[channel], buffer, capacity, 0);
    BENCH_CHECK(p, n >= 0 && (size_t)n <= capacity);
    return (size_t)n;
}

BENCH_CHANNEL(zeromq, zeromq_join, zeromq_put, zeromq_get)
BENCH_PEER(bench_zeromq, zeromq);

#else

const bench_peer bench_zeromq;

#endif
