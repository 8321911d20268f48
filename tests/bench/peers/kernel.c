/* SPDX-License-Identifier: MIT */
/* Pipes, Unix sockets and POSIX message queues. */
#include "channel.h"
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_LARGE (1 << 20)

static int writing[BENCH_CHANNELS], reading[BENCH_CHANNELS];

static void pipe_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        int ends[2];
        BENCH_CHECK(p, pipe2(ends, O_CLOEXEC) == 0);
        if (p->length >= 65536)
            BENCH_CHECK(p, fcntl(ends[1], F_SETPIPE_SZ, PIPE_LARGE) >= PIPE_LARGE);
        reading[i] = ends[0];
        writing[i] = ends[1];
    }
}

static void open_sockets(bench_party *p, int type)
{
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        int ends[2];
        BENCH_CHECK(p, socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
        reading[i] = ends[0];
        writing[i] = ends[1];
    }
}

static void stream_open(bench_party *p)
{
    open_sockets(p, SOCK_STREAM);
}

static void seqpacket_open(bench_party *p)
{
    open_sockets(p, SOCK_SEQPACKET);
}

static void put_bytes(bench_party *p, int channel, const void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = write(writing[channel], (const char *)data + done, length - done);
        if (n < 0)
            bench_fail(p, "write: %s", strerror(errno));
        done += (size_t)n;
    }
}

static size_t get_bytes(bench_party *p, int channel, void *buffer, size_t capacity)
{
    for (size_t done = 0; done < capacity;) {
        ssize_t n = read(reading[channel], (char *)buffer + done, capacity - done);
        if (n <= 0)
            bench_fail(p, "read: %s", n == 0 ? "end of file" : strerror(errno));
        done += (size_t)n;
    }
    return capacity;
}

static size_t get_packet(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ssize_t n = read(reading[channel], buffer, capacity);
    if (n <= 0)
        bench_fail(p, "read: %s", n == 0 ? "end of file" : strerror(errno));
    return (size_t)n;
}

BENCH_CHANNEL(pipe, bench_join_nothing, put_bytes, get_bytes)
BENCH_PEER(bench_pipe, pipe);

BENCH_CHANNEL(stream, bench_join_nothing, put_bytes, get_bytes)
BENCH_PEER(bench_unix_stream, stream);

BENCH_CHANNEL(seqpacket, bench_join_nothing, put_bytes, get_packet)
BENCH_PEER(bench_unix_seqpacket, seqpacket);

static mqd_t queue[BENCH_CHANNELS];

static void posix_open(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        char name[64];
        snprintf(name, sizeof name, "/bench-%ld-%d", (long)getpid(), i);
        struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)p->length};
        queue[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
        if (queue[i] == (mqd_t)-1)
            bench_fail(p, "mq_open: %s", strerror(errno));
        mq_unlink(name);
    }
}

static void posix_put(bench_party *p, int channel, const void *data, size_t length)
{
    BENCH_CHECK(p, mq_send(queue[channel], data, length, 0) == 0);
}

static size_t posix_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ssize_t n = mq_receive(queue[channel], buffer, capacity, NULL);
    BENCH_CHECK(p, n >= 0);
    return (size_t)n;
}

BENCH_CHANNEL(posix, bench_join_nothing, posix_put, posix_get)
BENCH_PEER(bench_posix_mq, posix);
