/* SPDX-License-Identifier: MIT */
/* What travels in packets beside bytes: descriptors, files with the rest of large messages; what
 * happens where limits forbid these; and packets of strangers. */
#include <mproc/connection.h>
#include <mproc/error.h>
#include <mproc/pipe.h>

#include "support/child.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

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

static int finish(void **state)
{
    (void)state;
    mp_connection_free(a);
    mp_connection_free(b);
    return open_descriptors() == descriptors ? 0 : -1;
}

static void test_descriptors_travel(void **state)
{
    (void)state;
    int ends[2];
    char got[8];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(mp_connection_send(b, "before", 6, 0), 0);
    assert_int_equal(mp_connection_send_fd(b, ends[1], 0), 0);
    assert_int_equal(mp_connection_send(b, "after", 5, 0), 0);
    close(ends[1]);

    assert_int_equal(mp_connection_recv_fd(a, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_recv(a, got, 8, 0), 6);
    assert_int_equal(mp_connection_recv(a, got, 8, LONG), MP_ESTATE);
    assert_int_equal(mp_connection_next_size(a, 0), MP_ESTATE);
    void *data;
    size_t length;
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ESTATE);
    assert_int_equal(mp_connection_poll(a, 0), 1);
    int fd = mp_connection_recv_fd(a, 0);
    assert_true(fd > 2);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(read(ends[0], got, 8), 5);
    close(fd);
    assert_int_equal(read(ends[0], got, 8), 0); /* there was no other copy */
    assert_int_equal(mp_connection_recv(a, got, 8, 0), 5);
    close(ends[0]);
}

static int without_descriptors(void *arg)
{
    (void)arg;
    static char *bytes;
    bytes = calloc(1, 200 * KIB);
    mp_connection *c = a, *d = b;
    struct rlimit old;
    getrlimit(RLIMIT_NOFILE, &old);
    CHECK(mp_connection_send(b, bytes, 200 * KIB, 0) == 0);
    CHECK(mp_connection_send_fd(b, 0, 0) == 0);
    int next = dup(0);
    close(next);
    CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, old.rlim_max}) == 0);
    if (!descriptors_are_limited())
        return CANNOT;
    CHECK(mp_pipe(&c, &d, true) == MP_ESYS(EMFILE) && c == NULL && d == NULL);
    CHECK(mp_connection_send(b, bytes, 200 * KIB, 0) == MP_ESYS(EMFILE));
    CHECK(mp_connection_send(b, bytes, 64 * KIB, 0) == 0);
    CHECK(mp_connection_recv(a, bytes, 200 * KIB, 0) == MP_ESYS(EMFILE));
    CHECK(mp_connection_recv(a, bytes, 200 * KIB - 1, LONG) == MP_EMSGSIZE);
    CHECK(mp_connection_next_size(a, 0) == 200 * KIB);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(mp_connection_recv(a, bytes, 200 * KIB, 0) == 200 * KIB);
    CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, old.rlim_max}) == 0);
    CHECK(mp_connection_recv_fd(a, 0) == MP_ESYS(EMFILE));
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    int fd = mp_connection_recv_fd(a, 0);
    CHECK(fd > 2 && fcntl(fd, F_GETFD) >= 0);
    CHECK(mp_connection_recv(a, bytes, 200 * KIB, 0) == 64 * KIB);
    close(fd);
    free(bytes);
    return 0;
}

static void test_without_descriptors(void **state)
{
    (void)state;
    int status = child_end(child_start(without_descriptors, NULL));
    if (status == CANNOT)
        skip();
    assert_int_equal(status, 0);
}

static int with_small_files(void *arg)
{
    (void)arg;
    char *bytes = calloc(1, MIB);
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100 * KIB, 100 * KIB}) == 0);
    CHECK(mp_connection_send(b, bytes, MIB, 0) == MP_ESYS(EFBIG));
    CHECK(mp_connection_send(b, bytes, 100 * KIB, 0) == 0);
    CHECK(mp_connection_recv(a, bytes, MIB, 0) == 100 * KIB);
    free(bytes);
    return 0;
}

static void test_file_size_limit_is_no_signal(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(with_small_files, NULL)), 0);
}

/* Packets of somebody who writes to the socket directly, or who lies. */
static void test_foreign_packets(void **state)
{
    (void)state;
    char got[64] = {0};
    int fd = mp_connection_fileno(b);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(send(fd, "0123456789abcdef0123", 20, 0), 20);
    assert_int_equal(mp_connection_next_size(a, 0), MP_ESYS(EBADMSG)); /* looks only */
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), MP_ESYS(EBADMSG));
    assert_int_equal(mp_connection_recv_fd(a, 0), MP_ESYS(EBADMSG));

    assert_int_equal(mp_connection_send(b, "honest", 6, 0), 0);
    char packet[64];
    ssize_t n = recv(mp_connection_fileno(a), packet, sizeof packet, 0);
    assert_int_equal(n, 22);
    packet[8]++; /* a length that is not the packet's */
    assert_int_equal(send(fd, packet, 22, 0), 22);
    packet[8] -= 2;
    packet[4] = 2; /* a rest that does not come */
    assert_int_equal(send(fd, packet, 22, 0), 22);
    packet[8] = 127, packet[15] = -1; /* longer than memory */
    assert_int_equal(send(fd, packet, 22, 0), 22);
    packet[4] = 3; /* a descriptor that does not come */
    memset(packet + 8, 0, 8);
    assert_int_equal(send(fd, packet, 16, 0), 16);
    void *data;
    size_t length;
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), MP_ESYS(EBADMSG));
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), MP_ESYS(EBADMSG));
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ESYS(EBADMSG));
    assert_int_equal(mp_connection_recv_fd(a, 0), MP_ESYS(EBADMSG));
    assert_int_equal(mp_connection_send(b, "honest", 6, 0), 0);
    assert_int_equal(mp_connection_recv(a, got, sizeof got, 0), 6);
}

