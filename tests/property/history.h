/* SPDX-License-Identifier: MIT */
/*
 * What producers and consumers of a queue do, and what they write down about it in memory that is
 * no business of the library's, so that the books survive a SIGKILL at any instruction:
 *
 * - A producer notes that a message is begun before its put, and that it is put (and when) after
 *   the put has returned. A message that was begun and not noted as put may be there or not.
 * - A consumer notes before its call how many messages it may take (`promise`), and each message
 *   after the call. So a dead one has taken at most `promise` - `count` that nobody knows of.
 *
 * Times are of CLOCK_MONOTONIC, which all processors agree upon, and not of a shared counter, which
 * would order what the queue has to order.
 */
#ifndef MPROC_TESTS_HISTORY_H
#define MPROC_TESTS_HISTORY_H

#include "support/shared.h"

#include <mproc.h>

enum {
    LIVES = 128,    /* processes of one round */
    ENTRIES = 6000, /* messages of one life */
    BATCH = 8,
    LONGEST = 20000
};

/* In place of a producer: the queue was said to be empty. */
#define NOBODY UINT32_MAX

typedef struct put_entry {
    int64_t begin, end; /* end: 0 until put has returned */
} put_entry;

typedef struct got_entry {
    uint32_t producer, serial;
    int64_t begin, end;
} got_entry;

/* One process, dead or alive. */
typedef struct life {
    _Atomic uint32_t count;   /* entries that are complete; of a producer: messages put */
    _Atomic uint32_t begun;   /* of a producer: messages that may have been put */
    _Atomic uint32_t promise; /* of a consumer: what `count` may have become */
    bool produces;
    int64_t died; /* when it was killed; 0: not */
    union {
        put_entry put[ENTRIES];
        got_entry got[ENTRIES];
    };
} life;

typedef struct world {
    mp_queue *queue;
    bool batches;      /* put_many and get_many, too */
    bool blocks;       /* loans and takes, too */
    uint32_t pause;    /* microseconds that everybody sleeps at most between two calls; 0: no */
    double patience;   /* of one call */
    word stop_putting; /* then producers go home */
    uint32_t lives;    /* how many there have been */
    uint32_t maxsize;
    size_t capacity;
    life life[LIVES];
} world;

static world *w;

static inline int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* At the front of each message. */
typedef struct message {
    uint32_t producer, serial, length, sum;
} message;

static inline uint32_t message_length(uint32_t producer, uint32_t serial)
{
    uint32_t n = (producer * 40503 + serial) * 2654435761u;
    uint32_t most = n % 37 == 0 ? LONGEST : n % 11 == 0 ? 4200 : 200;
    return (uint32_t)sizeof(message) + (n >> 8) % (most - (uint32_t)sizeof(message));
}

/* Each byte depends on whose it is, which number it has, and where it stands. */
static inline uint32_t compose(unsigned char *to, uint32_t producer, uint32_t serial)
{
    message m = {producer, serial, message_length(producer, serial), 0};
    uint32_t x = producer * 2654435761u ^ serial * 40503;
    for (uint32_t i = sizeof m; i < m.length; i++) {
        x = x * 1664525 + 1013904223;
        to[i] = (unsigned char)(x >> 24);
        m.sum = m.sum * 33 + to[i];
    }
    memcpy(to, &m, sizeof m);
    return m.length;
}

/* Whether these bytes are a message as it was composed; whose it is. */
static inline bool is_whole(const unsigned char *bytes, size_t length, message *out)
{
    static unsigned char expected[LONGEST];
    if (length < sizeof *out)
        return false;
    memcpy(out, bytes, sizeof *out);
    if (out->producer >= LIVES || out->serial >= ENTRIES)
        return false;
    return compose(expected, out->producer, out->serial) == length &&
           memcmp(expected, bytes, length) == 0;
}

static inline void rest(random_state *r)
{
    if (w->pause != 0)
        nap(random_below(r, w->pause) * 1e-6);
}

/* Puts one message by a loan, which goes back if it does not get in. */
static inline int lend(const mp_bytes *m)
{
    void *block;
    int rc = mp_queue_loan(w->queue, m->length, &block, w->patience);
    if (rc < 0)
        return rc;
    memcpy(block, m->data, m->length);
    rc = mp_queue_publish(w->queue, block, w->patience);
    CHECK(mp_queue_discard(w->queue, block) == (rc < 0 ? 0 : MP_EINVAL));
    return rc;
}

static inline int put_one(const mp_bytes *m, bool by_loan)
{
    return by_loan ? lend(m) : mp_queue_put(w->queue, m->data, m->length, w->patience);
}

