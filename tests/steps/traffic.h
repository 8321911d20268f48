/* SPDX-License-Identifier: MIT */
/* Messages through one queue, from numbered producers, each message accounted for: for the tests
 * that kill a putter or a getter at its steps. */
#ifndef MPROC_TESTS_STEPS_TRAFFIC_H
#define MPROC_TESTS_STEPS_TRAFFIC_H

#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PARENT, FIRST, VICTIM, OTHER, FRESH, PRODUCERS, MOST = 64, LARGEST = 20100, BATCH = 5 };

/* A queue, and what goes through it. */
typedef struct shape {
    int maxsize;
    size_t capacity;
    uint32_t length; /* of messages, or a little more */
    bool many;       /* put_many, get_many */
} shape;

typedef struct message {
    uint32_t producer, number, length, sum;
} message;

/* Memory that outlives the processes. */
typedef struct traffic {
    word begun[PRODUCERS]; /* puts of numbers below may have begun */
    word done[PRODUCERS];  /* puts of numbers below have returned */
    _Atomic unsigned char seen[PRODUCERS][MOST];
    word got; /* by the victim */
} traffic;

static mp_queue *q;
static traffic *t;
static shape form;
static size_t used_before;
static int deaths;
static char context[160]; /* what was tried when a test failed */

static uint32_t compose(unsigned char *to, uint32_t producer, uint32_t number)
{
    message m = {producer, number, (uint32_t)sizeof m + form.length + number % 7, 0};
    m.sum = producer * 31 + number;
    for (uint32_t i = sizeof m; i < m.length; i++) {
        to[i] = (unsigned char)(number * 5 + producer + i);
        m.sum = m.sum * 33 + to[i];
    }
    memcpy(to, &m, sizeof m);
    return m.length;
}

/* Notes a message that was got: whole, later than what this process has got of its producer
 * (`next`), and never seen before. */
static int note(const unsigned char *from, size_t length, uint32_t next[PRODUCERS])
{
    static unsigned char expected[LARGEST];
    message m;
    CHECK(length >= sizeof m);
    memcpy(&m, from, sizeof m);
    CHECK(m.producer < PRODUCERS && m.number < MOST && m.length == length);
    CHECK(compose(expected, m.producer, m.number) == length);
    CHECK(memcmp(expected, from, length) == 0);
    CHECK(m.number >= next[m.producer]);
    next[m.producer] = m.number + 1;
    CHECK(mp__add_seq(&t->seen[m.producer][m.number], 1) == 0);
    return 0;
}

/* Puts on to a number. */
static int put_upto(uint32_t me, uint32_t upto)
{
    static unsigned char bytes[BATCH][LARGEST];
    uint32_t number = mp__load_seq(&t->done[me]);
    while (number < upto) {
        mp_bytes batch[BATCH];
        uint32_t n = 0;
        for (; n < (form.many ? BATCH : 1) && number + n < upto; n++)
            batch[n] = (mp_bytes){bytes[n], compose(bytes[n], me, number + n), 0};
        mp__store_seq(&t->begun[me], number + n);
        if (form.many)
            CHECK(mp_queue_put_many(q, batch, (int)n, LONG) == (int)n);
        else
            CHECK(mp_queue_put(q, batch[0].data, batch[0].length, LONG) == 0);
        number += n;
        mp__store_seq(&t->done[me], number);
    }
    return 0;
}

/* Gets until `most` have come or the queue is closed. */
static int get_upto(uint32_t most, word *count)
{
    static unsigned char bytes[BATCH][LARGEST];
    uint32_t next[PRODUCERS] = {0};
    for (uint32_t got = 0; got < most;) {
        mp_bytes place[BATCH];
        int n = 0;
        for (; n < (form.many ? BATCH : 1) && got + (uint32_t)n < most; n++)
            place[n] = (mp_bytes){bytes[n], 0, LARGEST};
        ssize_t rc = form.many ? mp_queue_get_many(q, place, n, LONG)
                               : mp_queue_get(q, bytes[0], LARGEST, LONG);
        if (rc == MP_ECLOSED)
            return 0;
        CHECK(rc > 0);
        if (!form.many)
            place[0].length = (size_t)rc;
        for (int i = 0; i < (form.many ? (int)rc : 1); i++, got++) {
            CHECK(note(bytes[i], place[i].length, next) == 0);
            if (count != NULL)
                mp__add_seq(count, 1);
        }
    }
    return 0;
}

