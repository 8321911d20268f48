/* SPDX-License-Identifier: MIT */
/* mp_wait() on things that have no descriptor, queues and events, and on all kinds together;
 * results: test_wait_results.c. */
#include "chan/queue.h"
#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/pipe.h>
#include <mproc/process.h>
#include <mproc/wait.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static mp_event *e;
static word *words; /* of children that must not run on */
static int descriptors;
static size_t blocks;

/* What is kept for the next call is there. */
static int warm(void **state)
{
    (void)state;
    char byte;
    words = common(4096);
    if (words == NULL || mp_queue_new(&q) < 0)
        return -1;
    int fd = mp_queue_fileno(q);
    mp_wait(&(mp_waitable){.kind = MP_WAIT_QUEUE, .object = q}, 1, 0.2);
    mp_queue_put(q, "m", 1, 0);
    mp_queue_get(q, &byte, 1, 0);
    mp_fileno_release(fd);
    mp_queue_free(q);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    memset((void *)words, 0, 4096);
    descriptors = open_descriptors();
    blocks = bytes_in_use();
    return mp_queue_new(&q, .maxsize = 2) < 0 || mp_event_new(&e) < 0 ? -1 : 0;
}

static int finish(void **state)
{
    (void)state;
    mp_queue_free(q);
    mp_event_free(e);
    if (open_descriptors() != descriptors || bytes_in_use() != blocks) {
        fprintf(stderr, "descriptors: %d, bytes: %zu\n", open_descriptors() - descriptors,
                bytes_in_use() - blocks);
        return -1;
    }
    return mp_shared_check(NULL);
}

static mp_waitable on(int kind, void *object, int events)
{
    return (mp_waitable){.kind = kind, .object = object, .events = events, .revents = 77};
}

static int wait_one(mp_waitable item)
{
    int rc = mp_wait(&item, 1, 0);
    if (rc >= 0 && rc != (item.revents != 0))
        return -1;
    return rc;
}

static void test_arguments(void **state)
{
    (void)state;
    mp_queue *limited;
    mp_event none = {{0}};
    assert_int_equal(mp_queue_new(&limited, .capacity = 1000), 0);
    for (int kind = MP_WAIT_QUEUE; kind <= MP_WAIT_RESULT; kind++)
        assert_int_equal(wait_one(on(kind, NULL, 0)), MP_EINVAL);
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, &none, 0)), MP_EINVAL);
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, e, MP_WRITE)), MP_EINVAL);
    assert_int_equal(wait_one(on(MP_WAIT_QUEUE, q, 4)), MP_EINVAL);
    assert_int_equal(wait_one(on(MP_WAIT_QUEUE, limited, MP_WRITE)), MP_EINVAL);
    assert_int_equal(wait_one(on(MP_WAIT_QUEUE, limited, MP_READ)), 0);
    assert_int_equal(wait_one(on(MP_WAIT_RESULT + 1, q, 0)), MP_EINVAL);
    mp_queue_free(limited);
}

static void test_queue(void **state)
{
    (void)state;
    char byte;
    mp_waitable item = on(MP_WAIT_QUEUE, q, MP_READ | MP_WRITE);
    assert_int_equal(wait_one(on(MP_WAIT_QUEUE, q, 0)), 0);
    assert_int_equal(mp_wait(&item, 1, 0), 1);
    assert_int_equal(item.revents, MP_WRITE);
    assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
    assert_int_equal(mp_wait(&item, 1, LONG), 1);
    assert_int_equal(item.revents, MP_READ | MP_WRITE);
    assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mp_wait(&item, 1, LONG), 1);
        assert_int_equal(item.revents, MP_READ);
    }
    assert_int_equal(wait_one(on(MP_WAIT_QUEUE, q, MP_WRITE)), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_wait(&item, 1, LONG), 1);
    assert_int_equal(item.revents, MP_READ | MP_WRITE);
    assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
    assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
    assert_int_equal(mp_wait(&item, 1, LONG), 1); /* closed */
    assert_int_equal(item.revents, MP_READ | MP_WRITE);
}

