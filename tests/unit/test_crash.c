/* SPDX-License-Identifier: MIT */
/* A storm of SIGKILL over a queue: whatever dies wherever, no message is torn, none comes twice or
 * out of its producer's order, none but those in a dead getter's hands is lost, and the others go
 * on. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "chan/ring.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PUTTERS = 2, GETTERS = 2, LARGEST = 20000, BATCH = 7 };

/* Begins every message; the rest follows from it. */
typedef struct head {
    uint32_t producer, sum;
    uint64_t number; /* counts on over a producer's deaths */
    uint32_t length, pad;
} head;

/* What putters and getters write down in memory that outlives them. */
typedef struct log {
    _Atomic uint64_t begun; /* the number that the producer was about to put */
    _Atomic uint64_t put;   /* numbers below were put, or given up at a death */
    _Atomic uint64_t got[GETTERS];
    char pad[64];
} log_entry;

typedef struct shared {
    log_entry of[PUTTERS];
    _Atomic uint64_t count[GETTERS]; /* messages received */
    word stop;
} shared;

static shared *s;
static mp_queue *q;

static uint32_t sum_of(const head *h, const unsigned char *bytes)
{
    uint32_t sum = h->producer * 31 + (uint32_t)h->number * 7 + h->length;
    for (size_t i = sizeof *h; i < h->length; i++)
        sum = sum * 33 + bytes[i];
    return sum;
}

static void compose(unsigned char *bytes, uint32_t producer, uint64_t number, random_state *r)
{
    static const uint32_t most[] = {40, 200, 4096 - sizeof(head), LARGEST - sizeof(head)};
    head h = {.producer = producer, .number = number};
    h.length = (uint32_t)sizeof h + random_below(r, most[random_below(r, 64) / 21]);
    for (size_t i = sizeof h; i < h.length; i++)
        bytes[i] = (unsigned char)(number + i * 5);
    h.sum = sum_of(&h, bytes);
    memcpy(bytes, &h, sizeof h);
}

static int putter(void *arg)
{
    static unsigned char bytes[BATCH][LARGEST];
    uint32_t me = (uint32_t)(uintptr_t)arg;
    random_state r = (uint64_t)getpid() * 7919 + 1;
    log_entry *mine = &s->of[me];
    /* What was about to be put when the last one died may have gone in, or not. */
    uint64_t number = mp__load_seq(&mine->begun);
    for (;;) {
        mp_bytes batch[BATCH];
        int n = random_below(&r, 4) == 0 ? BATCH : 1;
        for (int i = 0; i < n; i++) {
            compose(bytes[i], me, number + (uint64_t)i, &r);
            batch[i] = (mp_bytes){bytes[i], ((head *)(void *)bytes[i])->length, 0};
        }
        mp__store_seq(&mine->begun, number + (uint64_t)n);
        if (n == 1)
            CHECK(mp_queue_put(q, bytes[0], batch[0].length, MP_FOREVER) == 0);
        else
            CHECK(mp_queue_put_many(q, batch, n, MP_FOREVER) == n);
        number += (uint64_t)n;
        mp__store_seq(&mine->put, number);
    }
}

static int examine(uint32_t me, const unsigned char *bytes, size_t length)
{
    head h;
    CHECK(length >= sizeof h);
    memcpy(&h, bytes, sizeof h);
    CHECK(h.length == length && h.producer < PUTTERS && h.sum == sum_of(&h, bytes));
    _Atomic uint64_t *last = &s->of[h.producer].got[me];
    CHECK(h.number + 1 > mp__load_seq(last)); /* later than all that this getter has seen */
    mp__store_seq(last, h.number + 1);
    mp__add_seq(&s->count[me], 1);
    return 0;
}

static int getter(void *arg)
{
    static unsigned char bytes[BATCH][LARGEST];
    uint32_t me = (uint32_t)(uintptr_t)arg;
    random_state r = (uint64_t)getpid() * 104729 + 1;
    for (;;) {
        mp_bytes place[BATCH];
        int n = random_below(&r, 4) == 0 ? BATCH : 1;
        for (int i = 0; i < n; i++)
            place[i] = (mp_bytes){bytes[i], 0, LARGEST};
        ssize_t rc =
            n == 1 ? mp_queue_get(q, bytes[0], LARGEST, 0.5) : mp_queue_get_many(q, place, n, 0.5);
        if (rc == MP_EEMPTY && mp__load_seq(&s->stop))
            return 0;
        if (rc == MP_EEMPTY)
            continue;
        CHECK(rc > 0);
        if (n == 1)
            place[0].length = (size_t)rc;
        for (int i = 0; i < (n == 1 ? 1 : (int)rc); i++)
            CHECK(examine(me, bytes[i], place[i].length) == 0);
    }
}

static uint64_t received(void)
{
    uint64_t all = 0;
    for (int i = 0; i < GETTERS; i++)
        all += mp__load_seq(&s->count[i]);
    return all;
}

/* Others must go on whatever has just died. */
static void wait_for_progress(void)
{
    uint64_t before = received();
    for (double end = seconds() + LONG; received() < before + 20; nap(0.0005))
        assert_true(seconds() < end);
}

