/* SPDX-License-Identifier: MIT */
#include "channel.h"
#include "peers.h"

#ifdef BENCH_HAVE_LIBQB

#include <errno.h>
#include <qb/qbrb.h>
#include <stdio.h>
#include <unistd.h>

static qb_ringbuffer_t *rings[BENCH_CHANNELS];

/* The ring's files have done their work when they are mapped. */
static void forget(bench_party *p, const char *name)
{
    static const char *const parts[] = {"header", "data"};
    for (int i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, "/dev/shm/qb-%s-%s", name, parts[i]);
        if (unlink(path) < 0)
            bench_fail(p, "%s: %s", path, strerror(errno));
    }
}

static void libqb_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        char name[64];
        snprintf(name, sizeof name, "bench-%ld-%d", (long)getpid(), i);
        rings[i] = qb_rb_open(name, bench_slots(p) * (p->length + 16),
                              QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS, 0);
        if (rings[i] == NULL)
            bench_fail(p, "qb_rb_open: %s", strerror(errno));
        forget(p, name);
    }
}

static void libqb_put(bench_party *p, int channel, const void *data, size_t length)
{
    ssize_t n;
    BENCH_UNTIL((n = qb_rb_chunk_write(rings[channel], data, length)) != -EAGAIN);
    BENCH_CHECK(p, n == (ssize_t)length);
}

static size_t libqb_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ssize_t n = qb_rb_chunk_read(rings[channel], buffer, capacity, -1);
    BENCH_CHECK(p, n >= 0);
    return (size_t)n;
}

BENCH_CHANNEL(libqb, bench_join_nothing, libqb_put, libqb_get)
BENCH_PEER(bench_libqb_ring, libqb);

#else

const bench_peer bench_libqb_ring;

#endif