/* Sends the packet with a descriptor. */
static void send_carried(int to, void *packet, size_t size, int carried)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {packet, size};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&m);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof carried);
    memcpy(CMSG_DATA(rights), &carried, sizeof carried);
    assert_int_equal(sendmsg(to, &m, 0), size);
}

/* Memory is not asked for what is only announced, and the connection goes on. */
static void test_announced_and_not_there(void **state)
{
    (void)state;
    struct {
        uint32_t magic, kind;
        uint64_t length;
    } header;
    void *data;
    size_t length;
    int ends[2], to = mp_connection_fileno(b);
    assert_int_equal(mp_connection_send(b, "", 0, 0), 0);
    assert_int_equal(recv(mp_connection_fileno(a), &header, sizeof header, 0), sizeof header);
    header.kind = 2; /* with the rest in a file */
    header.length = UINT64_C(1) << 60;
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(file, "four", 4), 4);
    send_carried(to, &header, sizeof header, file);
    assert_int_equal(mp_connection_next_size(a, 0), header.length);
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ESYS(EBADMSG));
    header.length = 5;
    send_carried(to, &header, sizeof header, file);
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ESYS(EBADMSG));
    header.length = 4;
    assert_int_equal(pipe(ends), 0);
    send_carried(to, &header, sizeof header, ends[0]);
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), MP_ESYS(EBADMSG));
    send_carried(to, &header, sizeof header, file);
    assert_int_equal(mp_connection_recv_alloc(a, &data, &length, 0), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(data, "four", 4);
    free(data);
    close(file);
    close(ends[0]);
    close(ends[1]);
}

/* An end whose bare number another part of the program takes over, with a handle of its own. */
static void test_an_end_taken_over(void **state)
{
    (void)state;
    mp_connection *taken, *reader, *writer;
    unsigned char *bytes = malloc(200 * KIB), *got = malloc(200 * KIB);
    assert_int_equal(mp_pipe(&reader, &writer, false), 0);
    int fd = dup(mp_connection_fileno(reader));
    assert_int_equal(mp_connection_create(&taken, fd, NULL), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    mp_connection_free(reader);
    memset(bytes, 7, 200 * KIB);
    assert_int_equal(mp_connection_send(writer, bytes, 200 * KIB, 0), 0);
    assert_int_equal(mp_connection_send_fd(writer, 0, 0), 0);
    assert_int_equal(mp_connection_send(taken, bytes, 1, 0), MP_EPIPE); /* it only receives */
    assert_int_equal(mp_connection_recv(taken, got, 5, 0), MP_EMSGSIZE);
    assert_int_equal(mp_connection_recv(taken, got, 200 * KIB, 0), 200 * KIB);
    assert_memory_equal(got, bytes, 200 * KIB);
    fd = mp_connection_recv_fd(taken, 0);
    assert_true(fd >= 0);
    close(fd);
    mp_connection_free(taken);
    mp_connection_free(writer);
    free(bytes);
    free(got);
}

static void *send_large(void *arg)
{
    static unsigned char *bytes; /* static: no leak in a child */
    intptr_t rc = 0;
    bytes = calloc(1, MIB);
    while (rc == 0)
        rc = mp_connection_send(arg, bytes, MIB, MP_FOREVER);
    free(bytes);
    return (void *)rc;
}

/* Files of messages that this process has open. */
static int message_files(void)
{
    int count = 0;
    char path[64], target[64];
    for (int fd = 0; fd < 100; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        count += strncmp(target, "/memfd:mproc message", 20) == 0;
    }
    return count;
}

static int has_no_message_file(void *arg)
{
    (void)arg;
    mp_connection_free(a);
    mp_connection_free(b);
    return message_files();
}

/* A child that is forked while another thread sends has no copy of its file. */
static void test_fork_beside_a_large_send(void **state)
{
    (void)state;
    pthread_t thread;
    void *rc;
    pthread_create(&thread, NULL, send_large, b);
    for (int i = 0; i < 20; i++) {
        while (message_files() != 1)
            nap(0.001);
        assert_int_equal(child_end(child_start(has_no_message_file, NULL)), 0);
    }
    mp_connection_close(b);
    pthread_join(thread, &rc);
    assert_int_equal((intptr_t)rc, MP_ECLOSED);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, two_way, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_descriptors_travel),           TEST(test_without_descriptors),
        TEST(test_file_size_limit_is_no_signal), TEST(test_foreign_packets),
        TEST(test_announced_and_not_there),      TEST(test_an_end_taken_over),
        TEST(test_fork_beside_a_large_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