static void storm(int maxsize, size_t capacity, bool kill_putters, bool kill_getters)
{
    random_state r = random_start("storm");
    pid_t put[PUTTERS], get[GETTERS];
    size_t used = bytes_in_use();
    s = common(sizeof *s);
    assert_int_equal(mp_queue_new(&q, .maxsize = maxsize, .capacity = capacity), 0);
    for (uintptr_t i = 0; i < PUTTERS; i++)
        put[i] = child_start(putter, (void *)i);
    for (uintptr_t i = 0; i < GETTERS; i++)
        get[i] = child_start(getter, (void *)i);
    int deaths[2] = {0, 0};
    for (int k = 0; k < fewer(300); k++) {
        if (k % 8 == 0)
            wait_for_progress();
        nap(random_below(&r, 1000) * 1e-6);
        bool putters = kill_putters && (!kill_getters || random_below(&r, 2));
        uintptr_t i = random_below(&r, putters ? PUTTERS : GETTERS);
        pid_t *who = putters ? &put[i] : &get[i];
        assert_int_equal(child_kill(*who), -SIGKILL);
        *who = child_start(putters ? putter : getter, (void *)i);
        deaths[putters]++;
    }
    wait_for_progress();
    for (int i = 0; i < PUTTERS; i++)
        assert_int_equal(child_kill(put[i]), -SIGKILL);
    mp__store_seq(&s->stop, 1);
    for (int i = 0; i < GETTERS; i++)
        assert_int_equal(child_end(get[i]), 0);
    assert_int_equal(mp_queue_size(q), 0);
    if (!kill_getters) { /* all came that were put for sure, but for batches that died */
        uint64_t sure = 0;
        for (int i = 0; i < PUTTERS; i++)
            sure += mp__load_seq(&s->of[i].put);
        assert_true(received() <= sure + BATCH * PUTTERS);
        assert_true(received() + (uint64_t)(deaths[1] + PUTTERS) * BATCH >= sure);
    }
    mp_queue_free(q);
    assert_int_equal(mp_shared_check(NULL), 0);
    size_t leaked = bytes_in_use() - used;
    size_t all = (size_t)(deaths[0] + deaths[1] + PUTTERS);
    printf("%llu messages, %d putters and %d getters killed, %zu bytes leaked\n",
           (unsigned long long)received(), deaths[1] + PUTTERS, deaths[0], leaked);
    assert_true(leaked <= all * (BATCH * (size_t)(LARGEST + 4096) + 65536));
    munmap(s, sizeof *s);
}

static void test_putters_die(void **state)
{
    (void)state;
    storm(50, 0, true, false);
}

static void test_getters_die(void **state)
{
    (void)state;
    storm(50, 0, false, true);
}

static void test_all_die(void **state)
{
    (void)state;
    storm(0x7fffffff, 3 << 20, true, true);
    storm(3, 0, true, true);
}

static void test_bytes_are_counted_through_deaths(void **state)
{
    (void)state;
    storm(0, 50000, true, true);
}

#define MOST ((uint32_t)1 << 25)

/* Losses are counted: a producer that lives, getters that die. At most one message each goes with
 * them. */
static int count_up(void *arg)
{
    for (uint32_t i = 0; i < MOST && !mp__load_relaxed(&s->stop); i++) {
        CHECK(MP_PUT(q, i, MP_FOREVER) == 0);
        mp__store_seq((word *)arg, i + 1);
    }
    return 0;
}

static int mark(void *arg)
{
    _Atomic unsigned char *seen = arg;
    for (uint32_t i;;) {
        int rc = MP_GET(q, &i, MP_FOREVER);
        if (rc == MP_ECLOSED)
            return 0;
        CHECK(rc == 0);
        CHECK(mp__add_relaxed(&seen[i], 1) == 0); /* nothing comes twice */
    }
}

static void test_one_loss_per_death(void **state)
{
    (void)state;
    random_state r = random_start("test_one_loss_per_death");
    s = common(sizeof *s);
    unsigned char *seen = common(MOST);
    word *put = common(4096);
    assert_int_equal(mp_queue_new(&q, .maxsize = 1000), 0);
    pid_t child[GETTERS], producer = child_start(count_up, (void *)put);
    uint32_t deaths = 0, lost = 0;
    for (int i = 0; i < GETTERS; i++)
        child[i] = child_start(mark, seen);
    while (mp__load_seq(put) < MOST && deaths < (uint32_t)fewer(300)) {
        nap(random_below(&r, 1000) * 1e-6);
        uint32_t i = random_below(&r, GETTERS);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        child[i] = child_start(mark, seen);
        deaths++;
    }
    mp__store_seq(&s->stop, 1);
    assert_int_equal(child_end(producer), 0);
    assert_int_equal(mp_queue_close(q), 0);
    for (int i = 0; i < GETTERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    for (uint32_t i = 0; i < mp__load_seq(put); i++)
        lost += seen[i] == 0;
    printf("%u messages, %u getters killed, %u messages lost\n", mp__load_seq(put), deaths, lost);
    assert_true(lost <= deaths);
    mp_queue_free(q);
    munmap(seen, MOST);
    munmap((void *)put, 4096);
    munmap(s, sizeof *s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_putters_die),
        cmocka_unit_test(test_getters_die),
        cmocka_unit_test(test_all_die),
        cmocka_unit_test(test_bytes_are_counted_through_deaths),
        cmocka_unit_test(test_one_loss_per_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