/* Puts `n` messages that are composed, as often as it takes. The producer's place is `me`. */
static inline int put_all(life *l, mp_bytes *messages, int n)
{
    uint32_t first = mp__load_seq(&l->count);
    for (int done = 0; done < n;) {
        int64_t begin = now();
        for (int i = done; i < n; i++)
            l->put[first + (uint32_t)i].begin = begin;
        mp__store_seq(&l->begun, first + (uint32_t)n);
        int rc = n == 1 ? put_one(messages, w->blocks && begin / 64 % 2)
                        : mp_queue_put_many(w->queue, messages + done, n - done, w->patience);
        CHECK(rc >= 0 || rc == MP_EFULL || rc == MP_EAGAIN);
        CHECK(n == 1 || rc != 0);
        int put = rc < 0 ? 0 : n == 1 ? 1 : rc;
        int64_t end = now();
        for (; put > 0; put--)
            l->put[first + (uint32_t)done++].end = end;
        mp__store_seq(&l->count, first + (uint32_t)done);
    }
    return 0;
}

static inline int produce(uint32_t me)
{
    static unsigned char bytes[BATCH][LONGEST];
    mp_bytes messages[BATCH];
    life *l = &w->life[me];
    random_state r = ((uint64_t)getpid() * 7919 + (uint64_t)now()) | 1;
    uint32_t serial;
    while (!mp__load_seq(&w->stop_putting) && (serial = mp__load_seq(&l->count)) < ENTRIES) {
        uint32_t most = w->batches && random_below(&r, 2) ? BATCH : 1;
        uint32_t n = 1 + random_below(&r, most < ENTRIES - serial ? most : ENTRIES - serial);
        for (uint32_t i = 0; i < n; i++)
            messages[i] = (mp_bytes){bytes[i], compose(bytes[i], me, serial + i), 0};
        CHECK(put_all(l, messages, (int)n) == 0);
        rest(&r);
    }
    return 0;
}

static inline void enter(life *l, got_entry entry)
{
    uint32_t count = mp__load_seq(&l->count);
    l->got[count] = entry;
    mp__store_seq(&l->count, count + 1); /* a torn entry is none */
}

/* Gets one message, by a take or into a place. Returns its length or a code. */
static inline ssize_t get_one(unsigned char *to, bool by_take, double timeout)
{
    if (!by_take)
        return mp_queue_get(w->queue, to, LONGEST, timeout);
    const void *taken;
    size_t length;
    int rc = mp_queue_take(w->queue, &taken, &length, timeout);
    if (rc < 0)
        return rc;
    if (length > LONGEST)
        return -1000;
    memcpy(to, taken, length);
    return mp_queue_release(w->queue, taken) == 0 ? (ssize_t)length : -1000;
}

/* One get, of up to `most` messages. Returns how many there were, or a code; -1000: torn. */
static inline int get_some(life *l, uint32_t most, double timeout)
{
    static unsigned char bytes[BATCH][LONGEST];
    mp_bytes places[BATCH];
    for (uint32_t i = 0; i < most; i++)
        places[i] = (mp_bytes){bytes[i], 0, LONGEST};
    mp__store_seq(&l->promise, mp__load_seq(&l->count) + most);
    int64_t begin = now();
    int rc;
    if (most == 1) {
        ssize_t length = get_one(bytes[0], w->blocks && begin / 64 % 2, timeout);
        places[0].length = (size_t)length;
        rc = length < 0 ? (int)length : 1;
    } else {
        rc = mp_queue_get_many(w->queue, places, (int)most, timeout);
    }
    int64_t end = now();
    for (int i = 0; i < rc; i++) {
        message m;
        if (!is_whole(places[i].data, places[i].length, &m))
            return -1000;
        enter(l, (got_entry){m.producer, m.serial, begin, end});
    }
    if (rc == MP_EEMPTY && mp__load_seq(&l->count) < ENTRIES / 2)
        enter(l, (got_entry){NOBODY, 0, begin, end});
    mp__store_seq(&l->promise, mp__load_seq(&l->count));
    return rc;
}

/* Until the queue is closed and nothing is left, or the book is full. */
static inline int consume(uint32_t me)
{
    life *l = &w->life[me];
    random_state r = ((uint64_t)getpid() * 7919 + (uint64_t)now()) | 1;
    while (mp__load_seq(&l->count) + BATCH < ENTRIES) {
        uint32_t most = w->batches && random_below(&r, 2) ? 1 + random_below(&r, BATCH) : 1;
        int rc = get_some(l, most, w->patience);
        CHECK(rc > 0 || rc == MP_EEMPTY || rc == MP_EAGAIN || rc == MP_ECLOSED);
        if (rc == MP_ECLOSED)
            return 0;
        rest(&r);
    }
    return 0;
}

/* What a child runs: its place among the lives is the argument. */
static inline int live(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    return w->life[me].produces ? produce(me) : consume(me);
}

#endif
