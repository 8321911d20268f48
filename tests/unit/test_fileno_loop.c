/* SPDX-License-Identifier: MIT */
/* Event loops over the descriptor of a queue, while others put: every message is told of. */
#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>

#include <cmocka.h>

static mp_queue *q;

static int begin(void **state)
{
    (void)state;
    return mp_queue_new(&q);
}

static int finish(void **state)
{
    (void)state;
    mp_queue_free(q);
    return mp_shared_check(NULL);
}

static bool is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/* Two producers, and an event loop that counts every message. */
enum { PRODUCERS = 2 };
static int each;

static int produce(void *arg)
{
    random_state r = (uint64_t)(uintptr_t)arg + 1;
    for (int i = 0; i < each; i++) {
        CHECK(mp_queue_put(q, &i, sizeof i, LONG) == 0);
        if (random_below(&r, 3) == 0)
            for (uint32_t n = random_below(&r, 2000); n > 0; n--)
                mp__pause();
    }
    return 0;
}

static void consume(uint32_t how, int at_once)
{
    pid_t pid[PRODUCERS];
    int fd = mp_queue_fileno(q), loop = epoll_create1(EPOLL_CLOEXEC), count = 0;
    struct epoll_event event = {.events = EPOLLIN | how};
    each = fewer(30000);
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
    for (int i = 0; i < PRODUCERS; i++)
        pid[i] = child_start(produce, (void *)(uintptr_t)i);
    while (count < PRODUCERS * each) {
        int value, rc = 0;
        do
            rc = epoll_wait(loop, &event, 1, (int)(LONG * 1000));
        while (rc < 0 && errno == EINTR);
        assert_int_equal(rc, 1); /* never silent */
        for (int i = 0; at_once == 0 || i < at_once; i++) {
            rc = (int)mp_queue_get(q, &value, sizeof value, 0);
            if (rc < 0)
                break;
            count++;
        }
        assert_true(rc > 0 || rc == MP_EEMPTY);
    }
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(child_end(pid[i]), 0);
    assert_int_equal(count, PRODUCERS * each);
    assert_int_equal(mp_queue_get(q, &each, sizeof each, 0), MP_EEMPTY);
    assert_false(is_ready(fd));
    close(loop);
    assert_int_equal(mp_fileno_release(fd), 0);
}

static void test_loop_by_level(void **state)
{
    (void)state;
    consume(0, 0);
}

static void test_loop_one_at_a_time(void **state)
{
    (void)state;
    consume(0, 1);
}

static void test_loop_by_edge(void **state)
{
    (void)state;
    consume(EPOLLET, 0);
}

/* Two event loops in two threads of a process, by edge, each with its own descriptor: what one of
 * them leaves undone because the other is at it is done by that one. */
static int consume_some(void *arg)
{
    word *left = arg;
    int fd = mp_queue_fileno(q), loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    CHECK(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
    ssize_t rc = 0;
    while (rc != MP_ECLOSED) {
        int value;
        CHECK(epoll_wait(loop, &event, 1, (int)(LONG * 1000)) == 1);
        while ((rc = mp_queue_get(q, &value, sizeof value, 0)) > 0)
            if (mp__sub_relaxed(left, 1) == 1)
                mp_queue_close(q);
        CHECK(rc == MP_EEMPTY || rc == MP_ECLOSED);
    }
    close(loop);
    return mp_fileno_release(fd);
}

static void test_two_loops(void **state)
{
    (void)state;
    pid_t pid[PRODUCERS];
    task loop[2];
    each = fewer(20000);
    word left = (uint32_t)(PRODUCERS * each);
    for (int i = 0; i < PRODUCERS; i++)
        pid[i] = child_start(produce, (void *)(uintptr_t)i);
    for (int i = 0; i < 2; i++)
        assert_int_equal(task_start(&loop[i], consume_some, &left), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(task_end(&loop[i]), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(child_end(pid[i]), 0);
    assert_int_equal(left, 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_loop_by_level),
        TEST(test_loop_one_at_a_time),
        TEST(test_loop_by_edge),
        TEST(test_two_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