static void test_event(void **state)
{
    (void)state;
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, e, 0)), 0);
    assert_int_equal(mp_event_set(e), 0);
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, e, 0)), 1);
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, e, MP_READ)), 1);
    assert_int_equal(mp_event_clear(e), 0);
    assert_int_equal(wait_one(on(MP_WAIT_EVENT, e, 0)), 0);
}

/* What a child does when the waiter sleeps. */
typedef struct deed {
    pid_t waiter;
    int what;
} deed;

static int do_it(void *arg)
{
    const deed *d = arg;
    char byte;
    until_asleep(d->waiter);
    switch (d->what) {
    case 0:
        return mp_queue_put(q, "m", 1, LONG);
    case 1:
        return mp_queue_close(q);
    case 2:
        return mp_event_set(e);
    case 3:
        return mp_queue_get(q, &byte, 1, LONG) == 1 ? 0 : 1;
    default:
        return 0;
    }
}

/* It is rung for, not found at the next look after 100 ms. */
static void woken_by(int what, mp_waitable item, void (*prepare)(void))
{
    double best = LONG;
    for (int i = 0; i < 10; i++) {
        prepare();
        deed d = {getpid(), what};
        pid_t pid = child_start(do_it, &d);
        double before = seconds();
        assert_int_equal(mp_wait(&item, 1, LONG), 1);
        best = seconds() - before < best ? seconds() - before : best;
        assert_true(item.revents != 0);
        assert_int_equal(child_end(pid), 0);
    }
    if (getenv("MP_TEST_SCALE") == NULL)
        assert_true(best < 0.05);
}

static void empty_q(void)
{
    char byte;
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = 2), 0);
    assert_int_equal(mp_queue_get(q, &byte, 1, 0), MP_EEMPTY);
    assert_int_equal(mp_event_clear(e), 0);
}

static void test_woken_by_a_put(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char byte;
        mp_waitable items[] = {on(MP_WAIT_EVENT, e, 0), on(MP_WAIT_QUEUE, q, 0)};
        deed d = {getpid(), 0};
        pid_t pid = child_start(do_it, &d);
        assert_int_equal(mp_wait(items, 2, LONG), 1);
        assert_int_equal(items[0].revents, 0);
        assert_int_equal(items[1].revents, MP_READ);
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
        assert_int_equal(child_end(pid), 0);
    }
}

static void clear_e(void)
{
    mp_event_clear(e);
}

static void test_woken_by_a_set(void **state)
{
    (void)state;
    woken_by(2, on(MP_WAIT_EVENT, e, 0), clear_e);
}

static void fill_q(void)
{
    while (mp_queue_put(q, "m", 1, 0) == 0)
        continue;
}

static void test_woken_by_room(void **state)
{
    (void)state;
    woken_by(3, on(MP_WAIT_QUEUE, q, MP_WRITE), fill_q);
}

static void test_woken_by_a_close(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        empty_q();
        deed d = {getpid(), 1};
        pid_t pid = child_start(do_it, &d);
        mp_waitable item = on(MP_WAIT_QUEUE, q, 0);
        assert_int_equal(mp_wait(&item, 1, LONG), 1);
        assert_int_equal(child_end(pid), 0);
    }
}

static void test_in_vain(void **state)
{
    (void)state;
    mp_waitable items[] = {on(MP_WAIT_EVENT, e, 0), on(MP_WAIT_QUEUE, q, 0)};
    double start = seconds();
    assert_int_equal(mp_wait(items, 2, 0.25), 0);
    assert_true(seconds() - start >= 0.25);
    assert_int_equal(items[0].revents, 0);
    assert_int_equal(items[1].revents, 0);
    assert_int_equal(mp__load_relaxed(&q->arrivals.first->name), 0); /* it is not registered */
}

static int put_to_all(void *arg)
{
    mp_queue **queues = arg;
    for (int i = 0; i < 100; i++)
        CHECK(mp_queue_put(queues[i], &i, sizeof i, LONG) == 0);
    return 0;
}

