/* SPDX-License-Identifier: MIT */
/* mp_wait(): many things at once. */
#include <mproc/error.h>
#include <mproc/pipe.h>
#include <mproc/wait.h>

#include "support/child.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static mp_connection *a, *b; /* a reads, b writes */
static int ends[2];          /* of a plain pipe */
static int descriptors;

static int begin(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    return pipe(ends) == 0 && mp_pipe(&a, &b, false) == 0 ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    mp_connection_free(a);
    mp_connection_free(b);
    close(ends[0]);
    close(ends[1]);
    return open_descriptors() == descriptors ? 0 : -1;
}

static mp_waitable on_fd(int fd, int events)
{
    return (mp_waitable){.kind = MP_WAIT_FD, .fd = fd, .events = events, .revents = 77};
}

static mp_waitable on_connection(mp_connection *c, int events)
{
    return (mp_waitable){.kind = MP_WAIT_CONNECTION, .object = c, .events = events, .revents = 77};
}

static int wait_one(mp_waitable item)
{
    return mp_wait(&item, 1, 0);
}

static void test_arguments(void **state)
{
    (void)state;
    mp_waitable item = on_fd(ends[0], 0);
    assert_int_equal(mp_wait(NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_wait(&item, -1, 0), MP_EINVAL);
    assert_int_equal(mp_wait(&item, 1, NAN), MP_EINVAL);
    assert_int_equal(mp_wait(NULL, 0, NAN), MP_EINVAL);
    assert_int_equal(wait_one(on_fd(-1, 0)), MP_EINVAL);
    assert_int_equal(wait_one(on_fd(9999, 0)), MP_EINVAL);
    assert_int_equal(wait_one(on_fd(ends[0], 4)), MP_EINVAL);
    assert_int_equal(wait_one(on_connection(NULL, 0)), MP_EINVAL);
    assert_int_equal(wait_one((mp_waitable){.kind = 0, .fd = ends[0]}), MP_EINVAL);
    assert_int_equal(wait_one((mp_waitable){.kind = 99, .object = a}), MP_EINVAL);
    assert_int_equal(wait_one((mp_waitable){.kind = MP_WAIT_PROCESS}), MP_EINVAL);
    assert_int_equal(wait_one(on_connection(a, MP_WRITE)), MP_ESTATE);
    assert_int_equal(wait_one(on_connection(b, MP_READ)), MP_ESTATE);
    assert_int_equal(wait_one(on_connection(b, MP_READ | MP_WRITE)), MP_ESTATE);
    mp_connection_close(a);
    assert_int_equal(wait_one(on_connection(a, 0)), MP_ECLOSED);
    assert_int_equal(mp_connection_close(b), 0); /* every failure has left what it entered */
}

static void test_nothing_to_wait_for(void **state)
{
    (void)state;
    double start = seconds();
    assert_int_equal(mp_wait(NULL, 0, 0), 0);
    assert_int_equal(mp_wait(NULL, 0, 0.15), 0);
    assert_true(seconds() - start >= 0.15);
}

static void test_all_that_are_ready(void **state)
{
    (void)state;
    mp_waitable items[] = {on_fd(ends[0], 0), on_connection(a, 0), on_connection(b, MP_WRITE),
                           on_fd(ends[1], MP_READ | MP_WRITE), on_connection(a, MP_READ)};
    assert_int_equal(mp_wait(items, 5, 0), 2);
    assert_int_equal(items[0].revents, 0);
    assert_int_equal(items[1].revents, 0);
    assert_int_equal(items[2].revents, MP_WRITE);
    assert_int_equal(items[3].revents, MP_WRITE);
    assert_int_equal(mp_wait(items, 2, 0.02), 0);

    assert_int_equal(mp_connection_send(b, "m", 1, 0), 0);
    assert_int_equal(write(ends[1], "p", 1), 1);
    for (int i = 0; i < 3; i++) { /* it stays so */
        assert_int_equal(mp_wait(items, 5, LONG), 5);
        assert_int_equal(items[0].revents, MP_READ);
        assert_int_equal(items[1].revents, MP_READ);
        assert_int_equal(items[4].revents, MP_READ);
    }
    char byte;
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0), 1);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[1].revents, 0);
}

static void test_ends(void **state)
{
    (void)state;
    mp_waitable items[] = {on_connection(a, 0), on_fd(ends[0], 0)};
    mp_connection_close(b);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[0].revents, MP_READ);
    mp_connection *c, *d;
    assert_int_equal(mp_pipe(&c, &d, false), 0);
    mp_connection_close(c);
    items[0] = on_connection(d, MP_WRITE);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[0].revents, MP_WRITE);
    mp_connection_free(c);
    mp_connection_free(d);
    int file = open("/proc/self/exe", O_RDONLY); /* always ready */
    assert_int_equal(wait_one(on_fd(file, 0)), 1);
    close(file);
}

static void test_full(void **state)
{
    (void)state;
    char bytes[1000] = {0};
    while (mp_connection_send(b, bytes, sizeof bytes, 0) == 0)
        continue;
    mp_waitable item = on_connection(b, MP_WRITE);
    assert_int_equal(mp_wait(&item, 1, 0.02), 0);
    while (mp_connection_recv(a, bytes, sizeof bytes, 0) > 0)
        continue;
    assert_int_equal(mp_wait(&item, 1, LONG), 1);
}

