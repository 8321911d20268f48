/* SPDX-License-Identifier: MIT */
/* Connections of a pipe: messages, sizes, codes, deadlines, closing. */
#include <mproc/connection.h>
#include <mproc/error.h>
#include <mproc/pipe.h>

#include "support/child.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define KIB 1024
#define MIB (1024 * 1024)

static mp_connection *a, *b;
static int descriptors;

static int two_way(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    return mp_pipe(&a, &b, true);
}

static int one_way(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    return mp_pipe(&a, &b, false);
}

static int finish(void **state)
{
    (void)state;
    mp_connection_free(a);
    mp_connection_free(b);
    return open_descriptors() == descriptors ? 0 : -1;
}

static unsigned char *pattern(size_t size, unsigned seed)
{
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((i * 2654435761u >> 13) + seed);
    return bytes;
}

static int send_pattern(void *arg)
{
    size_t size = *(size_t *)arg;
    unsigned char *bytes = pattern(size, 1);
    CHECK(mp_connection_send(b, bytes, size, LONG) == 0);
    free(bytes);
    return 0;
}

static void test_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,         1,       15,           16,       17,           4095,
                                   4096,      53232,   64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 65552,
                                   128 * KIB, MIB + 3, 32 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        static unsigned char *expected, *got; /* static: no leak in the child */
        expected = pattern(size, 1);
        got = malloc(size + 1);
        got[size] = 0xee;
        pid_t pid = child_start(send_pattern, &size);
        assert_int_equal(mp_connection_recv(a, got, size, LONG), (ssize_t)size);
        assert_memory_equal(got, expected, size);
        assert_int_equal(got[size], 0xee);
        assert_int_equal(child_end(pid), 0);
        free(expected);
        free(got);
    }
}

static void test_order_and_both_directions(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(mp_connection_send(a, &i, sizeof i, 0), 0);
        int back = -i;
        assert_int_equal(mp_connection_send(b, &back, sizeof back, 0), 0);
    }
    for (int i = 0; i < 50; i++) {
        int got = 7;
        assert_int_equal(mp_connection_recv(b, &got, sizeof got, 0), sizeof got);
        assert_int_equal(got, i);
        assert_int_equal(mp_connection_recv(a, &got, sizeof got, 0), sizeof got);
        assert_int_equal(got, -i);
    }
}

static void test_too_small_a_buffer(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 64 * KIB, 300 * KIB};
    for (size_t i = 0; i < 4; i++) {
        size_t size = sizes[i];
        unsigned char *bytes = pattern(size, 9), *got = malloc(size);
        assert_int_equal(mp_connection_send(b, bytes, size, 0), 0);
        assert_int_equal(mp_connection_recv(a, NULL, 0, 0), MP_EMSGSIZE);
        assert_int_equal(mp_connection_recv(a, got, size - 1, LONG), MP_EMSGSIZE);
        assert_int_equal(mp_connection_next_size(a, 0), (ssize_t)size);
        assert_int_equal(mp_connection_next_size(a, LONG), (ssize_t)size);
        assert_int_equal(mp_connection_recv(a, got, size, 0), (ssize_t)size);
        assert_memory_equal(got, bytes, size);
        assert_int_equal(mp_connection_recv(a, got, size, 0), MP_ETIMEDOUT);
        free(bytes);
        free(got);
    }
}

