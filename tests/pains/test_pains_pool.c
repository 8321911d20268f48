/* SPDX-License-Identifier: MIT */
/* The pains of Python's Pool (A7, A8, A17, A18, D1, D3, D4, D6), which this library has not. */
#include "pains/crew.h"
#include "pains/trap.h"

/* ---- A7 ---- */

#define EVERY 100 /* one item of so many takes its worker with it */

/* Dies at its first run. */
static int die_somewhere(const void *in, void *out, void *context)
{
    (void)context;
    int i = *(const int *)in;
    if (i % EVERY == 42 && mp__add_seq(&crew->runs[i], 1) == 0)
        raise(SIGKILL);
    *(int *)out = i + 1;
    return 0;
}

static void a_map_with_deaths(mp_pool *pool, int retries)
{
    static int in[ITEMS], out[ITEMS];
    static mp_task_error errors[ITEMS];
    memset((void *)crew, 0, sizeof *crew);
    for (int i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = -1;
    }
    mp_job job = {.size = sizeof job,
                  .task = die_somewhere,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = ITEMS,
                  .retries = retries,
                  .errors = errors};
    assert_int_equal(mp_pool_run(pool, &job, LONG), retries == MP_NO ? MP_ECRASHED : 0);
    for (int i = 0; i < ITEMS; i++) {
        bool lost = retries == MP_NO && i % EVERY == 42;
        assert_int_equal(out[i], lost ? -1 : i + 1);
        assert_int_equal(errors[i].code, lost ? MP_ECRASHED : 0);
        assert_true(!lost || (errors[i].signal == SIGKILL && errors[i].index == (size_t)i &&
                              errors[i].worker > 0 && errors[i].text[0] != '\0'));
    }
}

static void a7_the_item_of_a_killed_worker_is_told(void **state)
{
    (void)state;
    mp_task_error error;
    mp_pool *pool = crew_pool(2);
    mp_result *r = held(pool, 0);
    pid_t pid = (pid_t)crew->pid[0];
    kill(pid, SIGKILL);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ECRASHED);
    assert_int_equal(mp_result_error(r, &error), 1);
    assert_true(error.worker == pid && error.signal == SIGKILL && error.index == 0);
    mp_result_free(r);
    assert_true(works(pool));
    a_map_with_deaths(pool, MP_NO);
    a_map_with_deaths(pool, 1);
    assert_int_equal(finish(pool), 0);
    ours("A7",
         "the item of a killed worker: MP_ECRASHED, with its index, signal and worker; the other "
         "%d of %d are right, with .retries all; close and join end",
         ITEMS - ITEMS / EVERY, ITEMS);
}

/* ---- A8 ---- */

enum way { EXIT, EXIT_0, UNDERSCORE, QUICK, PTHREAD, EXEC, WAYS };

static int leave(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    switch (*(const enum way *)in) {
    case EXIT:
        exit(3);
    case EXIT_0:
        exit(0);
    case UNDERSCORE:
        _exit(3);
    case QUICK:
        quick_exit(3);
    case PTHREAD:
#ifndef __SANITIZE_THREAD__ /* has another thread, which stays */
        pthread_exit(NULL);
#endif
    case EXEC:
        execl("/bin/true", "true", (char *)NULL);
    case WAYS:
        break;
    }
    return 0;
}

static void a8_a_task_that_exits_is_told(void **state)
{
    (void)state;
    static const int status[WAYS] = {[EXIT] = 3, [UNDERSCORE] = 3, [QUICK] = 3};
    mp_pool *pool = crew_pool(1);
    for (enum way way = 0; way < WAYS; way++) {
        mp_task_error error;
        mp_result *r;
        assert_int_equal(mp_pool_apply_async(pool, &r, leave, &way, sizeof way, 0), 0);
        assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ECRASHED);
        assert_int_equal(mp_result_error(r, &error), 1);
        assert_true(error.signal == 0 && error.exit_status == status[way]);
        mp_result_free(r);
        assert_true(works(pool));
    }
    assert_int_equal(finish(pool), 0);
    ours("A8", "exit(3), exit(0), _exit, quick_exit, pthread_exit, exec in a task: MP_ECRASHED, "
               "with the exit status");
}

