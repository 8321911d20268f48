/* SPDX-License-Identifier: MIT */
/*
 * Queue, one way: how many messages a second go through, of 8 B to 1 MiB, for one to four producers
 * and as many consumers; see peers/channel.h. Pinned, the producers are on one processor and the
 * consumers on the other.
 *
 * "ours" is what mp_queue_new(&q) makes, which grows: so that it does not fill the memory, a
 * producer looks at mp_queue_size() now and then, and yields while there are as many messages in it
 * as the peers' rings have slots: 1024, 64 or 8. "ours-maxsize" has that as its maxsize. Python's
 * Queue is held back, too, by sleeping, which makes it faster, at 4096 messages or 8 MiB.
 *
 * Batches: 32 messages in a call of mp_queue_put_many() and mp_queue_get_many(), beside what the
 * limits do one by one.
 */
#include "peers/channel.h"
#include "peers/peers.h"

#include <mproc.h>

#define BATCH 32

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

/* Eight looks on the way to what it may hold: more than that does not get in between them. */
static inline void hold_back(bench_party *p, size_t more)
{
    unseen += more;
    if (unseen * 8 < most * 2 / (size_t)p->parties)
        return;
    unseen = 0;
    while ((size_t)mp_queue_size(queue) >= most)
        sched_yield();
}

static void limited_put(bench_party *p, int channel, const void *data, size_t length)
{
    (void)channel;
    BENCH_OURS(p, mp_queue_put(queue, data, length, MP_FOREVER));
}

static void ours_put(bench_party *p, int channel, const void *data, size_t length)
{
    limited_put(p, channel, data, length);
    hold_back(p, 1);
}

static size_t ours_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    (void)channel;
    ssize_t length = mp_queue_get(queue, buffer, capacity, MP_FOREVER);
    if (length < 0)
        bench_fail(p, "mp_queue_get: %s", mp_errname((int)length));
    return (size_t)length;
}

static void ours_party(bench_party *p)
{
    bench_one_way(p, ours_put, ours_get);
}

static void limited_party(bench_party *p)
{
    bench_one_way(p, limited_put, ours_get);
}

/* ---- Batches */

static void produce(bench_party *p, mp_bytes batch[BATCH], bool limited)
{
    do {
        for (int i = 0; i < BATCH; i++)
            bench_fill(batch[i].data, p->length, BENCH_DATA);
        for (int done = 0, n; done < BATCH; done += n) {
            n = mp_queue_put_many(queue, batch + done, BATCH - done, MP_FOREVER);
            BENCH_OURS(p, n);
        }
        if (!limited)
            hold_back(p, BATCH);
    } while (bench_go_on(p, 0));
    if (bench_is_last_producer(p))
        BENCH_OURS(p, mp_queue_close(queue));
}

static void consume(bench_party *p, mp_bytes batch[BATCH])
{
    bool counting = true;
    for (;;) {
        int n = mp_queue_get_many(queue, batch, BATCH, MP_FOREVER);
        if (n == MP_ECLOSED)
            break;
        BENCH_OURS(p, n);
        for (int i = 0; i < n; i++)
            BENCH_CHECK(p, bench_look(p, batch[i].data, batch[i].length));
        counting = counting && bench_go_on(p, (uint64_t)n);
    }
    if (counting)
        bench_go_on(p, 0);
}

static void in_batches(bench_party *p, bool limited)
{
    mp_bytes batch[BATCH];
    unsigned char *bytes = bench_buffer(p, BATCH * p->length);
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = (mp_bytes){bytes + i * p->length, p->length, p->length};
    if (p->index % 2 == 0)
        produce(p, batch, limited);
    else
        consume(p, batch);
    bench_leave(p);
}

static void ours_batches(bench_party *p)
{
    in_batches(p, false);
}

static void limited_batches(bench_party *p)
{
    in_batches(p, true);
}

/* ---- What is compared; with THOROUGH not if it has to be quick, and with a ratio (or 0) that is
 * to be reached. */

#define OURS                                                                                       \
    {                                                                                              \
        .name = "ours", .prepare = ours_open, .party = ours_party                                  \
    }
#define OURS_LIMITED                                                                               \
    {                                                                                              \
        .name = "ours-maxsize", .prepare = limited_open, .party = limited_party                    \
    }
#define THOROUGH true
#define PEER(text, which, left_out, ratio)                                                         \
    {                                                                                              \
        .name = text, .peer = &(which), .one_way = true, .thorough = (left_out), .need = {         \
            .at_least = (ratio)                                                                    \
        }                                                                                          \
    }
#define PYTHON(text, object, left_out, ratio)                                                      \
    {                                                                                              \
        .name = "python-" text, .python = object " one_way", .thorough = (left_out), .need = {     \
            .at_least = (ratio)                                                                    \
        }                                                                                          \
    }

#define SMALL(boost, vyukov, py)                                                                   \
    OURS, OURS_LIMITED, PEER("pipe", bench_pipe, 0, 0),                                            \
        PEER("unix-stream", bench_unix_stream, THOROUGH, 0),                                       \
        PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),                                 \
        PEER("posix-mq", bench_posix_mq, THOROUGH, 0), PEER("boost-mq", bench_boost_mq, 0, boost), \
        PEER("libqb-ring", bench_libqb_ring, 0, 0), PEER("zeromq", bench_zeromq, 0, 0),            \
        PEER("nng", bench_nng, THOROUGH, 0), PEER("spsc-ring", bench_spsc_ring, 0, 0),             \
        PEER("vyukov-ring", bench_vyukov_ring, 0, vyukov), PYTHON("Pipe", "Pipe", THOROUGH, 0),    \
        PYTHON("Pipe-one-way", "OneWayPipe", 0, 0),                                                \
        PYTHON("SimpleQueue", "SimpleQueue", THOROUGH, 0), PYTHON("Queue", "Queue", 0, py)

