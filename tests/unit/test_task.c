/* SPDX-License-Identifier: MIT */
/* What a task and a worker can ask and say. */
#include "pool/handle.h"
#include "pool/returned.h"
#include "support/pools.h"

#include <math.h>
#include <pthread.h>

/* ---- in the program, and in a process that is no worker ---- */

static int answers_of_a_stranger(void *arg)
{
    (void)arg;
    CHECK(mp_task_return("x", 1) == MP_ESTATE);
    CHECK(mp_task_return(NULL, 0) == MP_ESTATE);
    CHECK(mp_task_return(NULL, 1) == MP_EINVAL);
    CHECK(mp_task_fail(-3, "nothing %d", 1) == -3);
    CHECK(mp_task_fail(3, NULL) == -1);
    CHECK(mp_task_index() == SIZE_MAX);
    CHECK(isinf(mp_task_time_left()) && mp_task_time_left() > 0);
    CHECK(!mp_task_overdue() && !mp_task_canceled());
    CHECK(mp_worker_index() == MP_ESTATE);
    mp_worker_set_data(board);
    CHECK(mp_worker_data() == NULL);
    return 0;
}

static int ask_in_a_child(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    pid_t pid = fork();
    if (pid == 0)
        _exit(answers_of_a_stranger(NULL));
    *(int *)out = child_end(pid);
    return 0;
}

static void outside(void **state)
{
    (void)state;
    int status = -1;
    assert_int_equal(answers_of_a_stranger(NULL), 0);
    mp_pool *pool = make(1);
    assert_int_equal(mp_pool_apply(pool, ask_in_a_child, NULL, 0, &status, sizeof status, LONG), 0);
    assert_int_equal(status, 0);
    assert_int_equal(answers_of_a_stranger(NULL), 0);
    assert_int_equal(finish(pool), 0);
}

/* ---- where ---- */

struct place {
    size_t index;
    int worker, pid;
    void *data;
};

static int tell_place(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(struct place *)out = (struct place){.index = mp_task_index(),
                                          .worker = mp_worker_index(),
                                          .pid = getpid(),
                                          .data = mp_worker_data()};
    return 0;
}

static void indexes(void **state)
{
    (void)state;
    enum { N = 1000 };
    static struct place out[N];
    long in[N];
    mp_pool *pool = make(3);
    assert_int_equal(MP_MAP(pool, tell_place, in, out, N), 0);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(out[i].index, i);
        assert_in_range(out[i].worker, 0, 2);
        for (size_t k = 0; k < i; k++)
            assert_true((out[i].pid == out[k].pid) == (out[i].worker == out[k].worker));
    }
    assert_int_equal(finish(pool), 0);
}

static int a_replacement_has_the_place(const void *in, void *out, void *context)
{
    tell_place(in, out, context);
    return 0;
}

static void replacements(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int pids[3];
    for (int i = 0; i < 3; i++) {
        struct place place;
        assert_int_equal(
            mp_pool_apply(pool, a_replacement_has_the_place, NULL, 0, &place, sizeof place, LONG),
            0);
        assert_int_equal(place.worker, 0);
        assert_int_equal(place.index, 0);
        pids[i] = place.pid;
        kill(place.pid, SIGKILL);
        assert_true(await_death(place.pid));
    }
    assert_true(pids[0] != pids[1] && pids[1] != pids[2]);
    assert_int_equal(finish(pool), 0);
}

/* ---- the worker's data ---- */

static int make_data(void *arg)
{
    (void)arg;
    if (mp_worker_data() != NULL || mp_worker_index() < 0 || mp_task_return("", 0) != MP_ESTATE ||
        mp_task_index() != SIZE_MAX)
        return mp_task_fail(-5, "wrong answers in an initializer");
    int *counter = calloc(1, sizeof *counter);
    mp_worker_set_data(counter);
    return counter == NULL ? -1 : 0;
}

static int count_with_data(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    int *counter = mp_worker_data();
    *(int *)out = ++*counter;
    return 0;
}

static void free_data(void *arg)
{
    (void)arg;
    int *counter = mp_worker_data();
    atomic_fetch_add(&board->flag[0], *counter);
    atomic_fetch_add(&board->flag[1], 1);
    free(counter);
}