/* Children. */

typedef struct order {
    uint32_t who, count;
} order;

static int put_messages(void *arg)
{
    const order *o = arg;
    return put_upto(o->who, o->count);
}

static int get_messages(void *arg)
{
    const order *o = arg;
    return get_upto(o->count, o->who == VICTIM ? &t->got : NULL);
}

static pid_t start_putter(uint32_t who, uint32_t count)
{
    return child_start(put_messages, &(order){who, count});
}

static pid_t start_getter(uint32_t count)
{
    return child_start(get_messages, &(order){OTHER, count});
}

/* In the test. */

static uint32_t seen_of(uint32_t producer)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MOST; i++)
        n += mp__load_seq(&t->seen[producer][i]);
    return n;
}

/* A new queue whose position is not 0, so that records soon reach the segment's end. */
static void begin(const shape *s)
{
    form = *s;
    memset(t, 0, sizeof *t);
    used_before = bytes_before();
    deaths = 0;
    assert_int_equal(mp_queue_new(&q, .maxsize = s->maxsize, .capacity = s->capacity), 0);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(put_upto(PARENT, i), 0);
        assert_int_equal(get_upto(1, NULL), 0);
    }
    assert_int_equal(seen_of(PARENT), 5);
}

/* After a death: whatever memory is free is written over, so that nobody gets along with what was
 * freed too early. */
static inline void scribble(void)
{
    enum { EACH = 12 };
    static const size_t sizes[] = {1024, 8300, 16500, 20100, 32900};
    void *block[5][EACH];
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < EACH; k++) {
            block[i][k] = mp_shared_alloc(sizes[i]);
            assert_non_null(block[i][k]);
            memset(block[i][k], 0xa5, sizes[i]);
        }
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < EACH; k++)
            mp_shared_free(block[i][k]);
}

/* Fresh processes use it once more, beside the getter that there may be (or 0); then it is closed
 * and drained, all has come that must, and nothing is left but what the dead had in hand. */
static inline void finish(pid_t other_getter)
{
    pid_t getter = start_getter(UINT32_MAX);
    pid_t putter = start_putter(FRESH, 20);
    assert_int_equal(child_end(putter), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(child_end(getter), 0);
    assert_int_equal(other_getter != 0 ? child_end(other_getter) : 0, 0);
    assert_int_equal(seen_of(FRESH), 20);
    assert_int_equal(mp_queue_size(q), 0);
    mp_queue_free(q);
    q = NULL;
    const char *problem = NULL;
    assert_int_equal(mp_shared_check(&problem), 0);
    size_t leaked = bytes_in_use() - used_before;
    size_t most = (size_t)deaths * (form.many ? BATCH : 1) * (LARGEST + 8192) +
                  (size_t)deaths * 65536; /* blocks in hand, and a segment */
    assert_in_range(leaked, 0, most);
}

static inline bool is_one_of(const char *step, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(step, *list) == 0)
            return true;
    return false;
}

/* Waits until *w is `value`, by others' doing alone. Not long: nobody may be stuck. */
static inline void assert_becomes(uint32_t (*now)(void), uint32_t value)
{
    for (double end = seconds() + 30; now() != value; nap(0.0005))
        if (seconds() > end)
            assert_int_equal(now(), value);
}

static inline int traffic_setup(void **state)
{
    (void)state;
    t = common(sizeof *t);
    return t == NULL ? -1 : mp_init();
}

static inline int traffic_teardown(void **state)
{
    (void)state;
    munmap(t, sizeof *t);
    if (q != NULL)
        fprintf(stderr, "failed: %s\n", context);
    mp_queue_free(q);
    q = NULL;
    return 0;
}

#define TRAFFIC_TEST(f) cmocka_unit_test_setup_teardown(f, traffic_setup, traffic_teardown)

#endif
