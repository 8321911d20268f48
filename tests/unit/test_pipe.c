/* SPDX-License-Identifier: MIT */
/* Pipes among processes: who holds which end, whole messages exactly once, and deaths. */
#include <mproc/error.h>
#include <mproc/pipe.h>

#include "support/child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

#define KIB     1024
#define LARGEST (300 * KIB)

static int descriptors;

static int before(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    return 0;
}

static int after(void **state)
{
    (void)state;
    return open_descriptors() == descriptors && waitpid(-1, NULL, WNOHANG) < 0 ? 0 : -1;
}

/* Messages that tell whether they are whole: who, which, and bytes that follow from both. */
typedef struct tag {
    uint32_t sender, number, size;
} tag;

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

static unsigned char byte_at(const tag *t, uint32_t i)
{
    return (unsigned char)(t->sender * 31 + t->number * 7 + i + (i >> 8) + (i >> 16));
}

/* Small ones, some that just fit a packet, and large ones. */
static uint32_t size_of(uint32_t sender, uint32_t number)
{
    static const uint32_t most[] = {64, 64, 4 * KIB, 64 * KIB, LARGEST};
    uint32_t random = mix(sender << 20 ^ number);
    return sizeof(tag) + mix(random) % (most[random % 5] - sizeof(tag));
}

static uint32_t make(unsigned char *buffer, uint32_t sender, uint32_t number)
{
    tag t = {sender, number, size_of(sender, number)};
    memcpy(buffer, &t, sizeof t);
    for (uint32_t i = sizeof t; i < t.size; i++)
        buffer[i] = byte_at(&t, i);
    return t.size;
}

static bool is_whole(const unsigned char *buffer, ssize_t size, tag *t)
{
    if (size < (ssize_t)sizeof *t)
        return false;
    memcpy(t, buffer, sizeof *t);
    if (t->size != (size_t)size || t->size != size_of(t->sender, t->number))
        return false;
    for (uint32_t i = sizeof *t; i < t->size; i++)
        if (buffer[i] != byte_at(t, i))
            return false;
    return true;
}

/* What the processes of a test share. */
#define SENDERS   4
#define RECEIVERS 3
#define EACH      300

static struct shared {
    mp_connection *a, *b;
    _Atomic int seen[SENDERS][EACH];
    _Atomic int received, sent, torn, stop;
} * shared;

static void share(bool duplex)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_int_equal(mp_pipe(&shared->a, &shared->b, duplex), 0);
}

static void unshare_all(void)
{
    mp_connection_free(shared->a);
    mp_connection_free(shared->b);
    munmap(shared, sizeof *shared);
}

static void test_arguments(void **state)
{
    (void)state;
    mp_connection *a = (void *)&descriptors, *b = (void *)&descriptors;
    assert_int_equal(mp_pipe(NULL, &b, true), MP_EINVAL);
    assert_null(b);
    assert_int_equal(mp_pipe(&a, NULL, false), MP_EINVAL);
    assert_null(a);
    assert_int_equal(mp_pipe(NULL, NULL, false), MP_EINVAL);
}

static int without_descriptors(void *arg)
{
    (void)arg;
    struct rlimit old, tight;
    mp_connection *a = (void *)&old, *b = (void *)&old;
    getrlimit(RLIMIT_NOFILE, &old);
    int next = dup(0);
    close(next);
    for (int spare = 0; spare < 2; spare++) { /* the pair needs two */
        tight = (struct rlimit){(rlim_t)(next + spare), old.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        if (!descriptors_are_limited())
            return CANNOT;
        CHECK(mp_pipe(&a, &b, false) == MP_ESYS(EMFILE));
        CHECK(a == NULL && b == NULL);
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(fcntl(next, F_GETFD) < 0);
    CHECK(mp_pipe(&a, &b, false) == 0);
    mp_connection_free(a);
    mp_connection_free(b);
    return 0;
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    int status = child_end(child_start(without_descriptors, NULL));
    if (status == CANNOT)
        skip();
    assert_int_equal(status, 0);
}

/* The numbers of the standard streams are never taken, also when they are free. */
static int without_stdio(void *arg)
{
    (void)arg;
    mp_connection *a, *b;
    char *bytes = calloc(1, LARGEST);
    close(0);
    close(1);
    CHECK(mp_pipe(&a, &b, true) == 0);
    CHECK(mp_connection_fileno(a) > 2 && mp_connection_fileno(b) > 2);
    CHECK(mp_connection_send(a, bytes, LARGEST, 0) == 0);
    CHECK(mp_connection_recv(b, bytes, LARGEST, 0) == LARGEST);
    CHECK(mp_connection_send_fd(a, 2, 0) == 0);
    int fd = mp_connection_recv_fd(b, 0);
    CHECK(fd > 2);
    CHECK(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0);
    close(fd);
    mp_connection_free(a);
    mp_connection_free(b);
    free(bytes);
    return 0;
}

static void test_standard_numbers_stay_free(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(without_stdio, NULL)), 0);
}

