/* SPDX-License-Identifier: MIT */
/* Pipes whose small messages go through shared memory: what the switch between ring and packets
 * must not change. */
#include <mproc/connection.h>
#include <mproc/error.h>
#include <mproc/pipe.h>

#include "support/child.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#define KIB   1024
#define MOST  (100 * KIB)
#define COUNT 6000

static mp_connection *in, *out;
static int descriptors;

static int one_way(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    return mp_pipe(&in, &out, false);
}

static int finish(void **state)
{
    (void)state;
    mp_connection_free(in);
    mp_connection_free(out);
    return open_descriptors() == descriptors ? 0 : -1;
}

/* Small, at the border of what lies in the ring, and larger. */
static size_t size_of(uint32_t number)
{
    static const size_t sizes[] = {4, 64, 4096, 64, 4097, 8, 8, 8, 70000, 8, 16, MOST, 4};
    return sizes[(number ^ number >> 4) % (sizeof sizes / sizeof *sizes)];
}

static int send_numbers(void *arg)
{
    static char bytes[MOST];
    uint32_t count = *(uint32_t *)arg;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        CHECK(mp_connection_send(out, bytes, size_of(i), LONG) == 0);
    }
    return 0;
}

/* Receives so many numbers, which must follow. */
typedef struct part {
    uint32_t next, count;
    bool ok;
} part;

static void *receive_part(void *arg)
{
    static _Thread_local char bytes[MOST];
    part *p = arg;
    p->ok = true;
    for (uint32_t i = 0; i < p->count && p->ok; i++) {
        uint32_t got = UINT32_MAX;
        ssize_t n = mp_connection_recv(in, bytes, sizeof bytes, LONG);
        memcpy(&got, bytes, sizeof got);
        p->ok = got == p->next && n == (ssize_t)size_of(got);
        p->next++;
    }
    return NULL;
}

/* Each thread that receives becomes the one by which senders know that somebody is there, and ends;
 * what comes before and after goes through the ring, as packets, and through the ring again. */
static void test_order_when_receivers_change(void **state)
{
    (void)state;
    uint32_t count = COUNT;
    pid_t sender = child_start(send_numbers, &count);
    part p = {0};
    while (p.next < COUNT) {
        pthread_t thread;
        p.count = 1 + p.next % 37;
        if (p.count > COUNT - p.next)
            p.count = COUNT - p.next;
        assert_int_equal(pthread_create(&thread, NULL, receive_part, &p), 0);
        pthread_join(thread, NULL);
        assert_true(p.ok);
    }
    assert_int_equal(child_end(sender), 0);
    assert_int_equal(mp_connection_recv(in, NULL, 0, 0), MP_ETIMEDOUT);
}

/* A program's own loop, level-triggered, takes one message for each event, and hears of all. */
static void test_epoll_is_never_silent(void **state)
{
    (void)state;
    enum { SENDERS = 3 };
    static char bytes[MOST];
    uint32_t count = COUNT / 3, got = 0;
    pid_t pids[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        pids[i] = child_start(send_numbers, &count);
    mp_connection_close(out);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, mp_connection_fileno(in), &event), 0);
    for (;;) {
        assert_int_equal(epoll_wait(loop, &event, 1, (int)(LONG * 1000)), 1);
        ssize_t n = mp_connection_recv(in, bytes, sizeof bytes, 0);
        if (n == MP_EEOF)
            break;
        assert_true(n > 0 || n == MP_ETIMEDOUT || n == MP_EAGAIN);
        got += n > 0;
    }
    assert_int_equal(got, SENDERS * count);
    close(loop);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(child_end(pids[i]), 0);
}

static int receive_and_go(void *arg)
{
    char byte;
    (void)arg;
    mp_connection_free(out);
    CHECK(mp_connection_recv(in, &byte, 1, LONG) == 1);
    CHECK(mp_connection_recv(in, &byte, 1, LONG) == 1);
    return 0;
}

/* A receiver that has taken everything and is gone: the very next send is told. */
static void test_sender_is_told_at_once(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        pid_t pid = child_start(receive_and_go, NULL);
        until_asleep(pid); /* in recv: the message goes through the ring */
        assert_int_equal(mp_connection_send(out, "a", 1, LONG), 0);
        if (killed) {
            while (mp_connection_poll(in, 0) != 0)
                nap(0.001);
            mp_connection_close(in);
            assert_int_equal(child_kill(pid), -SIGKILL);
        } else {
            assert_int_equal(mp_connection_send(out, "b", 1, LONG), 0);
            assert_int_equal(child_end(pid), 0); /* our own copy is left */
            assert_int_equal(mp_connection_send(out, "c", 1, LONG), 0);
            char byte;
            assert_int_equal(mp_connection_recv(in, &byte, 1, LONG), 1);
            assert_int_equal(byte, 'c');
        }
    }
    assert_int_equal(mp_connection_send(out, "d", 1, LONG), MP_EPIPE);
}