static void data_of_workers(void **state)
{
    (void)state;
    enum { N = 500 };
    int in[N], out[N], ones = 0;
    mp_pool *pool;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 2, .initializer = make_data, .finalizer = free_data), 0);
    for (int i = 0; i < N; i++)
        out[i] = 0;
    assert_int_equal(MP_MAP(pool, count_with_data, in, out, N), 0);
    for (int i = 0; i < N; i++)
        ones += out[i] == 1;
    assert_in_range(ones, 1, 2); /* each worker that ran anything began with a new one */
    assert_int_equal(finish(pool), 0);
    assert_int_equal(board->flag[0], N);
    assert_int_equal(board->flag[1], 2);
}

/* ---- results of their own length ---- */

static int return_so_many(const void *in, void *out, void *context)
{
    (void)context;
    size_t length = *(const size_t *)in;
    char *data = malloc(length + 1);
    if (data == NULL)
        return -1;
    memset(data, 'x', length + 1);
    int rc = mp_task_return(data, length + 1); /* the last call wins */
    memset(data, (int)('a' + length % 26), length);
    if (rc == 0)
        rc = mp_task_return(data, length);
    memset(data, 'z', length); /* copied */
    free(data);
    if (length % 7 == 3)
        mp_task_return("not this", 8);
    *(size_t *)out = length;
    return rc < 0 ? rc : length % 7 == 3 ? mp_task_fail(-9, "as said") : 0;
}

/* What stands in the work's list for an item. */
static const mp__returned *find(const mp_result *r, size_t index)
{
    const mp__returned *block = mp__load_acquire(&r->work->returned);
    while (block != NULL && block->index != index)
        block = block->next;
    return block;
}

/* In a round, for their memory; returns how many blocks are in use afterwards. */
static size_t return_many(void)
{
    enum { N = 300 };
    size_t in[N], out[N];
    mp_pool *pool = make(2);
    mp_result *r;
    for (size_t i = 0; i < N; i++)
        in[i] = i * i % 5000;
    assert_int_equal(mp_pool_map_async(pool, &r, return_so_many, in, sizeof *in, sizeof *out, N),
                     0);
    assert_int_equal(mp_result_get(r, out, sizeof out, LONG), MP_ETASK);
    for (size_t i = 0; i < N; i++) {
        const mp__returned *block = find(r, i);
        if (in[i] % 7 == 3) { /* it has failed */
            assert_null(block);
            continue;
        }
        assert_non_null(block);
        assert_int_equal(block->length, in[i]);
        for (size_t k = 0; k < in[i]; k++)
            assert_int_equal(block->data[k], 'a' + (int)(in[i] % 26));
        assert_int_equal(out[i], in[i]);
    }
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_shared_check(NULL), 0);
    mp_shared_usage usage = {.size = sizeof usage};
    assert_int_equal(mp_shared_stats(&usage), 0);
    return usage.blocks;
}

static void results_of_their_own_length(void **state)
{
    (void)state;
    size_t blocks = return_many();
    for (int i = 0; i < 5; i++)
        assert_int_equal(return_many(), blocks);
}

static int return_too_much(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    if (mp_task_return("kept", 4) != 0)
        return -1;
    *(int *)out = mp_task_return("", SIZE_MAX - 8);
    return mp_task_return(NULL, 3) == MP_EINVAL ? 0 : -2;
}