static int hold_until_told(void *arg)
{
    char byte;
    mp_connection_free(shared->a); /* and keeps b */
    return (int)mp_connection_recv(arg, &byte, 1, LONG) == 1 ? 0 : 1;
}

/* B2: the end of file comes with the last copy, in whichever process, and not before. */
static void test_end_of_file_waits_for_the_last_copy(void **state)
{
    (void)state;
    mp_connection *told, *tell;
    char byte = 0;
    share(false);
    assert_int_equal(mp_pipe(&told, &tell, false), 0);
    pid_t holders[2];
    for (int i = 0; i < 2; i++)
        holders[i] = child_start(hold_until_told, told);
    assert_int_equal(mp_connection_recv(shared->a, &byte, 1, 0.05), MP_ETIMEDOUT); /* our own */
    assert_int_equal(mp_connection_close(shared->b), 0);
    assert_int_equal(mp_connection_recv(shared->a, &byte, 1, 0.05), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_poll(shared->a, 0), 0);
    assert_int_equal(child_kill(holders[0]), -SIGKILL); /* a death closes, too */
    assert_int_equal(mp_connection_recv(shared->a, &byte, 1, 0.05), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(tell, &byte, 1, 0), 0);
    assert_int_equal(mp_connection_recv(shared->a, &byte, 1, LONG), MP_EEOF);
    assert_int_equal(child_end(holders[1]), 0);
    mp_connection_free(told);
    mp_connection_free(tell);
    unshare_all();
}

static int hold_reader(void *arg)
{
    char byte;
    mp_connection_free(shared->b);
    return (int)mp_connection_recv(arg, &byte, 1, LONG) == 1 ? 0 : 1;
}

/* The same for senders, who get no signal. */
static void test_broken_pipe_waits_for_the_last_copy(void **state)
{
    (void)state;
    mp_connection *told, *tell;
    char byte = 0;
    struct sigaction how;
    sigaction(SIGPIPE, NULL, &how);
    assert_true(how.sa_handler == SIG_DFL);
    share(false);
    assert_int_equal(mp_pipe(&told, &tell, false), 0);
    pid_t holder = child_start(hold_reader, told);
    assert_int_equal(mp_connection_close(shared->a), 0);
    assert_int_equal(mp_connection_send(shared->b, &byte, 1, 0), 0);
    assert_int_equal(mp_connection_send(tell, &byte, 1, 0), 0);
    assert_int_equal(child_end(holder), 0);
    assert_int_equal(mp_connection_send(shared->b, &byte, 1, LONG), MP_EPIPE);
    char *large = calloc(1, LARGEST);
    assert_int_equal(mp_connection_send(shared->b, large, LARGEST, LONG), MP_EPIPE);
    assert_int_equal(mp_connection_send_fd(shared->b, 0, LONG), MP_EPIPE);
    free(large);
    mp_connection_free(told);
    mp_connection_free(tell);
    unshare_all();
}

/* A blocked sender and a blocked receiver learn of the death of the other side at once. */
static int block_sending(void *arg)
{
    (void)arg;
    char bytes[KIB] = {0};
    int rc = 0;
    mp_connection_free(shared->a);
    while (rc == 0)
        rc = mp_connection_send(shared->b, bytes, sizeof bytes, MP_FOREVER);
    return rc == MP_EPIPE ? 0 : 1;
}

