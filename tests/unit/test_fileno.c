/* SPDX-License-Identifier: MIT */
/* Descriptors for event loops: of queues and events. Those of results: test_wait_objects.c. */
#include "chan/queue.h"
#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cmocka.h>

static mp_queue *q;
static mp_event *e;
static int descriptors;
static size_t blocks;

static bool is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static bool becomes_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, (int)(LONG * 1000)) == 1;
}

/* Takes everything out, as an event loop does. */
static int take_all(void)
{
    char byte;
    int n = 0;
    ssize_t rc;
    while ((rc = mp_queue_get(q, &byte, 1, 0)) == 1)
        n++;
    assert_int_equal(rc, MP_EEMPTY);
    return n;
}

static void put(void)
{
    assert_int_equal(mp_queue_put(q, "m", 1, 0), 0);
}

/* The socket that rings is there for good. */
static int warm(void **state)
{
    (void)state;
    char byte;
    int fd;
    if (mp_queue_new(&q) < 0 || (fd = mp_queue_fileno(q)) < 0)
        return -1;
    put();
    mp_queue_get(q, &byte, 1, 0);
    mp_fileno_release(fd);
    mp_queue_free(q);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    descriptors = open_descriptors();
    blocks = bytes_in_use();
    return mp_queue_new(&q) < 0 || mp_event_new(&e) < 0 ? -1 : 0;
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

static void test_arguments(void **state)
{
    (void)state;
    int ends[2], fd = mp_event_fileno(e);
    mp_event none = {{0}};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(mp_queue_fileno(NULL), MP_EINVAL);
    assert_int_equal(mp_event_fileno(NULL), MP_EINVAL);
    assert_int_equal(mp_event_fileno(&none), MP_EINVAL);
    assert_int_equal(mp_result_fileno(NULL), MP_EINVAL);
    assert_true(fd > 2);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(mp_fileno_release(-1), MP_EINVAL);
    assert_int_equal(mp_fileno_release(9999), MP_EINVAL);
    assert_int_equal(mp_fileno_release(ends[0]), MP_EINVAL);
    assert_true(fcntl(ends[0], F_GETFD) >= 0); /* it is still there */
    assert_int_equal(mp_fileno_release(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(mp_fileno_release(fd), MP_EINVAL);
    close(ends[0]);
    close(ends[1]);
}

static void test_queue(void **state)
{
    (void)state;
    char byte;
    int fd = mp_queue_fileno(q);
    assert_false(is_ready(fd));
    for (int i = 0; i < 5; i++) {
        put();
        put();
        for (int k = 0; k < 3; k++)
            assert_true(is_ready(fd)); /* it stays so */
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
        assert_true(is_ready(fd)); /* also when one was taken */
        assert_int_equal(take_all(), 1);
        assert_false(is_ready(fd));
    }
    put();
    assert_int_equal(take_all(), 1);
    assert_true(mp_queue_empty(q));
    assert_false(is_ready(fd));
    assert_int_equal(mp_fileno_release(fd), 0);
}

/* Each call that finds nothing makes it unready, also one that waits. */
static void test_every_look(void **state)
{
    (void)state;
    char byte;
    mp_bytes place = {&byte, 0, 1};
    void *data;
    size_t length;
    int fd = mp_queue_fileno(q);
    for (int way = 0; way < 6; way++) {
        put();
        assert_int_equal(mp_queue_get(q, &byte, 1, 0), 1);
        assert_true(is_ready(fd));
        if (way == 0)
            assert_true(mp_queue_empty(q));
        else if (way == 1)
            assert_int_equal(mp_queue_get_many(q, &place, 1, 0), MP_EEMPTY);
        else if (way == 2)
            assert_int_equal(mp_queue_get_alloc(q, &data, &length, 0), MP_EEMPTY);
        else if (way == 3)
            assert_int_equal(mp_queue_get(q, &byte, 1, 0.001), MP_EEMPTY);
        else if (way == 4)
            assert_int_equal(mp_queue_get_many(q, &place, 1, 0.001), MP_EEMPTY);
        else
            assert_int_equal(mp_wait(&(mp_waitable){.kind = MP_WAIT_QUEUE, .object = q}, 1, 0), 0);
        assert_false(is_ready(fd));
    }
    assert_int_equal(mp_fileno_release(fd), 0);
}

static void test_not_empty_at_first(void **state)
{
    (void)state;
    put();
    int fd = mp_queue_fileno(q);
    assert_true(is_ready(fd));
    assert_int_equal(take_all(), 1);
    assert_false(is_ready(fd));
    assert_int_equal(mp_queue_close(q), 0);
    assert_true(is_ready(fd)); /* closed */
    assert_true(mp_queue_empty(q));
    assert_true(is_ready(fd));
    int other = mp_queue_fileno(q);
    assert_true(is_ready(other));
    assert_int_equal(mp_fileno_release(fd), 0);
    assert_int_equal(mp_fileno_release(other), 0);
}

static void test_event(void **state)
{
    (void)state;
    int fd = mp_event_fileno(e);
    assert_false(is_ready(fd));
    for (int way = 0; way < 3; way++) {
        assert_int_equal(mp_event_set(e), 0);
        assert_true(is_ready(fd));
        assert_true(mp_event_is_set(e));
        assert_int_equal(mp_event_wait(e, 0), 0);
        assert_int_equal(mp_event_set(e), 0);
        assert_true(is_ready(fd));
        assert_int_equal(mp_event_clear(e), 0);
        assert_false(is_ready(fd));
    }
    assert_int_equal(mp_event_set(e), 0);
    int second = mp_event_fileno(e);
    assert_true(is_ready(second));
    assert_int_equal(mp_fileno_release(second), 0);
    assert_int_equal(mp_fileno_release(fd), 0);
}

static int clear_it(void *arg)
{
    (void)arg;
    return mp_event_clear(e);
}

static int set_it(void *arg)
{
    (void)arg;
    return mp_event_set(e);
}

/* Cleared elsewhere: unready at the next look here. */
static void test_event_of_others(void **state)
{
    (void)state;
    int fd = mp_event_fileno(e);
    for (int way = 0; way < 3; way++) {
        assert_int_equal(child_end(child_start(set_it, NULL)), 0);
        assert_true(is_ready(fd));
        assert_int_equal(child_end(child_start(clear_it, NULL)), 0);
        if (way == 0)
            assert_false(mp_event_is_set(e));
        else if (way == 1)
            assert_int_equal(mp_event_wait(e, 0), MP_ETIMEDOUT);
        else
            assert_int_equal(mp_event_wait(e, 0.001), MP_ETIMEDOUT);
        assert_false(is_ready(fd));
    }
    assert_int_equal(mp_fileno_release(fd), 0);
}

static void on_alarm(int sig)
{
    (void)sig;
    mp_event_set(e);
}

static void test_set_in_a_handler(void **state)
{
    (void)state;
    struct sigaction old, now = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &now, &old);
    int fd = mp_event_fileno(e);
    for (int i = 0; i < fewer(200); i++) {
        ualarm(200, 0);
        while (!mp_event_is_set(e)) /* which drains and arms, and is interrupted in it */
            continue;
        assert_true(becomes_ready(fd));
        assert_int_equal(mp_event_clear(e), 0);
        assert_false(is_ready(fd));
    }
    sigaction(SIGALRM, &old, NULL);
    assert_int_equal(mp_fileno_release(fd), 0);
}

/* What a stranger may send. */
static void test_spurious(void **state)
{
    (void)state;
    int fd = mp_queue_fileno(q), from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(name.sun_path[0], 0); /* no file */
    for (int i = 0; i < 3; i++) {
        while (sendto(from, "", 1, MSG_DONTWAIT, (struct sockaddr *)&name, length) >= 0)
            continue;
        assert_int_equal(errno, EAGAIN);
        assert_true(is_ready(fd));
        assert_int_equal(take_all(), 0);
        assert_false(is_ready(fd));
        put();
        assert_true(is_ready(fd));
        assert_int_equal(take_all(), 1);
    }
    close(from);
    assert_int_equal(mp_fileno_release(fd), 0);
}

static void test_many_of_one(void **state)
{
    (void)state;
    enum { MANY = 100 };
    int fd[MANY];
    for (int i = 0; i < MANY; i++)
        assert_true((fd[i] = mp_queue_fileno(q)) > 2);
    for (int round = 0; round < 3; round++) {
        put();
        for (int i = 0; i < MANY; i++)
            assert_true(is_ready(fd[i]));
        assert_int_equal(take_all(), 1);
        for (int i = 0; i < MANY; i++)
            assert_false(is_ready(fd[i]));
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(mp_fileno_release(fd[(i * 37) % MANY]), 0);
    put();
}

/* More that were rung than one socket can have sent. */
static void test_many_unheard(void **state)
{
    (void)state;
    enum { MANY = 700 };
    int fd[MANY];
    struct rlimit most;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
    if (most.rlim_cur < MANY + 50)
        skip();
    for (int i = 0; i < MANY; i++)
        assert_true((fd[i] = mp_queue_fileno(q)) > 2);
    put();
    for (int i = 0; i < MANY; i++)
        assert_true(is_ready(fd[i]));
    for (int i = 0; i < MANY; i++)
        assert_int_equal(mp_fileno_release(fd[i]), 0);
}

static void test_freed_before(void **state)
{
    (void)state;
    int of_q = mp_queue_fileno(q), of_e = mp_event_fileno(e);
    mp_queue_free(q);
    mp_event_free(e);
    assert_int_equal(mp_fileno_release(of_q), 0);
    assert_int_equal(mp_fileno_release(of_e), 0);
    q = NULL;
    e = NULL;
}

/* The program closes the number by itself, and it becomes another's. */
static void test_closed_by_the_program(void **state)
{
    (void)state;
    int fd = mp_queue_fileno(q), ends[2];
    close(fd);
    put();
    assert_int_equal(take_all(), 1);
    int again = mp_queue_fileno(q);
    assert_int_equal(again, fd); /* the lowest that is free */
    put();
    assert_true(is_ready(again));
    close(again);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ends[0], fd);
    assert_int_equal(take_all(), 1);
    assert_int_equal(mp_fileno_release(fd), MP_EINVAL);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(ends[0]);
    close(ends[1]);
}

static int child_of_owner(void *arg)
{
    int fd = *(int *)arg;
    CHECK(fcntl(fd, F_GETFD) == -1);
    CHECK(mp_fileno_release(fd) == MP_EINVAL);
    int mine = mp_queue_fileno(q);
    CHECK(mine > 2 && !is_ready(mine));
    put();
    CHECK(is_ready(mine));
    CHECK(take_all() == 1);
    CHECK(!is_ready(mine));
    put();
    CHECK(mp_fileno_release(mine) == 0);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    int fd = mp_queue_fileno(q), child = child_end(child_start(child_of_owner, &fd));
    assert_int_equal(child, 0);
    assert_true(is_ready(fd));
    assert_int_equal(take_all(), 1);
    assert_false(is_ready(fd));
    assert_int_equal(mp_fileno_release(fd), 0);
}

static word *ready;

static int own_and_sleep(void *arg)
{
    (void)arg;
    CHECK(mp_queue_fileno(q) > 2 && mp_queue_fileno(q) > 2 && mp_event_fileno(e) > 2);
    signal_word(ready);
    nap(LONG);
    return 0;
}

/* The first put after it finds that out, the next ones are as cheap as ever. */
static void test_killed_owner(void **state)
{
    (void)state;
    ready = common(4096);
    pid_t pid = child_start(own_and_sleep, NULL);
    assert_true(await(ready, 1));
    assert_true(mp__doorbells_any(&q->arrivals));
    child_kill(pid);
    put();
    assert_false(mp__doorbells_any(&q->arrivals));
    for (mp__doorplate *p = mp__load_acquire(&q->arrivals.first); p != NULL; p = p->next)
        assert_int_equal(mp__load_relaxed(&p->name), 0);
    int fd = mp_queue_fileno(q);
    assert_int_equal(mp__load_relaxed(&q->arrivals.count), 2); /* the places are used again */
    assert_int_equal(mp_fileno_release(fd), 0);
    munmap((void *)ready, 4096);
}

/* Of an object that nobody changes, too: places do not become more and more. */
static void test_many_killed_owners(void **state)
{
    (void)state;
    ready = common(4096);
    for (uint32_t i = 1; i <= 40; i++) {
        pid_t pid = child_start(own_and_sleep, NULL);
        assert_true(await(ready, i));
        child_kill(pid);
        assert_in_range(mp__load_relaxed(&q->arrivals.count), 1, 8);
    }
    munmap((void *)ready, 4096);
}

static int without_descriptors(void *arg)
{
    (void)arg;
    struct rlimit none = {3, 3};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0 || !descriptors_are_limited())
        return CANNOT;
    CHECK(mp_queue_put(q, "m", 1, 0) == MP_ESYS(EMFILE));
    CHECK(mp_queue_empty(q));
    CHECK(mp_event_set(e) == MP_ESYS(EMFILE));
    CHECK(mp_event_is_set(e));
    CHECK(mp_queue_fileno(q) == MP_ESYS(EMFILE));
    CHECK(mp_queue_close(q) == MP_ESYS(EMFILE));
    CHECK(mp_queue_put(q, "m", 1, 0) == MP_ECLOSED);
    return 0;
}

/* Who cannot ring says so. */
static void test_no_descriptor_left(void **state)
{
    (void)state;
    int of_q = mp_queue_fileno(q), of_e = mp_event_fileno(e);
    int rc = child_end(child_start(without_descriptors, NULL));
    assert_int_equal(mp_fileno_release(of_q), 0);
    assert_int_equal(mp_fileno_release(of_e), 0);
    if (rc == CANNOT)
        skip();
    assert_int_equal(rc, 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_queue),
        TEST(test_every_look),
        TEST(test_not_empty_at_first),
        TEST(test_event),
        TEST(test_event_of_others),
        TEST(test_set_in_a_handler),
        TEST(test_spurious),
        TEST(test_many_of_one),
        TEST(test_many_unheard),
        TEST(test_freed_before),
        TEST(test_closed_by_the_program),
        TEST(test_fork),
        TEST(test_killed_owner),
        TEST(test_many_killed_owners),
        TEST(test_no_descriptor_left),
    };
    return cmocka_run_group_tests(tests, warm, NULL);
}
