/* SPDX-License-Identifier: MIT */
/* The sockets' names are abstract, so that there are no files. They are opened in the parties: nng
 * ends a process that has used it and forks. */
#include "channel.h"
#include "peers.h"

#ifdef BENCH_HAVE_NNG

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <unistd.h>

static nng_socket sockets[BENCH_CHANNELS];
static long family;

#define CHECK(p, call)                                                                             \
    do {                                                                                           \
        int check_rc = (call);                                                                     \
        if (check_rc != 0)                                                                         \
            bench_fail(p, "%s: %s", #call, nng_strerror(check_rc));                                \
    } while (0)

static void pipeline_open(bench_party *p)
{
    (void)p;
    family = (long)getpid();
}

static void name_channel(char name[64], int channel)
{
    snprintf(name, 64, "abstract://bench-%ld-%d", family, channel);
}

/* Who dials before the other listens tries again later. */
static void pipeline_join(bench_party *p)
{
    int mine = p->index, other = 1 - p->index;
    char name[64];
    name_channel(name, mine);
    CHECK(p, nng_pull0_open(&sockets[mine]));
    CHECK(p, nng_listen(sockets[mine], name, NULL, 0));
    bench_meet(&p->page->joined, p->parties);
    name_channel(name, other);
    CHECK(p, nng_push0_open(&sockets[other]));
    CHECK(p, nng_dial(sockets[other], name, NULL, 0));
}

static void pipeline_put(bench_party *p, int channel, const void *data, size_t length)
{
    CHECK(p, nng_send(sockets[channel], (void *)(uintptr_t)data, length, 0));
}

static size_t pipeline_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    size_t length = capacity;
    CHECK(p, nng_recv(sockets[channel], buffer, &length, 0));
    return length;
}

BENCH_CHANNEL(pipeline, pipeline_join, pipeline_put, pipeline_get)
BENCH_PEER(bench_nng, pipeline);

#else

const bench_peer bench_nng;

#endif