/* 400 of all kinds; all that are ready are marked, each of them time and again. */
static void test_hundreds(void **state)
{
    (void)state;
    enum { EACH = 100 };
    mp_queue *queues[EACH];
    mp_event *events[EACH];
    mp_connection *in[EACH], *out[EACH];
    mp_waitable items[4 * EACH];
    int got = 0, value;
    for (int i = 0; i < EACH; i++) {
        assert_int_equal(mp_queue_new(&queues[i]), 0);
        assert_int_equal(mp_event_new(&events[i]), 0);
        assert_int_equal(mp_pipe(&in[i], &out[i], false), 0);
        items[4 * i] = on(MP_WAIT_QUEUE, queues[i], 0);
        items[4 * i + 1] = on(MP_WAIT_EVENT, events[i], 0);
        items[4 * i + 2] = on(MP_WAIT_CONNECTION, in[i], 0);
    }
    for (int i = 0; i < EACH; i++)
        items[4 * i + 3] = on(MP_WAIT_QUEUE, queues[EACH - 1 - i], 0); /* twice in the list */
    assert_int_equal(mp_wait(items, 4 * EACH, 0.01), 0);
    mp_event_set(events[7]);
    mp_event_set(events[99]);
    assert_int_equal(mp_connection_send(out[42], "m", 1, 0), 0);
    assert_int_equal(mp_queue_put(queues[3], "m", 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mp_wait(items, 4 * EACH, LONG), 5);
        assert_true(items[29].revents && items[397].revents && items[170].revents &&
                    items[12].revents && items[4 * 96 + 3].revents);
    }
    mp_event_clear(events[7]);
    mp_event_clear(events[99]);
    assert_int_equal(mp_queue_get(queues[3], &value, sizeof value, 0), 1);
    assert_int_equal(mp_connection_recv(in[42], &value, sizeof value, 0), 1);
    pid_t pid = child_start(put_to_all, queues);
    while (got < EACH) {
        int n = mp_wait(items, 4 * EACH, LONG);
        assert_in_range(n, 1, 2 * EACH);
        for (int i = 0; i < 4 * EACH; i += 4)
            if (items[i].revents) {
                assert_int_equal(mp_queue_get(items[i].object, &value, sizeof value, 0),
                                 sizeof value);
                assert_int_equal(value, i / 4);
                got++;
            }
    }
    assert_int_equal(child_end(pid), 0);
    assert_int_equal(mp_wait(items, 4 * EACH, 0.01), 0);
    for (int i = 0; i < EACH; i++) {
        mp_queue_free(queues[i]);
        mp_event_free(events[i]);
        mp_connection_free(in[i]);
        mp_connection_free(out[i]);
    }
}

static int run_until_set(void *arg)
{
    (void)arg;
    return mp_event_wait(e, LONG);
}

/* A process of the library's, a descriptor and the others. */
static void test_with_a_process(void **state)
{
    (void)state;
    mp_process *p;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(mp_process_new(&p, .target = run_until_set), 0);
    assert_int_equal(mp_process_start(p), 0);
    mp_waitable items[] = {
        on(MP_WAIT_PROCESS, p, 0), on(MP_WAIT_QUEUE, q, 0), {.kind = MP_WAIT_FD, .fd = ends[0]}};
    assert_int_equal(mp_wait(items, 3, 0.02), 0);
    assert_int_equal(write(ends[1], "m", 1), 1);
    assert_int_equal(mp_wait(items, 3, LONG), 1);
    assert_int_equal(items[2].revents, MP_READ);
    assert_int_equal(mp_event_set(e), 0);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[0].revents, MP_READ);
    assert_int_equal(mp_process_join(p, LONG), 0);
    mp_process_free(p);
    close(ends[0]);
    close(ends[1]);
}

static int wait_long(void *arg)
{
    (void)arg;
    mp_waitable items[] = {on(MP_WAIT_QUEUE, q, 0), on(MP_WAIT_EVENT, e, 0)};
    signal_word(words);
    return mp_wait(items, 2, LONG) >= 1 ? 0 : 1;
}

static void test_killed_waiter(void **state)
{
    (void)state;
    pid_t pid = child_start(wait_long, NULL);
    assert_true(await(words, 1));
    until_asleep(pid);
    child_kill(pid);
    assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
    assert_int_equal(mp_event_set(e), 0);
    assert_false(mp__doorbells_any(&q->arrivals));
    mp__doorplate *plate = mp__load_acquire(&q->arrivals.first);
    assert_true(plate == NULL || mp__load_relaxed(&plate->name) == 0);
}