/* ---- A17 ---- */

#define CREW 4

static void a17_an_idle_worker_is_missed_by_nobody(void **state)
{
    (void)state;
    mp_pool *pool = crew_pool(CREW);
    pid_t pids[CREW];
    int kills = 0;
    for (int round = 0; round < fewer(40); round++) {
        assert_int_equal(who_works(pool, pids, CREW), 0);
        for (int i = 0; i < CREW; i++)
            until_asleep(pids[i]);
        /* One by one, and in each tenth round all. */
        for (int i = 0; i < CREW; i++)
            if (i == round % CREW || round % 10 == 9) {
                assert_int_equal(kill(pids[i], SIGKILL), 0);
                kills++;
            }
        for (int i = 0; i < 2 * CREW; i++)
            assert_true(works(pool));
    }
    assert_int_equal(finish(pool), 0);
    ours("A17",
         "an idle worker of %d is killed, whichever, or all: the next tasks run, and all "
         "workers are there again",
         CREW);
    assert_true(kills > 0);
}

/* ---- A18 ---- */

#define BIG ((size_t)8 << 20)

/* Half of its output is there when it says so; the other half never comes. */
static int stay_in_the_middle(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    memset(out, 'h', BIG / 2);
    mp__store_seq(&crew->pid[0], (uint32_t)getpid());
    pause();
    return -1;
}

/* It is stopped while its result is copied. */
static int return_from_a_trap(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    char *bytes = trap_new(BIG, 'r');
    mp__store_seq(&crew->pid[0], (uint32_t)getpid());
    return bytes == NULL ? -1 : mp_task_return(bytes, BIG);
}

static int fill(const void *in, void *out, void *context)
{
    (void)context;
    memset(out, *(const char *)in, BIG);
    return 0;
}

/* While it stands there, and after its death, results of others arrive, small and big. */
static void results_arrive(mp_pool *pool, char *bytes)
{
    for (int i = 0; i < 20; i++)
        assert_true(works(pool));
    assert_int_equal(mp_pool_apply(pool, fill, "f", 1, bytes, BIG, LONG), 0);
    assert_true(bytes[0] == 'f' && memcmp(bytes, bytes + 1, BIG - 1) == 0);
}

static void goes_on(mp_result *r, pid_t pid)
{
    const void *data;
    size_t length;
    kill(pid, SIGCONT);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    assert_int_equal(mp_result_data(r, 0, &data, &length), 0);
    assert_int_equal(length, BIG);
    assert_true(*(const char *)data == 'r' && memcmp(data, (const char *)data + 1, BIG - 1) == 0);
    mp_result_free(r);
}

static void a18_a_worker_killed_in_its_result_is_in_nobodys_way(void **state)
{
    (void)state;
    mp_pool *pool = crew_pool(2);
    char *half = malloc(BIG), *bytes = malloc(BIG);
    assert_true(half != NULL && bytes != NULL);
    int rounds = fewer(10);
    for (int round = 0; round < rounds; round++) {
        mp_result *r;
        bool trap = round % 5 == 4; /* what its copy has taken stays taken */
        mp__store_seq(&crew->pid[0], 0);
        memset(half, 'u', BIG);
        mp_task give = trap ? return_from_a_trap : stay_in_the_middle;
        assert_int_equal(mp_pool_apply_async(pool, &r, give, NULL, 0, BIG), 0);
        assert_true(await(&crew->pid[0], 1));
        if (trap)
            assert_true(until_state((pid_t)crew->pid[0], "T"));
        results_arrive(pool, bytes);
        if (round == 9) { /* or it goes on */
            goes_on(r, (pid_t)crew->pid[0]);
            break;
        }
        kill((pid_t)crew->pid[0], SIGKILL);
        assert_int_equal(mp_result_get(r, half, BIG, LONG), MP_ECRASHED);
        assert_true(half[0] == 'u' && memcmp(half, half + 1, BIG - 1) == 0);
        mp_result_free(r);
        results_arrive(pool, bytes);
    }
    free(half);
    free(bytes);
    assert_int_equal(finish(pool), 0);
    ours("A18",
         "a worker is killed in the middle of a result of %zu MiB: MP_ECRASHED, nothing of it is "
         "delivered; all other results arrive, before and after",
         BIG >> 20);
}