static void test_recv_alloc(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 64 * KIB, 64 * KIB + 1, 2 * MIB};
    for (size_t i = 0; i < 5; i++) {
        unsigned char *bytes = pattern(sizes[i], 3);
        void *got = NULL;
        size_t length = 99;
        assert_int_equal(mp_connection_send(b, bytes, sizes[i], 0), 0);
        assert_int_equal(mp_connection_recv_alloc(a, &got, &length, 0), 0);
        assert_non_null(got);
        assert_int_equal(length, sizes[i]);
        assert_memory_equal(got, bytes, length);
        free(got);
        free(bytes);
    }
    void *got = &got;
    size_t length = 99;
    assert_int_equal(mp_connection_recv_alloc(a, &got, &length, 0), MP_ETIMEDOUT);
    assert_null(got);
    assert_int_equal(mp_connection_recv_alloc(a, NULL, &length, 0), MP_EINVAL);
    assert_int_equal(mp_connection_recv_alloc(a, &got, NULL, 0), MP_EINVAL);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    char byte = 0;
    void *data;
    size_t length;
    assert_int_equal(mp_connection_send(NULL, &byte, 1, 0), MP_EINVAL);
    assert_int_equal(mp_connection_send(a, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_connection_send(a, &byte, 1, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_send(a, &byte, SIZE_MAX, 0), MP_EINVAL);
    assert_int_equal(mp_connection_recv(NULL, &byte, 1, 0), MP_EINVAL);
    assert_int_equal(mp_connection_recv(a, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_connection_recv(a, &byte, 1, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_next_size(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_connection_next_size(a, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_recv_alloc(NULL, &data, &length, 0), MP_EINVAL);
    assert_int_equal(mp_connection_poll(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_connection_poll(a, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_send_fd(NULL, 0, 0), MP_EINVAL);
    assert_int_equal(mp_connection_send_fd(a, -1, 0), MP_EINVAL);
    assert_int_equal(mp_connection_send_fd(a, 9999, 0), MP_EINVAL);
    assert_int_equal(mp_connection_send_fd(a, 0, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_recv_fd(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_connection_recv_fd(a, NAN), MP_EINVAL);
    assert_int_equal(mp_connection_fileno(NULL), MP_EINVAL);
    assert_int_equal(mp_connection_close(NULL), MP_EINVAL);
    assert_true(mp_connection_closed(NULL));
    assert_false(mp_connection_readable(NULL));
    assert_false(mp_connection_writable(NULL));
    mp_connection_free(NULL);
    uint64_t other[64] = {5}; /* no connection */
    assert_int_equal(mp_connection_close((void *)other), MP_EINVAL);
}

static void test_after_close(void **state)
{
    (void)state;
    char byte = 0;
    void *data;
    size_t length;
    int fd = mp_connection_fileno(a);
    assert_true(fd > 2);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(mp_connection_readable(a) && mp_connection_writable(a) && !mp_connection_closed(a));
    assert_int_equal(mp_connection_close(a), 0);
    assert_int_equal(mp_connection_close(a), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_true(mp_connection_closed(a));
    assert_false(mp_connection_readable(a));
    assert_false(mp_connection_writable(a));
    assert_int_equal(mp_connection_fileno(a), MP_ECLOSED);
    assert_int_equal(mp_connection_send(a, &byte, 1, 0), MP_ECLOSED);
    assert_int_equal(mp_connection_recv(a, &byte, 1, MP_FOREVER), MP_ECLOSED);
    assert_int_equal(mp_connection_next_size(a, 0), MP_ECLOSED);
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ECLOSED);
    assert_int_equal(mp_connection_poll(a, MP_FOREVER), MP_ECLOSED);
    assert_int_equal(mp_connection_send_fd(a, 0, 0), MP_ECLOSED);
    assert_int_equal(mp_connection_recv_fd(a, 0), MP_ECLOSED);
}

/* A closed number that the program has reused is left alone. */
static void test_close_after_the_number_was_reused(void **state)
{
    (void)state;
    int fd = mp_connection_fileno(a);
    int file = open("/dev/null", O_RDWR);
    assert_int_equal(dup2(file, fd), fd);
    char byte = 0;
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0), MP_ESYS(ENOTSOCK));
    assert_int_equal(mp_connection_send(a, &byte, 1, 0), MP_ESYS(ENOTSOCK));
    assert_int_equal(mp_connection_close(a), 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
    close(file);
}

static void test_what_was_sent_outlives_the_sender(void **state)
{
    (void)state;
    unsigned char *bytes = pattern(100 * KIB, 4), *got = malloc(100 * KIB);
    assert_int_equal(mp_connection_send(b, "first", 5, 0), 0);
    assert_int_equal(mp_connection_send(b, bytes, 100 * KIB, 0), 0);
    assert_int_equal(mp_connection_close(b), 0);
    assert_int_equal(mp_connection_poll(a, 0), 1);
    assert_int_equal(mp_connection_recv(a, got, 100, 0), 5);
    assert_int_equal(mp_connection_recv(a, got, 100 * KIB, 0), 100 * KIB);
    assert_memory_equal(got, bytes, 100 * KIB);
    assert_int_equal(mp_connection_poll(a, 0), 1);
    assert_int_equal(mp_connection_recv(a, got, 100, MP_FOREVER), MP_EEOF);
    assert_int_equal(mp_connection_next_size(a, 0), MP_EEOF);
    assert_int_equal(mp_connection_recv_fd(a, 0), MP_EEOF);
    assert_int_equal(mp_connection_send(a, got, 1, MP_FOREVER), MP_EPIPE);
    assert_int_equal(mp_connection_send(a, bytes, 100 * KIB, 0), MP_EPIPE);
    free(bytes);
    free(got);
}

/* The peer closes with messages of ours unread, and messages of its own under way: the kernel then
 * reports a reset ahead of those. */
static void test_peer_closes_with_unread_messages(void **state)
{
    (void)state;
    char got[8];
    assert_int_equal(mp_connection_send(a, "unread", 6, 0), 0);
    assert_int_equal(mp_connection_send(b, "answer", 6, 0), 0);
    assert_int_equal(mp_connection_close(b), 0);
    assert_int_equal(mp_connection_poll(a, 0), 1);
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), 6);
    assert_memory_equal(got, "answer", 6);
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), MP_EEOF);
    assert_int_equal(mp_connection_send(a, got, 1, 0), MP_EPIPE);
}

static void test_deadlines(void **state)
{
    (void)state;
    char got[8];
    double start = seconds();
    assert_int_equal(mp_connection_recv(a, got, 8, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_recv(a, got, 8, -5), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_recv(a, got, 8, MP_DEFAULT_TIMEOUT), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_poll(a, 0), 0);
    assert_int_equal(mp_connection_recv_fd(a, 0), MP_ETIMEDOUT);
    assert_true(seconds() - start < LONG / 2);
    start = seconds();
    assert_int_equal(mp_connection_recv(a, got, 8, 0.25), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.25);
    start = seconds();
    assert_int_equal(mp_connection_next_size(a, 0.05), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_poll(a, 0.05), 0);
    assert_true(seconds() - start >= 0.1);
}

static void fill(mp_connection *c, size_t size, int *count)
{
    char *bytes = calloc(1, size);
    int rc = 0;
    for (*count = 0; rc == 0; *count += rc == 0)
        rc = mp_connection_send(c, bytes, size, 0);
    assert_int_equal(rc, MP_ETIMEDOUT);
    double start = seconds();
    assert_int_equal(mp_connection_send(c, bytes, size, 0.15), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.15);
    free(bytes);
}

static void test_a_full_channel(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64 * KIB, MIB};
    char *got = malloc(MIB);
    for (size_t i = 0; i < 3; i++) {
        int count;
        fill(b, sizes[i], &count);
        assert_true(count >= 2);
        if (sizes[i] == MIB)
            assert_true(count < 16); /* large ones count by their beginning at least */
        for (; count > 0; count--)
            assert_int_equal(mp_connection_recv(a, got, MIB, 0), (ssize_t)sizes[i]);
        assert_int_equal(mp_connection_recv(a, got, MIB, 0), MP_ETIMEDOUT);
    }
    free(got);
}

static _Atomic pid_t blocked_tid;
static _Atomic int blocked_result;

static void *block_recv(void *arg)
{
    char byte;
    blocked_tid = (pid_t)syscall(SYS_gettid);
    blocked_result = (int)mp_connection_recv(arg, &byte, 1, MP_FOREVER);
    return NULL;
}

static void *block_poll(void *arg)
{
    blocked_tid = (pid_t)syscall(SYS_gettid);
    blocked_result = mp_connection_poll(arg, MP_FOREVER);
    return NULL;
}

static void *block_send(void *arg)
{
    char bytes[1000] = {0};
    int rc = 0;
    blocked_tid = (pid_t)syscall(SYS_gettid);
    while (rc == 0)
        rc = mp_connection_send(arg, bytes, sizeof bytes, MP_FOREVER);
    blocked_result = rc;
    return NULL;
}

static void test_close_wakes_threads(void **state)
{
    (void)state;
    void *(*const blocks[])(void *) = {block_recv, block_poll, block_send};
    for (int i = 0; i < 3; i++) {
        mp_connection *c, *peer;
        assert_int_equal(mp_pipe(&c, &peer, true), 0);
        pthread_t thread;
        blocked_tid = blocked_result = 0;
        assert_int_equal(pthread_create(&thread, NULL, blocks[i], c), 0);
        while (blocked_tid == 0)
            nap(0.001);
        until_asleep(blocked_tid);
        double start = seconds();
        assert_int_equal(mp_connection_close(c), 0);
        pthread_join(thread, NULL);
        assert_true(seconds() - start < LONG / 2);
        assert_int_equal(blocked_result, MP_ECLOSED);
        mp_connection_free(c);
        mp_connection_free(peer);
    }
}

static void on_signal(int sig)
{
    (void)sig;
    mp_interrupt();
}

static void on_nothing(int sig)
{
    (void)sig;
}

static void test_interrupt(void **state)
{
    (void)state;
    char byte;
    mp_interrupt();
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0), MP_ETIMEDOUT); /* does not block */
    assert_int_equal(mp_connection_send(b, "x", 1, LONG), MP_EINTR);
    assert_int_equal(mp_connection_send(b, "x", 1, LONG), 0);
    mp_interrupt();
    assert_int_equal(mp_connection_recv(a, &byte, 1, LONG), MP_EINTR);
    assert_int_equal(mp_connection_recv(a, &byte, 1, LONG), 1);

    struct sigaction before, now = {.sa_handler = on_signal};
    sigaction(SIGALRM, &now, &before);
    ualarm(100000, 0);
    assert_int_equal(mp_connection_recv(a, &byte, 1, LONG), MP_EINTR);
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0.05), MP_ETIMEDOUT); /* once */
    ualarm(100000, 0);
    assert_int_equal(mp_connection_poll(a, LONG), MP_EINTR);

    now.sa_handler = on_nothing; /* a handler alone does not end it */
    sigaction(SIGALRM, &now, NULL);
    ualarm(50000, 0);
    double start = seconds();
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0.3), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.3);
    sigaction(SIGALRM, &before, NULL);
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    char *bytes = calloc(1, 200 * KIB);
    errno = EXDEV;
    assert_int_equal(mp_connection_recv(a, bytes, 1, 0.01), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(b, bytes, 200 * KIB, LONG), 0);
    assert_int_equal(mp_connection_poll(a, 0), 1);
    assert_int_equal(mp_connection_recv(a, bytes, 10, 0), MP_EMSGSIZE);
    assert_int_equal(mp_connection_recv(a, bytes, 200 * KIB, 0), 200 * KIB);
    assert_int_equal(mp_connection_close(a), 0);
    assert_int_equal(mp_connection_send(b, bytes, 1, 0), MP_EPIPE);
    assert_int_equal(mp_connection_recv(b, bytes, 1, 0), MP_EEOF);
    assert_int_equal(errno, EXDEV);
    free(bytes);
}

