/* SPDX-License-Identifier: MIT */
/* Waiting for results among other things: mp_wait(), and descriptors for event loops. */
#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/pool.h>
#include <mproc/wait.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static word *words; /* of children that must not run on */

static int begin(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : mp_queue_new(&q);
}

static int finish(void **state)
{
    (void)state;
    mp_queue_free(q);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static mp_waitable on(int kind, void *object, int events)
{
    return (mp_waitable){.kind = kind, .object = object, .events = events, .revents = 77};
}

enum { GO, WORKERS, WORKER, SUPERVISOR = WORKER + 2, WORDS };

static int wait_for_go(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    word *w = context;
    mp__store_relaxed(&w[SUPERVISOR], (uint32_t)getppid());
    uint32_t mine = mp__add_seq(&w[WORKERS], 1);
    if (mine < 2)
        mp__store_seq(&w[WORKER + mine], (uint32_t)getpid());
    await(&w[GO], 1);
    return 0;
}

static int submit(mp_pool *pool, mp_result **r)
{
    mp_job job = {.size = sizeof job, .task = wait_for_go, .context = (void *)words, .count = 1};
    return mp_pool_submit(pool, r, &job);
}

static bool is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static bool becomes_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, (int)(LONG * 1000)) == 1;
}

static void test_result(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r[2];
    assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(submit(pool, &r[i]), 0);
    mp_waitable items[] = {on(MP_WAIT_RESULT, r[0], 0), on(MP_WAIT_QUEUE, q, 0),
                           on(MP_WAIT_RESULT, r[1], MP_READ)};
    int fd = mp_result_fileno(r[0]);
    assert_true(fd > 2);
    assert_int_equal(
        mp_wait(&(mp_waitable){.kind = MP_WAIT_RESULT, .object = r[0], .events = MP_WRITE}, 1, 0),
        MP_EINVAL);
    assert_int_equal(mp_wait(items, 3, 0.02), 0);
    assert_false(is_ready(fd));
    assert_false(mp_result_ready(r[0]));
    assert_int_equal(mp_result_wait(r[0], 0), MP_ETIMEDOUT);
    signal_word(&words[GO]);
    assert_true(becomes_ready(fd));
    for (int i = 0; i < 3; i++)
        while (mp_wait(items, 3, LONG) != 2)
            continue;
    assert_int_equal(items[1].revents, 0);
    assert_true(is_ready(fd));
    assert_true(mp_result_ready(r[0]));
    assert_true(is_ready(fd));
    int late = mp_result_fileno(r[1]); /* it is done already */
    assert_true(is_ready(late));
    assert_int_equal(mp_fileno_release(late), 0);
    mp_result_free(r[0]);
    assert_int_equal(mp_fileno_release(fd), 0);
    mp_result_free(r[1]);
    mp_pool_free(pool);
}

/* The workers that settle it die, and so does the supervisor. */
static void test_result_of_the_dead(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r[2];
    for (int supervisor = 0; supervisor < 2; supervisor++) {
        assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(submit(pool, &r[i]), 0);
        int fd = mp_result_fileno(r[0]);
        assert_false(is_ready(fd));
        assert_true(await(&words[WORKER], 1) && await(&words[WORKER + 1], 1));
        if (supervisor) {
            kill((pid_t)words[SUPERVISOR], SIGKILL);
        } else {
            kill((pid_t)words[WORKER], SIGKILL);
            kill((pid_t)words[WORKER + 1], SIGKILL);
        }
        for (bool done = false; !done; done = mp_result_ready(r[0]))
            assert_true(becomes_ready(fd));
        mp_waitable item = on(MP_WAIT_RESULT, r[1], 0);
        assert_int_equal(mp_wait(&item, 1, LONG), 1);
        if (supervisor)
            assert_int_equal(mp_result_wait(r[0], 0), 0);
        assert_int_equal(mp_fileno_release(fd), 0);
        mp_result_free(r[0]);
        mp_result_free(r[1]);
        mp_pool_terminate(pool);
        mp_pool_free(pool);
        memset((void *)words, 0, 4096);
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {TEST(test_result), TEST(test_result_of_the_dead)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