static const bench_contender one_to_one[] = {SMALL(0, 0, 0), {0}};
static const bench_contender one_to_one_64[] = {SMALL(2.5, 0.9, 60), {0}};

static const bench_contender large[] = {
    OURS,
    OURS_LIMITED,
    PEER("pipe", bench_pipe, THOROUGH, 0),
    PEER("unix-stream", bench_unix_stream, 0, 0),
    PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),
    PEER("boost-mq", bench_boost_mq, 0, 0),
    PEER("libqb-ring", bench_libqb_ring, 0, 0),
    PEER("zeromq", bench_zeromq, THOROUGH, 0),
    PEER("nng", bench_nng, THOROUGH, 0),
    PEER("spsc-ring", bench_spsc_ring, 0, 0.9),
    PEER("vyukov-ring", bench_vyukov_ring, 0, 0),
    PYTHON("Pipe", "Pipe", 0, 5),
    PYTHON("Pipe-one-way", "OneWayPipe", 0, 5),
    PYTHON("SimpleQueue", "SimpleQueue", THOROUGH, 0),
    PYTHON("Queue", "Queue", THOROUGH, 0),
    {0},
};

/* A message of a stream would be torn: several read at once. */
#define MANY(boost, vyukov, py)                                                                    \
    OURS, OURS_LIMITED, PEER("pipe", bench_pipe, THOROUGH, 0),                                     \
        PEER("unix-seqpacket", bench_unix_seqpacket, THOROUGH, 0),                                 \
        PEER("posix-mq", bench_posix_mq, THOROUGH, 0), PEER("boost-mq", bench_boost_mq, 0, boost), \
        PEER("vyukov-ring", bench_vyukov_ring, 0, vyukov),                                         \
        PYTHON("SimpleQueue", "SimpleQueue", THOROUGH, 0), PYTHON("Queue", "Queue", 0, py)

static const bench_contender many_to_many[] = {MANY(0, 0, 0), {0}};
static const bench_contender many_to_many_64[] = {MANY(2.5, 0.8, 50), {0}};

static const bench_contender many_large[] = {
    OURS,
    OURS_LIMITED,
    PEER("boost-mq", bench_boost_mq, 0, 0),
    PEER("vyukov-ring", bench_vyukov_ring, 0, 0),
    PYTHON("Queue", "Queue", 0, 0),
    {0},
};

#define IN_BATCHES                                                                                 \
    {.name = "ours", .prepare = ours_open, .party = ours_batches},                                 \
    {                                                                                              \
        .name = "ours-maxsize", .prepare = limited_open, .party = limited_batches                  \
    }

static const bench_contender batches[] = {
    IN_BATCHES,
    PEER("spsc-ring-singly", bench_spsc_ring, 0, 1),
    PEER("vyukov-ring-singly", bench_vyukov_ring, 0, 0),
    {0},
};

static const bench_contender batches_of_many[] = {
    IN_BATCHES,
    PEER("vyukov-ring-singly", bench_vyukov_ring, 0, 0),
    {0},
};

#define ALL (BENCH_PINNED | BENCH_FREE)

#define METRIC(text, pairs, bytes, compared, in, left_out)                                         \
    {                                                                                              \
        .name = text, .contenders = compared, .parties = 2 * (pairs), .placements = ALL,           \
        .unit = BENCH_##in, .length = (bytes), .thorough = (left_out)                              \
    }

static const bench_metric metrics[] = {
    METRIC("64B-1:1", 1, 64, one_to_one_64, MILLIONS, 0),
    METRIC("64B-2:2", 2, 64, many_to_many_64, MILLIONS, BENCH_FREE),
    METRIC("64B-4:4", 4, 64, many_to_many_64, MILLIONS, BENCH_FREE),
    METRIC("64B-1:1-batch-32", 1, 64, batches, MILLIONS, BENCH_FREE),
    METRIC("64B-2:2-batch-32", 2, 64, batches_of_many, MILLIONS, ALL),
    METRIC("64B-4:4-batch-32", 4, 64, batches_of_many, MILLIONS, BENCH_FREE),
    METRIC("64KiB-1:1", 1, 65536, large, THOUSANDS, BENCH_FREE),
    METRIC("1MiB-1:1", 1, 1048576, large, THOUSANDS, BENCH_FREE),
    METRIC("8B-1:1", 1, 8, one_to_one, MILLIONS, ALL),
    METRIC("1KiB-1:1", 1, 1024, one_to_one, MILLIONS, ALL),
    METRIC("8B-2:2", 2, 8, many_to_many, MILLIONS, ALL),
    METRIC("8B-4:4", 4, 8, many_to_many, MILLIONS, ALL),
    METRIC("1KiB-2:2", 2, 1024, many_to_many, MILLIONS, ALL),
    METRIC("1KiB-4:4", 4, 1024, many_to_many, MILLIONS, ALL),
    METRIC("64KiB-2:2", 2, 65536, many_large, THOUSANDS, ALL),
    METRIC("64KiB-4:4", 4, 65536, many_large, THOUSANDS, ALL),
    METRIC("1MiB-2:2", 2, 1048576, many_large, THOUSANDS, ALL),
    METRIC("1MiB-4:4", 4, 1048576, many_large, THOUSANDS, ALL),
};

int main(void)
{
    return bench_main("queue", metrics, sizeof metrics / sizeof *metrics);
}