/* ---- D1 ---- */

enum { FAILS, EXITS, KILLED };

static int initialize_badly(void *arg)
{
    signal_word(&crew->began);
    switch ((int)(intptr_t)arg) {
    case EXITS:
        exit(3);
    case KILLED:
        raise(SIGKILL);
    }
    return mp_task_fail(-1, "bad initializer");
}

static void d1_a_failing_initializer_fails_the_pool(void **state)
{
    (void)state;
    enum { MOST = 2 + 2 * 3 }; /* two workers, and some tries */
    for (int how = FAILS; how <= KILLED; how++) {
        mp_pool *pool;
        mp_task_error error;
        long x = 1;
        mp__store_seq(&crew->began, 0);
        assert_int_equal(mp_pool_new(&pool, .processes = 2, .initializer = initialize_badly,
                                     .initializer_arg = (void *)(intptr_t)how),
                         0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(mp_pool_apply(pool, square, &x, sizeof x, &x, sizeof x, LONG),
                             MP_ETASK);
            assert_int_equal(mp_last_task_error(&error), 1);
            const char *text = how == FAILS ? "bad initializer" : "die before they are ready";
            assert_non_null(strstr(error.text, text));
        }
        assert_int_equal(mp_pool_join(pool, LONG), 0);
        mp_pool_free(pool);
        assert_in_range(mp__load_seq(&crew->began), 1, MOST);
    }
    ours("D1",
         "an initializer that fails, exits or is killed: %d workers started at most, all work is "
         "MP_ETASK, and says why",
         MOST);
}

/* ---- D3 ---- */

/* Codes and texts of every kind; one that exists in the worker alone. */
static int fail_badly(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    char text[1000];
    switch (*(const int *)in) {
    case 0:
        for (int i = 0; i < 255; i++)
            text[i] = (char)(i + 1);
        text[255] = '\0';
        return mp_task_fail(-2, "%s", text);
    case 1:
        memset(text, 'x', sizeof text);
        return mp_task_fail(-3, "%.*s", (int)sizeof text, text);
    case 2:
        return mp_task_fail(INT_MIN, "%s", "");
    case 3:
        return mp_task_fail(7, NULL);
    }
    return -9;
}

static void d3_every_error_arrives(void **state)
{
    (void)state;
    static const int codes[] = {-2, -3, INT_MIN, -1, -9};
    static const size_t lengths[] = {255, 255, 0, 0, 0}; /* 0: the library's own sentence */
    mp_pool *pool = crew_pool(1);
    for (int i = 0; i < 5; i++) {
        mp_task_error error;
        assert_int_equal(mp_pool_apply(pool, fail_badly, &i, sizeof i, NULL, 0, LONG), MP_ETASK);
        assert_int_equal(mp_last_task_error(&error), 1);
        assert_int_equal(error.task_code, codes[i]);
        assert_true(lengths[i] == 0 ? error.text[0] != '\0' : strlen(error.text) == lengths[i]);
        for (int c = 0; i == 0 && c < 255; c++)
            assert_int_equal(error.text[c], (char)(c + 1));
        assert_true(works(pool));
    }
    assert_int_equal(finish(pool), 0);
    ours("D3", "an error is a code and a text of any bytes: 5 of 5 arrive, and so does each next "
               "result");
}

/* ---- D4 ---- */

static int get_it(void *arg)
{
    signal_word(&notes->ready);
    return mp_result_get(arg, NULL, 0, LONG);
}

