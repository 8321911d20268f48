/* SPDX-License-Identifier: MIT */
/* The queue between processes and threads: order, exactly once, limits under load, deadlines, and
 * single deaths and stops at the worst places. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "chan/queue.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static word *words;

static mp__ring *ring_of(mp_queue *queue)
{
    return &queue->ring;
}

static int setup(void **state)
{
    (void)state;
    words = common(65536);
    return words == NULL ? -1 : mp_queue_new(&q);
}

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    munmap((void *)words, 65536);
    return mp_shared_check(NULL);
}

static void remake(int maxsize, size_t capacity)
{
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = maxsize, .capacity = capacity), 0);
}

#define PRODUCERS 3
#define CONSUMERS 3

typedef struct item {
    uint32_t producer, number;
    char pad[]; /* number % 50 bytes */
} item;

static uint32_t each; /* messages of one producer */
static int many;      /* whether they go in and out in batches */

static int produce(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    _Alignas(item) char bytes[5][64] = {{0}};
    for (uint32_t i = 0; i < each;) {
        mp_bytes batch[5];
        int n = many && i + 5 <= each ? 5 : 1;
        for (int k = 0; k < n; k++) {
            item *it = (item *)(void *)bytes[k];
            it->producer = me;
            it->number = i + (uint32_t)k;
            batch[k] = (mp_bytes){it, sizeof *it + it->number % 50, 0};
        }
        if (many)
            CHECK(mp_queue_put_many(q, batch, n, MP_FOREVER) == n);
        else
            CHECK(mp_queue_put(q, batch[0].data, batch[0].length, MP_FOREVER) == 0);
        i += (uint32_t)n;
    }
    return 0;
}

/* words[producer * each + number] counts how often each came. */
static int consume(void *arg)
{
    (void)arg;
    uint32_t next[PRODUCERS] = {0};
    _Alignas(item) char bytes[5][64];
    for (;;) {
        mp_bytes batch[5];
        for (int k = 0; k < 5; k++)
            batch[k] = (mp_bytes){bytes[k], 0, 64};
        ssize_t rc = many ? mp_queue_get_many(q, batch, 5, MP_FOREVER)
                          : mp_queue_get(q, bytes[0], 64, MP_FOREVER);
        if (rc == MP_ECLOSED)
            return 0;
        CHECK(rc > 0);
        if (!many)
            batch[0].length = (size_t)rc;
        for (int k = 0; k < (many ? (int)rc : 1); k++) {
            item *it = (item *)(void *)bytes[k];
            CHECK(it->producer < PRODUCERS && it->number >= next[it->producer]);
            CHECK(batch[k].length == sizeof *it + it->number % 50);
            next[it->producer] = it->number + 1;
            CHECK(mp__add_seq(&words[it->producer * each + it->number], 1) == 0);
        }
    }
}

/* Never above the limits, whoever looks whenever. */
static int watch(void *arg)
{
    int maxsize = *(int *)arg;
    while (!mp__load_seq(&words[16000])) {
        int size = mp_queue_size(q);
        CHECK(size >= 0 && (maxsize == 0 || size <= maxsize));
    }
    return 0;
}

