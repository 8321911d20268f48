/* SPDX-License-Identifier: MIT */
/* Ends of pools while somebody uses them: threads that submit or wait, programs that exit from a
 * thread or a handler, forked children that stay. */
#include "support/pools.h"

#include <pthread.h>

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; /* without SA_RESTART */
    sigaction(number, &action, NULL);
}

/* ---- threads ---- */

enum { ITEMS = 50 };

struct mapper {
    mp_pool *pool;
    pthread_t thread;
    bool by_force;
    int good, canceled, wrong;
};

/* Maps until the pool takes no more work. */
static void *map_on(void *arg)
{
    struct mapper *m = arg;
    long in[ITEMS], out[ITEMS];
    count_up(in, ITEMS);
    for (;;) {
        memset(out, 0xff, sizeof out);
        int rc = MP_MAP(m->pool, square, in, out, ITEMS);
        if (rc == MP_ESTATE)
            return NULL;
        for (long i = 0; i < ITEMS && rc == 0; i++)
            m->wrong += out[i] != i * i;
        m->good += rc == 0;
        m->canceled += rc == MP_ECANCELED;
        m->wrong += rc != 0 && !(m->by_force && rc == MP_ECANCELED);
        atomic_fetch_add(&board->flag[0], 1);
    }
}

static void end_amid_threads(bool by_force)
{
    enum { THREADS = 4 };
    struct mapper mappers[THREADS];
    mp_pool *pool = make(2);
    atomic_store(&board->flag[0], 0);
    for (int i = 0; i < THREADS; i++) {
        mappers[i] = (struct mapper){.pool = pool, .by_force = by_force};
        assert_int_equal(pthread_create(&mappers[i].thread, NULL, map_on, &mappers[i]), 0);
    }
    double end = seconds() + LONG;
    while (board->flag[0] < 20 && seconds() < end)
        nap(0.0005);
    assert_int_equal(by_force ? mp_pool_terminate(pool) : mp_pool_close(pool), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(mappers[i].thread, NULL), 0);
        assert_int_equal(mappers[i].wrong, 0);
        assert_in_range(mappers[i].canceled, 0, 1);
    }
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_pool_free(pool);
}

static void a_pool_is_closed_amid_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        end_amid_threads(false);
}

static void a_pool_is_terminated_amid_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        end_amid_threads(true);
}

/* ---- signals ---- */

static void note_signal(int number)
{
    (void)number;
    atomic_fetch_add(&board->flag[6], 1);
    if (board->flag[6] == 5)
        release(1);
}

/* A handler that returns does not end a wait, nor does it lengthen it. */
static void a_wait_goes_on_after_a_handler(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r;
    int i = 1, out = 0;
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &i, sizeof i, sizeof i), 0);
    assert_true(await(&board->pid[1]));
    atomic_store(&board->flag[6], 100);
    set_handler(SIGALRM, note_signal);
    ualarm(10000, 10000);
    double begin = seconds();
    assert_int_equal(mp_result_wait(r, 0.1), MP_ETIMEDOUT);
    assert_true(seconds() - begin >= 0.1);
    assert_true(board->flag[6] > 100);
    atomic_store(&board->flag[6], 0); /* the fifth lets it end */
    assert_int_equal(mp_result_get(r, &out, sizeof out, LONG), 0);
    assert_true(out == 1 && board->flag[6] >= 5);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    ualarm(0, 0);
    signal(SIGALRM, SIG_DFL);
    mp_result_free(r);
    mp_pool_free(pool);
}

/* ---- programs ---- */

/* Two busy workers; the supervisor in place 2. */
static int occupy(mp_pool **pool)
{
    mp_result *r;
    CHECK(mp_pool_new(pool, .processes = 2) == 0);
    atomic_store(&board->pid[2], supervisor_of(*pool));
    for (int i = 0; i < 2; i++) {
        CHECK(mp_pool_apply_async(*pool, &r, held, &i, sizeof i, 0) == 0);
        CHECK(await(&board->pid[i]));
    }
    return 0;
}

static void *exit_here(void *arg)
{
    nap(0.01); /* the other is in its call by then, mostly; or comes to it later */
    exit((int)(intptr_t)arg);
}

static int exit_in_a_thread(void *arg)
{
    (void)arg;
    mp_pool *pool;
    pthread_t thread;
    CHECK(occupy(&pool) == 0);
    CHECK(pthread_create(&thread, NULL, exit_here, SLOT(9)) == 0);
    int rc = mp_pool_map(pool, nothing, NULL, 0, NULL, 0, 10);
    CHECK(rc == MP_ECANCELED || rc == MP_ESTATE);
    for (;;)
        pause();
}

static mp_pool *left_open;

static void use_it_at_exit(void)
{
    long x = 3, y = 0;
    int rc = mp_pool_apply(left_open, square, &x, sizeof x, &y, sizeof y, LONG);
    atomic_fetch_add(&board->flag[(rc == 0 && y == 9) || rc == MP_ESTATE ? 6 : 7], 1);
}

/* One handler from before the pool, and one from after. */
static int use_in_handlers(void *arg)
{
    (void)arg;
    CHECK(atexit(use_it_at_exit) == 0);
    CHECK(mp_pool_new(&left_open, .processes = 2) == 0);
    CHECK(atexit(use_it_at_exit) == 0);
    exit(9);
}

/* Its child, which knows nothing of the pool, stays. */
static int fork_and_be_killed(void *arg)
{
    (void)arg;
    mp_pool *pool;
    CHECK(occupy(&pool) == 0);
    if (fork() == 0)
        _exit(live_on(SLOT(3)));
    CHECK(await(&board->pid[3]));
    atomic_store(&board->flag[7], 1);
    return live_on(SLOT(4));
}

static void a_thread_exits_while_another_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        memset(board, 0, sizeof *board);
        assert_int_equal(child_end(child_start(exit_in_a_thread, NULL)), 9);
        assert_true(no_children_left());
    }
}

static void exit_handlers_meet_an_open_pool(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(use_in_handlers, NULL)), 9);
    assert_int_equal(board->flag[6], 2);
    assert_int_equal(board->flag[7], 0);
    assert_true(no_children_left());
}

static void a_forked_child_does_not_keep_a_pool(void **state)
{
    (void)state;
    pid_t program = child_start(fork_and_be_killed, NULL);
    assert_true(await(&board->flag[7]));
    assert_int_equal(child_kill(program), -SIGKILL);
    for (int i = 0; i < 3; i++)
        assert_true(await_death(board->pid[i]));
    assert_int_not_equal(state_of(board->pid[3]), 0); /* it is ours now */
    assert_int_equal(child_kill(board->pid[3]), -SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_pool_is_closed_amid_threads),   POOL_TEST(a_pool_is_terminated_amid_threads),
        POOL_TEST(a_wait_goes_on_after_a_handler),  POOL_TEST(a_thread_exits_while_another_waits),
        POOL_TEST(exit_handlers_meet_an_open_pool), POOL_TEST(a_forked_child_does_not_keep_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