static void no_memory_for_a_result(void **state)
{
    (void)state;
    int rc[2] = {0};
    mp_pool *pool = make(1);
    mp_result *r;
    assert_int_equal(mp_pool_map_async(pool, &r, return_too_much, NULL, 0, sizeof *rc, 2), 0);
    assert_int_equal(mp_result_get(r, rc, sizeof rc, LONG), 0);
    assert_true(rc[0] == MP_ENOMEM && rc[1] == MP_ENOMEM);
    assert_int_equal(find(r, 0)->length, 4);
    assert_int_equal(find(r, 1)->length, 4);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- failures ---- */

static int fail_in_ways(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    switch (*(const int *)in % 5) {
    case 0:
        return -*(const int *)in - 1; /* without a text */
    case 1:
        mp_task_fail(-11, "first");
        return mp_task_fail(-12, "second of %d", *(const int *)in);
    case 2:
        mp_task_fail(-13, "in spite of its result");
        return 0;
    case 3:
        return mp_task_fail(5, NULL);
    default:
        return 1;
    }
}

static void failures_and_their_texts(void **state)
{
    (void)state;
    enum { N = 100 };
    int in[N];
    char text[64];
    static mp_task_error errors[N];
    mp_pool *pool = make(2);
    for (int i = 0; i < N; i++)
        in[i] = i;
    mp_job job = {.size = sizeof job,
                  .task = fail_in_ways,
                  .in = in,
                  .in_size = sizeof *in,
                  .count = N,
                  .errors = errors};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ETASK);
    for (int i = 0; i < N; i++) {
        int codes[] = {-i - 1, -12, -13, -1, 0};
        assert_int_equal(errors[i].code, i % 5 == 4 ? 0 : MP_ETASK);
        assert_int_equal(errors[i].task_code, codes[i % 5]);
        assert_string_equal(errors[i].backtrace, "");
        snprintf(text, sizeof text, "second of %d", i);
        if (i % 5 == 1)
            assert_string_equal(errors[i].text, text);
        if (i % 5 == 2)
            assert_string_equal(errors[i].text, "in spite of its result");
        snprintf(text, sizeof text, "the task returned %d", codes[i % 5]);
        if (i % 5 == 0 || i % 5 == 3)
            assert_string_equal(errors[i].text, text);
    }
    assert_int_equal(finish(pool), 0);
}

/* ---- threads ---- */

static void *ask_in_a_thread(void *arg)
{
    struct place *place = arg;
    place->index = mp_task_index();
    place->worker = mp_worker_index();
    place->data = mp_worker_data();
    place->pid = mp_task_return("x", 1) == MP_ESTATE && mp_task_fail(-4, "not ours") == -4;
    return NULL;
}

static int ask_beside(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    pthread_t thread;
    if (pthread_create(&thread, NULL, ask_in_a_thread, out) != 0)
        return -1;
    return pthread_join(thread, NULL);
}

static void threads_of_a_task(void **state)
{
    (void)state;
    struct place out[20];
    int in[20];
    mp_pool *pool = make(2);
    assert_int_equal(MP_MAP(pool, ask_beside, in, out, 20), 0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(out[i].index, i);
        assert_in_range(out[i].worker, 0, 1);
        assert_int_equal(out[i].pid, 1);
    }
    assert_int_equal(finish(pool), 0);
}

/* A task's own pool: its workers are others, and the task is itself again afterwards. */
static int with_a_pool(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    int inputs[4] = {0, 1, 2, 3};
    struct place places[4];
    mp_pool *pool;
    if (mp_task_return("outer", 5) != 0 || mp_pool_new(&pool, .processes = 1) < 0)
        return -1;
    int rc = MP_MAP(pool, tell_place, inputs, places, 4);
    if (rc == 0)
        rc = finish(pool);
    for (size_t i = 0; i < 4 && rc == 0; i++)
        rc = places[i].index == i && places[i].worker == 0 && places[i].data == NULL ? 0 : -2;
    mp_worker_set_data(out);
    return tell_place(in, out, context) == 0 ? rc : -3;
}

static void nested(void **state)
{
    (void)state;
    struct place places[3];
    int in[3];
    mp_pool *pool = make(3);
    mp_result *r;
    assert_int_equal(mp_pool_map_async(pool, &r, with_a_pool, in, sizeof *in, sizeof *places, 3),
                     0);
    assert_int_equal(mp_result_get(r, places, sizeof places, LONG), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(places[i].index, i);
        assert_non_null(places[i].data);
        assert_int_equal(find(r, i)->length, 5);
    }
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(outside),
        POOL_TEST(indexes),
        POOL_TEST(replacements),
        POOL_TEST(data_of_workers),
        POOL_TEST(results_of_their_own_length),
        POOL_TEST(no_memory_for_a_result),
        POOL_TEST(failures_and_their_texts),
        POOL_TEST(threads_of_a_task),
        POOL_TEST(nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