static void flow(int maxsize, size_t capacity, int in_batches)
{
    pid_t p[PRODUCERS], c[CONSUMERS];
    memset((void *)words, 0, 65536);
    remake(maxsize, capacity);
    many = in_batches;
    each = (uint32_t)fewer(5000);
    pid_t watcher = child_start(watch, &maxsize);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        p[i] = child_start(produce, (void *)i);
    for (int i = 0; i < CONSUMERS; i++)
        c[i] = child_start(consume, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(child_end(p[i]), 0);
    assert_int_equal(mp_queue_close(q), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(child_end(c[i]), 0);
    for (uint32_t i = 0; i < PRODUCERS * each; i++)
        assert_int_equal(mp__load_seq(&words[i]), 1);
    mp__store_seq(&words[16000], 1);
    assert_int_equal(child_end(watcher), 0);
}

static void test_flow(void **state)
{
    (void)state;
    for (int in_batches = 0; in_batches < 2; in_batches++) {
        flow(0, 0, in_batches);
        flow(1, 0, in_batches);
        flow(7, 0, in_batches);
        flow(0, 500, in_batches);
        flow(100, 2000, in_batches);
    }
}

static void test_threads(void **state)
{
    (void)state;
    task p[PRODUCERS], c[CONSUMERS];
    remake(20, 0);
    many = 0;
    each = (uint32_t)fewer(5000);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(task_start(&p[i], produce, (void *)i), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(task_start(&c[i], consume, NULL), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(task_end(&p[i]), 0);
    assert_int_equal(mp_queue_close(q), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(task_end(&c[i]), 0);
}

static int get_one(void *arg)
{
    char c;
    signal_word(&words[0]);
    ssize_t rc = mp_queue_get(q, &c, 1, MP_FOREVER);
    mp__store_seq(&words[1], (uint32_t)c);
    return rc == 1 ? 0 : arg != NULL;
}

/* Pain A4: a getter is killed while it waits; the others do not suffer. */
static void test_killed_while_waiting(void **state)
{
    (void)state;
    pid_t child[4];
    for (uint32_t i = 0; i < 4; i++) {
        child[i] = child_start(get_one, &words);
        assert_true(await(&words[0], i + 1));
        until_asleep(child[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    double start = seconds();
    assert_int_equal(mp_queue_put(q, "z", 1, 0), 0);
    assert_int_equal(child_end(child[3]), 0);
    assert_true(seconds() - start < LONG / 2);
    assert_int_equal(mp__load_seq(&words[1]), 'z');
}

/* A putter dies exactly between publishing and waking: the kernel wakes the sleeper in its place.
 * */
static int publish_and_die(void *arg)
{
    (void)arg;
    mp__ring *r = ring_of(q);
    mp__ring_message m = {MP__RING_BYTES, "w", 1, NULL};
    mp__mutex_lock(&r->put_lock);
    mp__ring_batch batch = mp__ring_put_begin(r);
    CHECK(mp__ring_add(r, &batch, &m) == 0);
    mp__robust_announce_bell(mp__thread_self(), &q->not_empty.word);
    mp__ring_publish(r, &batch);
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_between_publish_and_wake(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        mp__store_seq(&words[0], 0);
        pid_t getter = child_start(get_one, &words);
        assert_true(await(&words[0], 1));
        until_asleep(getter);
        assert_int_equal(child_end(child_start(publish_and_die, NULL)), -SIGKILL);
        double start = seconds();
        assert_int_equal(child_end(getter), 0);
        assert_true(seconds() - start < LONG / 2); /* 0.1 s where the machine is not busy */
        assert_int_equal(mp__load_seq(&words[1]), 'w');
    }
}

/* A process is stopped with the putters' lock: putters leave by their deadline, and getters are not
 * concerned. */
static int hold_lock(void *arg)
{
    CHECK(!mp__mutex_lock(arg));
    signal_word(&words[0]);
    for (;;)
        pause();
}

static void test_stopped_holder(void **state)
{
    (void)state;
    char c;
    assert_int_equal(mp_queue_put(q, "a", 1, 0), 0);
    pid_t child = child_start(hold_lock, &ring_of(q)->put_lock);
    assert_true(await(&words[0], 1));
    kill(child, SIGSTOP);
    static const double timeouts[] = {0, -1, 0.15};
    for (int i = 0; i < 3; i++) {
        double start = seconds();
        assert_int_equal(mp_queue_put(q, "b", 1, timeouts[i]), MP_EAGAIN);
        assert_true(seconds() - start >= timeouts[i] && seconds() - start < LONG / 2);
    }
    assert_int_equal(mp_queue_get(q, &c, 1, 0), 1);
    for (int i = 0; i < 3; i++) {
        double start = seconds();
        assert_int_equal(mp_queue_get(q, &c, 1, timeouts[i]), MP_EEMPTY);
        assert_true(seconds() - start >= timeouts[i] && seconds() - start < LONG / 2);
    }
    assert_int_equal(child_kill(child), -SIGKILL);
    assert_int_equal(mp_queue_put(q, "c", 1, LONG), 0);
    assert_int_equal(mp_queue_get(q, &c, 1, LONG), 1);
}

static int put_one(void *arg)
{
    signal_word(&words[0]);
    CHECK(mp_queue_put(q, "0123456789", *(size_t *)arg, MP_FOREVER) == 0);
    return 0;
}

/* Room for many by one get: all who wait for bytes learn of it. */
static void test_room_for_many(void **state)
{
    (void)state;
    pid_t child[5];
    char buffer[100] = {0};
    remake(0, 108);
    assert_int_equal(mp_queue_put(q, buffer, 100, 0), 0);
    for (uint32_t i = 0; i < 5; i++) {
        child[i] = child_start(put_one, &(size_t){10});
        assert_true(await(&words[0], i + 1));
        until_asleep(child[i]);
    }
    assert_int_equal(mp_queue_get(q, buffer, 100, 0), 100);
    for (int i = 0; i < 5; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp_queue_size(q), 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_flow),
        TEST(test_threads),
        TEST(test_killed_while_waiting),
        TEST(test_death_between_publish_and_wake),
        TEST(test_stopped_holder),
        TEST(test_room_for_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