/* A stopped one keeps nobody waiting, and finds what it missed. */
static void test_stopped_waiter(void **state)
{
    (void)state;
    pid_t pid = child_start(wait_long, NULL);
    assert_true(await(words, 1));
    until_asleep(pid);
    kill(pid, SIGSTOP);
    for (int i = 0; i < 1000; i++) {
        char byte;
        assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
    }
    assert_int_equal(mp_event_set(e), 0);
    kill(pid, SIGCONT);
    assert_int_equal(child_end(pid), 0);
}

static int wait_for_two(void *arg)
{
    (void)arg;
    mp_waitable items[] = {on(MP_WAIT_QUEUE, q, 0), on(MP_WAIT_EVENT, e, 0)};
    signal_word(words);
    int rc = mp_wait(items, 2, LONG);
    signal_word(words);
    return rc == 1 && items[0].revents == MP_READ ? 0 : 1;
}

/* What it was rung for is gone when it looks, so it is rung for the next one anew: at once, not
 * found at a look after 100 ms. */
static void test_overtaken_waiter(void **state)
{
    (void)state;
    double best = LONG;
    for (uint32_t i = 0; i < 10; i++) {
        char byte;
        pid_t pid = child_start(wait_for_two, NULL);
        assert_true(await(words, 2 * i + 1));
        until_asleep(pid);
        kill(pid, SIGSTOP);
        until_asleep(pid);
        assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
        kill(pid, SIGCONT);
        while (!mp__doorbells_any(&q->arrivals)) /* it arms anew */
            sched_yield();
        until_asleep(pid);
        double start = seconds();
        assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
        assert_true(await(words, 2 * i + 2));
        best = seconds() - start < best ? seconds() - start : best;
        assert_int_equal(child_end(pid), 0);
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
    }
    if (getenv("MP_TEST_SCALE") == NULL)
        assert_true(best < 0.03);
}

/* Many threads and processes wait for one event. */
static void test_many_waiters(void **state)
{
    (void)state;
    enum { MANY = 12 };
    pid_t pid[MANY];
    task thread[MANY];
    for (int i = 0; i < MANY; i++) {
        pid[i] = child_start(wait_long, NULL);
        assert_int_equal(task_start(&thread[i], wait_long, NULL), 0);
    }
    assert_true(await(words, 2 * MANY));
    assert_int_equal(mp_event_set(e), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(child_end(pid[i]), 0);
        assert_int_equal(task_end(&thread[i]), 0);
    }
}

static void on_signal(int sig)
{
    (void)sig;
    mp_interrupt();
}

static void test_interrupt(void **state)
{
    (void)state;
    mp_waitable items[] = {on(MP_WAIT_QUEUE, q, 0), on(MP_WAIT_EVENT, e, 0)};
    struct sigaction old, now = {.sa_handler = on_signal};
    sigaction(SIGALRM, &now, &old);
    mp_interrupt();
    assert_int_equal(mp_wait(items, 2, 0), 0);
    assert_int_equal(mp_wait(items, 2, LONG), MP_EINTR);
    ualarm(50000, 0);
    assert_int_equal(mp_wait(items, 2, LONG), MP_EINTR);
    errno = EXDEV;
    assert_int_equal(mp_wait(items, 2, 0.05), 0);
    assert_int_equal(errno, EXDEV);
    sigaction(SIGALRM, &old, NULL);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),        TEST(test_queue),          TEST(test_event),
        TEST(test_woken_by_a_put),   TEST(test_woken_by_a_set), TEST(test_woken_by_room),
        TEST(test_woken_by_a_close), TEST(test_in_vain),        TEST(test_hundreds),
        TEST(test_with_a_process),   TEST(test_killed_waiter),  TEST(test_stopped_waiter),
        TEST(test_overtaken_waiter), TEST(test_many_waiters),   TEST(test_interrupt),
    };
    return cmocka_run_group_tests(tests, warm, NULL);
}