static int until_end_of_file(void *arg)
{
    char byte;
    mp_connection_free(b);
    return mp_connection_recv(arg, &byte, 1, LONG) == MP_EEOF ? 0 : 1;
}

static void test_a_child_among_others(void **state)
{
    (void)state;
    if (syscall(SYS_pidfd_open, -1, 0) < 0 && errno == ENOSYS)
        skip(); /* valgrind */
    pid_t pid = child_start(until_end_of_file, a);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(pidfd >= 0);
    mp_waitable items[] = {on_fd(ends[0], 0), on_fd(pidfd, 0)};
    assert_int_equal(mp_wait(items, 2, 0.05), 0);
    mp_connection_close(b);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[1].revents, MP_READ);
    assert_int_equal(child_end(pid), 0);
    close(pidfd);
}

static void test_hundreds(void **state)
{
    (void)state;
    enum { MANY = 300 };
    mp_connection *in[MANY], *out[MANY];
    mp_waitable items[2 * MANY];
    char byte;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(mp_pipe(&in[i], &out[i], false), 0);
        items[i] = on_connection(in[i], 0);
        items[MANY + i] = on_connection(in[MANY - 1 - i >= i ? i : MANY - 1 - i], 0);
    }
    assert_int_equal(mp_wait(items, MANY, 0), 0);
    assert_int_equal(mp_connection_send(out[7], "x", 1, 0), 0);
    assert_int_equal(mp_connection_send(out[299], "x", 1, 0), 0);
    assert_int_equal(mp_wait(items, MANY, LONG), 2);
    assert_true(items[7].revents == MP_READ && items[299].revents == MP_READ);
    assert_int_equal(mp_wait(items, 2 * MANY, LONG), 4); /* number 7 stands there three times */
    assert_int_equal(mp_connection_recv(in[7], &byte, 1, 0), 1);
    assert_int_equal(mp_wait(items, MANY, LONG), 1);
    for (int i = 0; i < MANY; i++) {
        mp_connection_free(in[i]);
        mp_connection_free(out[i]);
    }
}

/* What a connection has taken out of its stream already. */
static void test_bytes_in_the_handle(void **state)
{
    (void)state;
    int pair[2];
    char byte;
    mp_connection *c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(mp_connection_create(&c, pair[0], NULL), 0);
    mp_waitable items[] = {on_fd(ends[0], 0), on_connection(c, MP_READ)};
    assert_int_equal(write(pair[1], "\0\0\0\0", 4), 4);
    assert_int_equal(mp_connection_next_size(c, 0), 0);
    assert_int_equal(mp_wait(items, 2, LONG), 1);
    assert_int_equal(items[1].revents, MP_READ);
    assert_int_equal(mp_connection_recv(c, &byte, 1, 0), 0);
    assert_int_equal(mp_wait(items, 2, 0), 0);
    mp_connection_free(c);
    close(pair[1]);
}

static _Atomic pid_t waiting;

static void *wait_long(void *arg)
{
    mp_waitable items[] = {on_fd(ends[0], 0), on_connection(arg, 0)};
    waiting = (pid_t)syscall(SYS_gettid);
    return (void *)(intptr_t)mp_wait(items, 2, MP_FOREVER);
}

static void test_closed_by_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    void *rc;
    pthread_create(&thread, NULL, wait_long, a);
    while (waiting == 0)
        nap(0.001);
    until_asleep(waiting);
    assert_int_equal(mp_connection_close(a), 0);
    pthread_join(thread, &rc);
    assert_int_equal((intptr_t)rc, MP_ECLOSED);
}

static void on_signal(int sig)
{
    (void)sig;
    mp_interrupt();
}

static void test_interrupt(void **state)
{
    (void)state;
    mp_waitable items[] = {on_fd(ends[0], 0), on_connection(a, 0)};
    struct sigaction old, now = {.sa_handler = on_signal};
    sigaction(SIGALRM, &now, &old);
    mp_interrupt();
    assert_int_equal(mp_wait(items, 2, 0), 0);
    assert_int_equal(mp_wait(items, 2, LONG), MP_EINTR);
    ualarm(50000, 0);
    assert_int_equal(mp_wait(items, 2, LONG), MP_EINTR);
    assert_int_equal(mp_wait(items, 2, 0.05), 0);
    ualarm(50000, 0);
    assert_int_equal(mp_wait(NULL, 0, LONG), MP_EINTR);
    sigaction(SIGALRM, &old, NULL);
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    mp_waitable item = on_connection(a, 0);
    errno = EXDEV;
    assert_int_equal(mp_wait(&item, 1, 0.01), 0);
    assert_int_equal(errno, EXDEV);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_nothing_to_wait_for),
        TEST(test_all_that_are_ready),
        TEST(test_ends),
        TEST(test_full),
        TEST(test_a_child_among_others),
        TEST(test_hundreds),
        TEST(test_bytes_in_the_handle),
        TEST(test_closed_by_another_thread),
        TEST(test_interrupt),
        TEST(test_errno_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