/* Processes that were there before the pipe, to which an end travels. */
static mp_connection *way, *back;

static int receive_on_given_end(void *arg)
{
    mp_connection *mine;
    char bytes[64];
    (void)arg;
    mp_connection_free(in); /* an older pipe's */
    mp_connection_free(out);
    int fd = mp_connection_recv_fd(way, LONG);
    CHECK(fd >= 0 && mp_connection_create(&mine, fd, NULL) == 0);
    CHECK(mp_connection_send(way, "", 0, LONG) == 0);
    for (int i = 0; i < 2000; i++) {
        CHECK(mp_connection_recv(mine, bytes, sizeof bytes, LONG) == sizeof i);
        CHECK(memcmp(bytes, &i, sizeof i) == 0);
    }
    CHECK(mp_connection_recv(mine, bytes, sizeof bytes, LONG) == MP_EEOF);
    mp_connection_free(mine);
    return 0;
}

static void test_receiving_end_is_given_away(void **state)
{
    (void)state;
    mp_connection *reading, *writing;
    char byte;
    assert_int_equal(mp_pipe(&way, &back, true), 0);
    pid_t pid = child_start(receive_on_given_end, NULL);
    assert_int_equal(mp_pipe(&reading, &writing, false), 0);
    assert_int_equal(mp_connection_recv(reading, &byte, 1, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(writing, "a", 1, 0), 0); /* through the ring */
    assert_int_equal(mp_connection_recv(reading, &byte, 1, 0), 1);
    assert_int_equal(mp_connection_send_fd(back, mp_connection_fileno(reading), LONG), 0);
    for (int i = 0; i < 100; i++) /* while we have a copy, and after that */
        assert_int_equal(mp_connection_send(writing, &i, sizeof i, LONG), 0);
    assert_int_equal(mp_connection_recv(back, NULL, 0, LONG), 0);
    mp_connection_free(reading);
    for (int i = 100; i < 2000; i++)
        assert_int_equal(mp_connection_send(writing, &i, sizeof i, LONG), 0);
    mp_connection_free(writing);
    assert_int_equal(child_end(pid), 0);
    mp_connection_free(way);
    mp_connection_free(back);
}

static int send_on_given_end(void *arg)
{
    (void)arg;
    int fd = mp_connection_recv_fd(way, LONG);
    CHECK(fd >= 0 && mp_connection_create(&out, fd, NULL) == 0);
    uint32_t count = 1000;
    CHECK(send_numbers(&count) == 0);
    mp_connection_free(out);
    return 0;
}

/* It sends packets beside what a copy of its end puts into the ring. */
static void test_sending_end_is_given_away(void **state)
{
    (void)state;
    static char bytes[MOST];
    mp_connection *old = out, *reading, *writing;
    uint32_t next = 0, other = 0;
    assert_int_equal(mp_pipe(&way, &back, true), 0);
    pid_t pid = child_start(send_on_given_end, NULL);
    assert_int_equal(mp_pipe(&reading, &writing, false), 0);
    assert_int_equal(mp_connection_recv(reading, NULL, 0, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send_fd(back, mp_connection_fileno(writing), LONG), 0);
    for (uint32_t i = 0; i < 1500; i++) {
        if (i < 500)
            assert_int_equal(mp_connection_send(writing, &i, sizeof i - 2, LONG), 0);
        uint32_t got = 0;
        ssize_t n = mp_connection_recv(reading, bytes, sizeof bytes, LONG);
        memcpy(&got, bytes, sizeof got);
        if (n == sizeof i - 2)
            assert_int_equal(got & 0xffff, other++);
        else
            assert_int_equal(got, next++);
        memset(bytes, 0, sizeof i);
    }
    assert_int_equal(next, 1000);
    assert_int_equal(other, 500);
    out = old;
    assert_int_equal(child_end(pid), 0);
    mp_connection_free(reading);
    mp_connection_free(writing);
    mp_connection_free(way);
    mp_connection_free(back);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, one_way, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_order_when_receivers_change), TEST(test_epoll_is_never_silent),
        TEST(test_sender_is_told_at_once),      TEST(test_receiving_end_is_given_away),
        TEST(test_sending_end_is_given_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