static void test_wrong_direction(void **state)
{
    (void)state;
    char byte = 0;
    void *data;
    size_t length;
    assert_true(mp_connection_readable(a) && !mp_connection_writable(a));
    assert_true(!mp_connection_readable(b) && mp_connection_writable(b));
    assert_int_equal(mp_connection_send(a, &byte, 1, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_send_fd(a, 0, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_recv(b, &byte, 1, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_next_size(b, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_recv_alloc(b, &data, &length, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_poll(b, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_recv_fd(b, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_send(b, &byte, 1, 0), 0);
    assert_int_equal(mp_connection_recv(a, &byte, 1, 0), 1);
}

int main(void)
{
#define BOTH(test) cmocka_unit_test_setup_teardown(test, two_way, finish)
    const struct CMUnitTest tests[] = {
        BOTH(test_every_size),
        BOTH(test_order_and_both_directions),
        BOTH(test_too_small_a_buffer),
        BOTH(test_recv_alloc),
        BOTH(test_bad_arguments),
        BOTH(test_after_close),
        BOTH(test_close_after_the_number_was_reused),
        BOTH(test_what_was_sent_outlives_the_sender),
        BOTH(test_peer_closes_with_unread_messages),
        BOTH(test_deadlines),
        BOTH(test_a_full_channel),
        BOTH(test_close_wakes_threads),
        BOTH(test_interrupt),
        BOTH(test_errno_is_left_alone),
        cmocka_unit_test_setup_teardown(test_wrong_direction, one_way, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
