/* SPDX-License-Identifier: MIT */
/* Connections of foreign pipes and stream sockets: plain frames, byte by byte. */
#include <mproc/connection.h>
#include <mproc/error.h>

#include "support/child.h"

#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define MIB (1024 * 1024)

static mp_connection *c; /* ours */
static int peer;         /* the bare other end */
static int descriptors;

static int stream_socket(void **state)
{
    (void)state;
    int ends[2];
    descriptors = open_descriptors();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    peer = ends[1];
    return mp_connection_create(&c, ends[0], NULL);
}

static int reading_pipe(void **state)
{
    (void)state;
    int ends[2];
    descriptors = open_descriptors();
    if (pipe(ends) != 0)
        return -1;
    peer = ends[1];
    return mp_connection_create(&c, ends[0], NULL);
}

static int writing_pipe(void **state)
{
    (void)state;
    int ends[2];
    descriptors = open_descriptors();
    if (pipe(ends) != 0)
        return -1;
    peer = ends[0];
    return mp_connection_create(&c, ends[1], NULL);
}

static int nothing(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    c = NULL;
    peer = -1;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    mp_connection_free(c);
    if (peer >= 0)
        close(peer);
    return open_descriptors() == descriptors ? 0 : -1;
}

static void put(const char *bytes, size_t length)
{
    assert_int_equal(write(peer, bytes, length), (ssize_t)length);
}

static void expect(const char *bytes, size_t length)
{
    char got[64];
    for (size_t n = 0; n < length;) {
        ssize_t r = read(peer, got + n, length - n);
        assert_true(r > 0);
        n += (size_t)r;
    }
    assert_memory_equal(got, bytes, length);
}

static int refused(int fd, int readable, int writable)
{
    mp_connection *out = (void *)&descriptors;
    mp_connection_options options = {sizeof options, readable, writable};
    int rc = mp_connection_create(&out, fd, &options);
    assert_null(out);
    return rc;
}