static void d4_terminate_settles_what_is_outstanding(void **state)
{
    (void)state;
    enum { WAITING = 100 };
    mp_pool *pool = crew_pool(2);
    mp_result *r[WAITING + 2];
    task getter;
    for (int i = 0; i < 2; i++)
        r[i] = held(pool, i);
    for (int i = 2, item = 0; i < WAITING + 2; i++)
        assert_int_equal(mp_pool_apply_async(pool, &r[i], count_run, &item, sizeof item, 0), 0);
    assert_int_equal(task_start(&getter, get_it, r[0]), 0);
    assert_true(await(&notes->ready, 1));
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(task_end(&getter), MP_ECANCELED);
    for (int i = 1; i < WAITING + 2; i++) {
        assert_true(mp_result_ready(r[i]));
        assert_int_equal(mp_result_get(r[i], NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    }
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(state_of((pid_t)crew->pid[i]), 0);
    assert_int_equal(mp__load_seq(&crew->runs[0]), 0);
    for (int i = 0; i < WAITING + 2; i++)
        mp_result_free(r[i]);
    mp_pool_free(pool);
    ours("D4",
         "after mp_pool_terminate %d of %d outstanding results are MP_ECANCELED at a try, running "
         "or not; who waits for one has that at once",
         WAITING + 2, WAITING + 2);
}

/* ---- D6 ---- */

static void chunks_of(mp_pool *pool, size_t chunksize, size_t count)
{
    static int in[ITEMS];
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    memset((void *)crew, 0, sizeof *crew);
    mp_job job = {.size = sizeof job,
                  .task = count_run,
                  .in = in,
                  .in_size = sizeof *in,
                  .count = count,
                  .chunksize = chunksize};
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(mp__load_seq(&crew->runs[i]), i < count);
}

static void d6_no_chunk_size_loses_an_item(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0,          1,          2,     3,     ITEMS - 1, ITEMS,        ITEMS + 1,      INT_MAX,
        (size_t)-1, (size_t)-2, 65535, 65536, SIZE_MAX,  SIZE_MAX / 2, (size_t)1 << 40};
    static const size_t counts[] = {0, 1, 2, ITEMS - 1, ITEMS};
    enum { SIZES = sizeof sizes / sizeof *sizes, COUNTS = sizeof counts / sizeof *counts };
    mp_pool *pool = crew_pool(2);
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < COUNTS; k++)
            chunks_of(pool, sizes[i], counts[k]);
    /* What cannot be is told: more bytes than there are. */
    static char item[8];
    memset((void *)crew, 0, sizeof *crew);
    assert_int_equal(mp_pool_map(pool, count_run, item, 8, NULL, 0, SIZE_MAX), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, count_run, item, 8, NULL, 0, SIZE_MAX / 8 + 1), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, count_run, item, SIZE_MAX, NULL, 0, 2), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, count_run, NULL, 0, item, SIZE_MAX / 2 + 1, 2), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, count_run, NULL, 0, NULL, 0, SIZE_MAX), MP_EINVAL);
    assert_int_equal(mp__load_seq(&crew->runs[0]), 0);
    assert_int_equal(finish(pool), 0);
    ours("D6",
         ".chunksize 0 is \"chosen\", (size_t)-1 is \"all\": each item runs once in %d of %d "
         "maps; sizes that overflow are MP_EINVAL",
         SIZES * COUNTS, SIZES * COUNTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CREW_TEST(a7_the_item_of_a_killed_worker_is_told),
        CREW_TEST(a8_a_task_that_exits_is_told),
        CREW_TEST(a17_an_idle_worker_is_missed_by_nobody),
        CREW_TEST(a18_a_worker_killed_in_its_result_is_in_nobodys_way),
        CREW_TEST(d1_a_failing_initializer_fails_the_pool),
        CREW_TEST(d3_every_error_arrives),
        CREW_TEST(d4_terminate_settles_what_is_outstanding),
        CREW_TEST(d6_no_chunk_size_loses_an_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