static void test_blocked_sender_sees_the_end(void **state)
{
    (void)state;
    share(false);
    pid_t pid = child_start(block_sending, NULL);
    until_asleep(pid);
    assert_int_equal(mp_connection_close(shared->a), 0);
    assert_int_equal(child_end(pid), 0);
    unshare_all();
}

static int send_each(void *arg)
{
    uint32_t sender = (uint32_t)(intptr_t)arg;
    unsigned char *buffer = malloc(LARGEST);
    for (uint32_t i = 0; i < EACH; i++)
        CHECK(mp_connection_send(shared->b, buffer, make(buffer, sender, i), LONG) == 0);
    free(buffer);
    return 0;
}

static int receive_all(void *arg)
{
    (void)arg;
    unsigned char *buffer = malloc(LARGEST);
    mp_connection_free(shared->b);
    for (;;) {
        ssize_t n = mp_connection_recv(shared->a, buffer, LARGEST, LONG);
        if (n == MP_EEOF)
            break;
        tag t;
        CHECK(is_whole(buffer, n, &t));
        atomic_fetch_add(&shared->seen[t.sender][t.number], 1);
    }
    free(buffer);
    return 0;
}

/* G2 */
static void test_many_share_both_ends(void **state)
{
    (void)state;
    share(false);
    pid_t pids[SENDERS + RECEIVERS];
    for (int i = 0; i < RECEIVERS; i++)
        pids[i] = child_start(receive_all, NULL);
    for (int i = 0; i < SENDERS; i++)
        pids[RECEIVERS + i] = child_start(send_each, (void *)(intptr_t)i);
    mp_connection_close(shared->b);
    for (int i = 0; i < SENDERS + RECEIVERS; i++)
        assert_int_equal(child_end(pids[i]), 0);
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < EACH; j++)
            assert_int_equal(shared->seen[i][j], 1);
    unshare_all();
}

static int storm_sender(void *arg)
{
    unsigned char *buffer = malloc(LARGEST);
    uint32_t self = (uint32_t)(intptr_t)arg;
    mp_connection_free(shared->a);
    for (uint32_t i = 0; !shared->stop; i++) {
        CHECK(mp_connection_send(shared->b, buffer, make(buffer, self, i), LONG) == 0);
        atomic_fetch_add(&shared->sent, 1);
    }
    free(buffer);
    return 0;
}

static int storm_receiver(void *arg)
{
    (void)arg;
    unsigned char *buffer = malloc(LARGEST);
    tag t;
    mp_connection_free(shared->b);
    for (;;) {
        ssize_t n = mp_connection_recv(shared->a, buffer, LARGEST, LONG);
        if (n == MP_EEOF)
            break;
        if (!is_whole(buffer, n, &t))
            atomic_fetch_add(&shared->torn, 1);
        CHECK(n > 0);
        atomic_fetch_add(&shared->received, 1);
    }
    free(buffer);
    return 0;
}

static bool wait_beyond(_Atomic int *counter, int value)
{
    for (double end = seconds() + LONG; seconds() < end; nap(0.0005))
        if (*counter > value)
            return true;
    return false;
}

/* Senders and receivers die at any moment; the others go on, and no message is ever torn. */
static void test_kill_storm(void **state)
{
    (void)state;
    enum { PAIRS = 3, KILLS = 120 };
    share(false);
    pid_t pids[2 * PAIRS];
    uint32_t random = 1, next = 0;
    for (int i = 0; i < 2 * PAIRS; i++)
        pids[i] = i % 2 ? child_start(storm_receiver, NULL)
                        : child_start(storm_sender, (void *)(intptr_t)next++);
    for (int kills = 0; kills < KILLS; kills++) {
        int i = (int)(random = mix(random + 1)) & 0x7fffffff;
        nap((i >> 8) % 3000 * 1e-6);
        i %= 2 * PAIRS;
        assert_int_equal(child_kill(pids[i]), -SIGKILL);
        assert_true(wait_beyond(&shared->received, shared->received));
        assert_true(wait_beyond(&shared->sent, shared->sent));
        pids[i] = i % 2 ? child_start(storm_receiver, NULL)
                        : child_start(storm_sender, (void *)(intptr_t)next++);
    }
    shared->stop = 1;
    mp_connection_close(shared->b);
    for (int i = 0; i < 2 * PAIRS; i++)
        assert_int_equal(child_end(pids[i]), 0);
    assert_int_equal(shared->torn, 0);
    unshare_all();
}