static void test_create(void **state)
{
    (void)state;
    int ends[2], null = open("/dev/null", O_RDWR), udp = socket(AF_INET, SOCK_DGRAM, 0);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un_any {
        sa_family_t family;
        char none[8];
    } any = {AF_UNIX, {0}};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(mp_connection_create(NULL, ends[0], NULL), MP_EINVAL);
    assert_int_equal(refused(-1, 0, 0), MP_EINVAL);
    assert_int_equal(refused(9999, 0, 0), MP_EINVAL);
    assert_int_equal(refused(null, 0, 0), MP_EINVAL);
    assert_int_equal(refused(udp, 0, 0), MP_EINVAL);
    assert_int_equal(refused(listener, 0, 0), MP_EINVAL);
    assert_int_equal(refused(ends[0], 0, MP_YES), MP_EINVAL);
    assert_int_equal(refused(ends[0], MP_NO, 0), MP_EINVAL);
    assert_int_equal(refused(ends[1], MP_YES, 0), MP_EINVAL);
    assert_int_equal(refused(ends[0], 2, 0), MP_EINVAL);
    assert_int_equal(refused(ends[1], 0, -2), MP_EINVAL);
    assert_false(fcntl(ends[0], F_GETFD) & FD_CLOEXEC); /* a failure leaves it as it was */

    assert_int_equal(mp_connection_new(&c, ends[0], .readable = true), 0);
    assert_int_equal(mp_connection_fileno(c), ends[0]);
    assert_true(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_true(mp_connection_readable(c) && !mp_connection_writable(c));
    assert_int_equal(mp_connection_send(c, "", 0, 0), MP_ESTATE);
    mp_connection_free(c);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    assert_int_equal(mp_connection_new(&c, ends[1]), 0);
    assert_true(!mp_connection_readable(c) && mp_connection_writable(c));
    assert_int_equal(mp_connection_recv(c, NULL, 0, 0), MP_ESTATE);
    assert_int_equal(mp_connection_poll(c, 0), MP_ESTATE);
    close(null);
    close(udp);
    close(listener);
}

static void test_only_one_direction_of_a_socket(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(mp_connection_new(&c, ends[0], .writable = MP_NO), 0);
    assert_int_equal(mp_connection_send(c, "x", 1, 0), MP_ESTATE);
    assert_int_equal(refused(ends[1], MP_NO, MP_NO), MP_EINVAL);
    peer = ends[1];
    put("\0\0\0\1x", 5);
    char byte;
    assert_int_equal(mp_connection_recv(c, &byte, 1, 0), 1);
}

static void test_what_is_sent(void **state)
{
    (void)state;
    assert_int_equal(mp_connection_send(c, NULL, 0, 0), 0);
    expect("\0\0\0\0", 4);
    assert_int_equal(mp_connection_send(c, "hello", 5, 0), 0);
    expect("\0\0\0\5hello", 9);
    assert_int_equal(mp_connection_send_fd(c, 0, 0), MP_ESTATE);
}

static void test_what_is_received(void **state)
{
    (void)state;
    char got[64];
    void *data;
    size_t length;
    assert_int_equal(mp_connection_recv(c, got, 64, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_recv_fd(c, 0), MP_ESTATE);
    put("\0\0\0\0\0\0\0\5hello\377\377\377\377\0\0\0\0\0\0\0\3abc", 28);
    assert_int_equal(mp_connection_next_size(c, 0), 0);
    assert_int_equal(mp_connection_poll(c, 0), 1);
    assert_int_equal(mp_connection_recv(c, NULL, 0, LONG), 0);
    assert_int_equal(mp_connection_recv(c, got, 4, LONG), MP_EMSGSIZE);
    assert_int_equal(mp_connection_next_size(c, LONG), 5);
    assert_int_equal(mp_connection_recv(c, got, 64, LONG), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(mp_connection_recv_alloc(c, &data, &length, 0), 0); /* the long form */
    assert_int_equal(length, 3);
    assert_memory_equal(data, "abc", 3);
    free(data);
    put("\0\0\0\0", 4);
    assert_int_equal(mp_connection_recv_alloc(c, &data, &length, 0), 0);
    assert_non_null(data);
    assert_int_equal(length, 0);
    free(data);
    assert_int_equal(mp_connection_poll(c, 0), 0);
}

static void test_bad_lengths(void **state)
{
    (void)state;
    char got[8];
    put("\377\377\377\376", 4);
    assert_int_equal(mp_connection_recv(c, got, 8, 0), MP_ESYS(EPROTO));
    put("\0\0\0\1x", 5);
    assert_int_equal(mp_connection_recv(c, got, 8, 0), MP_ESYS(EPROTO));
    assert_int_equal(mp_connection_poll(c, 0), 1);
}

static void test_bad_long_length(void **state)
{
    (void)state;
    put("\377\377\377\377\377\377\377\377\377\377\377\377", 12);
    assert_int_equal(mp_connection_next_size(c, 0), MP_ESYS(EPROTO));
}

static void test_an_announced_giant_takes_no_memory(void **state)
{
    (void)state;
    void *data;
    size_t length;
    put("\377\377\377\377\177\0\0\0\0\0\0\0abc", 15);
    assert_int_equal(mp_connection_next_size(c, 0), (ssize_t)0x7f00000000000000);
    assert_int_equal(mp_connection_recv_alloc(c, &data, &length, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_recv(c, &data, sizeof data, 0), MP_EMSGSIZE);
}

/* G1: half a message never blocks beyond the deadline, and is not lost by it. */
static void test_frames_in_pieces(void **state)
{
    (void)state;
    static const char frame[] = "\0\0\0\7message\377\377\377\377\0\0\0\0\0\0\0\2ok";
    char got[16];
    for (size_t i = 0; i < sizeof frame - 1; i++) {
        put(frame + i, 1);
        ssize_t rc = mp_connection_recv(c, got, sizeof got, i % 3 == 0 ? 0.002 : 0);
        assert_int_equal(rc, i == 10 ? 7 : i == 24 ? 2 : MP_ETIMEDOUT);
        if (i == 10)
            assert_memory_equal(got, "message", 7);
        assert_int_equal(mp_connection_poll(c, 0), i == 10 || i == 24 ? 0 : 1);
    }
    assert_memory_equal(got, "ok", 2);
}

static void test_end_between_frames(void **state)
{
    (void)state;
    char got[8];
    put("\0\0\0\1x", 5);
    close(peer);
    peer = -1;
    assert_int_equal(mp_connection_recv(c, got, 8, 0), 1);
    assert_int_equal(mp_connection_poll(c, 0), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mp_connection_recv(c, got, 8, LONG), MP_EEOF);
}

static void test_end_inside_a_frame(void **state)
{
    (void)state;
    static const char *const starts[] = {"\0\0", "\0\0\0\5", "\0\0\0\5abc"};
    static const size_t lengths[] = {2, 4, 7};
    char got[8];
    for (int i = 0; i < 3; i++) {
        int ends[2];
        mp_connection *d;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(mp_connection_create(&d, ends[0], NULL), 0);
        assert_int_equal(write(ends[1], starts[i], lengths[i]), (ssize_t)lengths[i]);
        close(ends[1]);
        assert_int_equal(mp_connection_recv(d, got, 8, LONG), MP_EPIPE);
        assert_int_equal(mp_connection_recv(d, got, 8, LONG), MP_EPIPE);
        mp_connection_free(d);
    }
}

/* The default action of SIGPIPE is in force, and one that was pending before is kept. */
static void test_nobody_reads(void **state)
{
    (void)state;
    sigset_t set, old, pending;
    close(peer);
    peer = -1;
    assert_int_equal(mp_connection_send(c, "x", 1, LONG), MP_EPIPE);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    assert_int_equal(mp_connection_send(c, "x", 1, LONG), MP_EPIPE);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    raise(SIGPIPE);
    assert_int_equal(mp_connection_send(c, "x", 1, LONG), MP_EPIPE);
    sigpending(&pending);
    assert_true(sigismember(&pending, SIGPIPE));
    struct timespec at_once = {0, 0};
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void test_cut_off_by_the_deadline(void **state)
{
    (void)state;
    char *large = calloc(1, 4 * MIB);
    double start = seconds();
    assert_int_equal(mp_connection_send(c, large, 4 * MIB, 0.2), MP_EPIPE);
    assert_true(seconds() - start >= 0.2);
    assert_false(mp_connection_writable(c));
    assert_int_equal(mp_connection_send(c, "x", 1, LONG), MP_EPIPE);
    free(large);
}

static void test_full_at_a_border(void **state)
{
    (void)state;
    char bytes[4092] = {0};
    int rc = 0;
    /* frames of a page each: a pipe is full exactly between two */
    while (rc == 0)
        rc = mp_connection_send(c, bytes, sizeof bytes, 0);
    assert_int_equal(rc, MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(c, bytes, sizeof bytes, 0.05), MP_ETIMEDOUT);
    char page[4096];
    assert_int_equal(read(peer, page, sizeof page), sizeof page);
    assert_int_equal(mp_connection_send(c, bytes, sizeof bytes, 0), 0);
}

static int send_frames(void *arg)
{
    (void)arg;
    unsigned char *bytes = malloc(3 * MIB);
    size_t sizes[] = {0, 1, 4096, 70000, 3 * MIB};
    mp_connection *d;
    CHECK(mp_connection_create(&d, dup(peer), NULL) == 0);
    for (int i = 0; i < 5; i++) {
        memset(bytes, i, sizes[i]);
        CHECK(mp_connection_send(d, bytes, sizes[i], LONG) == 0);
    }
    mp_connection_free(d);
    free(bytes);
    return 0;
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 70000, 3 * MIB};
    static unsigned char *bytes, *expected; /* static: no leak in the child */
    bytes = malloc(3 * MIB);
    expected = malloc(3 * MIB);
    pid_t pid = child_start(send_frames, NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mp_connection_recv(c, bytes, 3 * MIB, LONG), (ssize_t)sizes[i]);
        memset(expected, i, sizes[i]);
        assert_memory_equal(bytes, expected, sizes[i]);
    }
    assert_int_equal(child_end(pid), 0);
    free(bytes);
    free(expected);
}

static void *send_many(void *arg)
{
    unsigned char bytes[9000];
    intptr_t failures = 0;
    memset(bytes, (int)(intptr_t)arg, sizeof bytes);
    for (int i = 1; i <= 200; i++)
        failures += mp_connection_send(c, bytes, (size_t)(i * 45), LONG) != 0;
    return (void *)failures;
}

static mp_connection *other;

static void *receive_many(void *arg)
{
    unsigned char bytes[9000];
    intptr_t wrong = 0;
    (void)arg;
    for (int i = 0; i < 300; i++) {
        ssize_t n = mp_connection_recv(other, bytes, sizeof bytes, LONG);
        if (n <= 0 || n % 45 != 0) {
            wrong++;
            continue;
        }
        for (ssize_t j = 0; j < n; j++)
            wrong += bytes[j] != bytes[0];
    }
    return (void *)wrong;
}

static void test_threads_share_it(void **state)
{
    (void)state;
    pthread_t threads[5];
    void *failures;
    assert_int_equal(mp_connection_create(&other, peer, NULL), 0);
    peer = -1;
    for (intptr_t i = 0; i < 5; i++)
        pthread_create(&threads[i], NULL, i < 3 ? send_many : receive_many, (void *)i);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(mp_connection_poll(other, 0), 0);
    mp_connection_free(other);
}

static void *receive_blocked(void *arg)
{
    char byte;
    return (void *)(intptr_t)mp_connection_recv(arg, &byte, 1, MP_FOREVER);
}

static void *send_blocked(void *arg)
{
    static char *large; /* static: no leak in a child */
    large = calloc(1, 4 * MIB);
    intptr_t rc = mp_connection_send(arg, large, 4 * MIB, MP_FOREVER);
    free(large);
    return (void *)rc;
}

static int child_after_fork(void *arg)
{
    (void)arg;
    char got[8];
    CHECK(mp_connection_recv(c, got, 8, LONG) == 5 && memcmp(got, "child", 5) == 0);
    CHECK(mp_connection_close(c) == 0); /* not held up by the parent's threads */
    return 0;
}

/* A child forked while other threads are blocked in calls; then the close that ends those. */
static void test_fork_and_close_beside_blocked_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    void *rc;
    pthread_create(&threads[0], NULL, receive_blocked, c);
    pthread_create(&threads[1], NULL, send_blocked, c);
    char byte;
    assert_int_equal(read(peer, &byte, 1), 1); /* the sender has begun */
    nap(0.05);
    pid_t pid = child_start(child_after_fork, NULL);
    assert_int_equal(mp_connection_close(c), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, MP_ECLOSED);
    }
    put("\0\0\0\5child", 9);
    assert_int_equal(child_end(pid), 0);
}

int main(void)
{
#define TEST(test, setup) cmocka_unit_test_setup_teardown(test, setup, finish)
#define BOTH_READERS(test)                                                                         \
    TEST(test, stream_socket),                                                                     \
    {                                                                                              \
#test "(pipe)", test, reading_pipe, finish, NULL                                           \
    }
#define BOTH_WRITERS(test)                                                                         \
    TEST(test, stream_socket),                                                                     \
    {                                                                                              \
#test "(pipe)", test, writing_pipe, finish, NULL                                           \
    }
    const struct CMUnitTest tests[] = {
        TEST(test_create, nothing),
        TEST(test_only_one_direction_of_a_socket, nothing),
        BOTH_WRITERS(test_what_is_sent),
        BOTH_READERS(test_what_is_received),
        BOTH_READERS(test_bad_lengths),
        BOTH_READERS(test_bad_long_length),
        BOTH_READERS(test_an_announced_giant_takes_no_memory),
        BOTH_READERS(test_frames_in_pieces),
        BOTH_READERS(test_end_between_frames),
        TEST(test_end_inside_a_frame, nothing),
        BOTH_WRITERS(test_nobody_reads),
        BOTH_WRITERS(test_cut_off_by_the_deadline),
        TEST(test_full_at_a_border, writing_pipe),
        BOTH_READERS(test_sizes),
        TEST(test_threads_share_it, stream_socket),
        TEST(test_fork_and_close_beside_blocked_threads, stream_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