static int receive_forever(void *arg)
{
    char bytes[64];
    ssize_t rc = 0;
    (void)arg;
    while (rc >= 0) {
        rc = mp_connection_recv(shared->a, bytes, sizeof bytes, LONG);
        atomic_fetch_add(&shared->received, 1);
    }
    return rc == MP_EEOF ? 0 : 1;
}

/* A stopped receiver stops nobody else for longer than their deadlines. */
static void test_stopped_receiver(void **state)
{
    (void)state;
    char bytes[64] = {0};
    share(true);
    pid_t pid = child_start(receive_forever, NULL);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(mp_connection_send(shared->b, bytes, 1, LONG), 0);
        nap(0.0003 * (i % 4));
        assert_true(child_stop(pid));
        double start = seconds();
        ssize_t rc = mp_connection_recv(shared->a, bytes, sizeof bytes, 0);
        assert_true(rc > 0 || rc == MP_ETIMEDOUT || rc == MP_EAGAIN);
        rc = mp_connection_recv(shared->a, bytes, sizeof bytes, 0.01);
        assert_true(rc > 0 || rc == MP_ETIMEDOUT);
        assert_true(seconds() - start < LONG / 2);
        /* A last small one may fit beside; and it may have been stopped with a lock. */
        static const size_t sizes[] = {64, 1};
        for (int j = 0; j < 2; j++) {
            int full = 0;
            while (full == 0)
                full = mp_connection_send(shared->b, bytes, sizes[j], 0);
            assert_true(full == MP_ETIMEDOUT || full == MP_EAGAIN);
        }
        assert_int_equal(mp_connection_send(shared->b, bytes, 1, 0.01), MP_ETIMEDOUT);
        kill(pid, SIGCONT);
    }
    assert_int_equal(child_kill(pid), -SIGKILL);
    ssize_t rc;
    while ((rc = mp_connection_recv(shared->a, bytes, sizeof bytes, 0)) >= 0)
        continue;
    assert_int_equal(rc, MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(shared->b, bytes, 5, 0), 0);
    assert_int_equal(mp_connection_recv(shared->a, bytes, sizeof bytes, 0), 5);
    unshare_all();
}

/* A child whose program closes all that it did not open. */
static int after_closefrom(void *arg)
{
    (void)arg;
    char byte = 0;
    mp_connection *a, *b;
    int number = mp_connection_fileno(shared->a);
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    CHECK(mp_connection_recv(shared->a, &byte, 1, LONG) == MP_ESYS(EBADF));
    CHECK(mp_connection_poll(shared->a, LONG) == MP_ESYS(EBADF));
    CHECK(mp_connection_send(shared->a, &byte, 1, LONG) == MP_ESYS(EBADF));
    CHECK(mp_pipe(&a, &b, true) == 0);
    CHECK(mp_connection_fileno(a) <= number); /* the numbers are used again */
    mp_connection_free(shared->a);
    mp_connection_free(shared->b);
    CHECK(mp_connection_send(a, &byte, 1, LONG) == 0);
    CHECK(mp_connection_recv(b, &byte, 1, LONG) == 1);
    mp_connection_free(a);
    mp_connection_free(b);
    return 0;
}

static void test_closefrom(void **state)
{
    (void)state;
    share(true);
    assert_int_equal(child_end(child_start(after_closefrom, NULL)), 0);
    char byte = 1;
    assert_int_equal(mp_connection_send(shared->a, &byte, 1, 0), 0);
    assert_int_equal(mp_connection_recv(shared->b, &byte, 1, 0), 1);
    unshare_all();
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, before, after)
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_no_descriptors_left),
        TEST(test_standard_numbers_stay_free),
        TEST(test_end_of_file_waits_for_the_last_copy),
        TEST(test_broken_pipe_waits_for_the_last_copy),
        TEST(test_blocked_sender_sees_the_end),
        TEST(test_many_share_both_ends),
        TEST(test_kill_storm),
        TEST(test_stopped_receiver),
        TEST(test_closefrom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
