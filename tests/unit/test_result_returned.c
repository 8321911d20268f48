/* SPDX-License-Identifier: MIT */
/* What tasks give to mp_task_return(), and the ways by which it comes to the program. */
#include "support/pools.h"

static int spell(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    if (out != NULL)
        *(long *)out = x;
    if (x % 5 == 4)
        return mp_task_fail(-1, "no");
    char text[8] = "first";
    if (x % 5 == 3) /* the last one counts */
        return mp_task_return(text, 5) < 0 ? -1 : mp_task_return("last", 4);
    return x % 5 == 0 ? 0 : mp_task_return(text, (size_t)(x % 5));
}

static void data_of_each_item(void **state)
{
    (void)state;
    enum { N = 200 };
    mp_pool *pool = make(2);
    long in[N];
    count_up(in, N);
    mp_result *r, *gate[2] = {hold(pool, 1), hold(pool, 1)};
    const void *data;
    size_t length;
    assert_int_equal(mp_pool_map_async(pool, &r, spell, in, sizeof *in, sizeof *in, N), 0);
    assert_int_equal(mp_result_data(r, 0, &data, &length), MP_ESTATE);
    release(1);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    for (size_t i = 0; i < N; i++) {
        int rc = mp_result_data(r, i, &data, &length);
        assert_int_equal(rc, i % 5 == 4 ? MP_ETASK : 0);
        if (i % 5 == 0)
            assert_true(length == sizeof(long) && *(const long *)data == (long)i);
        else if (i % 5 == 3)
            assert_true(length == 4 && memcmp(data, "last", 4) == 0);
        else if (rc == 0)
            assert_true(length == i % 5 && memcmp(data, "first", length) == 0);
        else
            assert_true(length == 0 && data == NULL);
    }
    assert_int_equal(mp_result_data(r, N, &data, &length), MP_EINVAL);
    assert_int_equal(mp_result_data(NULL, 0, &data, &length), MP_EINVAL);
    assert_int_equal(mp_result_data(r, 0, NULL, &length), MP_EINVAL);
    assert_int_equal(mp_result_data(r, 0, &data, NULL), MP_EINVAL);
    mp_result_free(r);
    mp_result_free(gate[0]);
    mp_result_free(gate[1]);
    assert_int_equal(finish(pool), 0);
}

/* Of a single item get delivers what was returned. */
static void get_delivers_what_was_returned(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r;
    const void *data;
    size_t length;
    char out[8] = "xxxxxxx";
    assert_int_equal(mp_pool_apply_async(pool, &r, spell, &(long){3}, 8, 0), 0);
    assert_int_equal(mp_result_get(r, out, 3, LONG), MP_EMSGSIZE);
    assert_string_equal(out, "xxxxxxx");
    assert_int_equal(mp_result_data(r, 0, &data, &length), 0);
    assert_int_equal(length, 4);
    assert_int_equal(mp_result_get(r, out, sizeof out, 0), 0);
    assert_string_equal(out, "lastxxx");
    assert_int_equal(mp_result_get(r, NULL, 0, 0), 0);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- the job's own output ---- */

static int reply(const void *in, void *out, void *context)
{
    size_t length = *(const size_t *)in;
    char text[20];
    (void)out;
    memset(text, 'r', sizeof text);
    int rc = mp_task_return(text, length);
    return rc == 0 && context != NULL ? mp_task_fail(-1, "on purpose") : rc;
}

enum { ROOM = 8 };

static int by_apply(mp_pool *pool, const mp_job *job)
{
    return mp_pool_apply(pool, job->task, job->in, job->in_size, job->out, job->out_size, LONG);
}

static int by_run(mp_pool *pool, const mp_job *job)
{
    return mp_pool_run(pool, job, LONG);
}

static int by_wait(mp_pool *pool, const mp_job *job)
{
    mp_result *r;
    char all[20];
    assert_int_equal(mp_pool_submit(pool, &r, job), 0);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    int rc = mp_result_get(r, NULL, 0, 0);
    if (rc == MP_EMSGSIZE) /* they are there all the same */
        assert_int_equal(mp_result_get(r, all, sizeof all, 0), 0);
    mp_result_free(r);
    return rc;
}

static void it_comes_where_output_does(void **state)
{
    (void)state;
    static int (*const ways[])(mp_pool *, const mp_job *) = {by_apply, by_run, by_wait};
    static const size_t lengths[] = {0, 3, ROOM, ROOM + 1, 20};
    mp_pool *pool = make(1);
    char private[ROOM + 1], *shared = MP_ARRAY(char, ROOM + 1), none[ROOM];
    memset(none, '.', sizeof none);
    for (int i = 0; i < 3 * 5 * 2; i++) {
        size_t length = lengths[i / 2 % 5];
        char *out = i % 2 == 0 ? private : shared;
        mp_job job = {.size = sizeof job,
                      .task = reply,
                      .in = &length,
                      .in_size = sizeof length,
                      .out = out,
                      .out_size = ROOM,
                      .count = 1};
        memset(out, '.', ROOM);
        assert_int_equal(ways[i / 10](pool, &job), length > ROOM ? MP_EMSGSIZE : 0);
        size_t given = length > ROOM ? 0 : length;
        for (size_t k = 0; k < given; k++)
            assert_int_equal(out[k], 'r');
        assert_memory_equal(out + given, none, ROOM - given);
        if (i / 10 == 0)
            continue; /* apply has no context */
        memset(out, '.', ROOM);
        job.context = pool;
        assert_int_equal(ways[i / 10](pool, &job), MP_ETASK);
        assert_memory_equal(out, none, ROOM);
    }
    mp_shared_free(shared);
    assert_int_equal(finish(pool), 0);
}

static int both(const void *in, void *out, void *context)
{
    (void)context;
    *(long *)out = *(const long *)in;
    return mp_task_return("other", 5);
}

/* Of many items the outputs are what the tasks wrote, the last part of a large job included. */
static void maps_deliver_outputs(void **state)
{
    (void)state;
    enum { N = 4 * 8192 + 1 };
    mp_pool *pool = make(2);
    long *in = malloc(N * sizeof *in), *out = calloc(N, sizeof *out);
    count_up(in, N);
    assert_int_equal(mp_pool_map(pool, both, in, sizeof *in, out, sizeof *out, N), 0);
    assert_memory_equal(in, out, N * sizeof *in);
    free(in);
    free(out);
    assert_int_equal(finish(pool), 0);
}

static int first_byte(const void *in, void *out, void *context)
{
    (void)context;
    *(char *)out = *(const char *)in;
    return 0;
}

/* A chained job that uses that output in place sees it there. */
static void chained_in_place(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    char *shared = MP_ARRAY(char, ROOM), byte = 0;
    mp_result *a, *b;
    size_t length = 3;
    mp_job job = {.size = sizeof job,
                  .task = reply,
                  .in = &length,
                  .in_size = sizeof length,
                  .out = shared,
                  .out_size = ROOM,
                  .count = 1};
    mp_job next = {.size = sizeof next, .task = first_byte, .out_size = 1};
    assert_int_equal(mp_pool_submit(pool, &a, &job), 0);
    assert_int_equal(mp_result_then(a, &b, &next), 0);
    mp_result_free(a);
    assert_int_equal(mp_result_get(b, &byte, 1, LONG), 0);
    assert_int_equal(byte, 'r');
    mp_result_free(b);
    mp_shared_free(shared);
    assert_int_equal(finish(pool), 0);
}

static void no_items_at_all(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r;
    long out = 5;
    assert_int_equal(mp_pool_map_async(pool, &r, square, NULL, sizeof out, sizeof out, 0), 0);
    assert_int_equal(mp_result_get(r, &out, sizeof out, 0), 0);
    assert_int_equal(out, 5);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- what is not the job's any more ---- */

typedef struct early {
    mp_result *result;
    int out;
} early;

static void free_another(mp_result *r, void *arg)
{
    early *e = arg;
    (void)r;
    mp_result_free(e->result);
    e->out = -7; /* ours again */
    release(1);
}

static void a_freed_result_fills_nothing(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    early e = {.out = 0};
    int one = 1;
    mp_result *r;
    mp_job job = {.size = sizeof job,
                  .task = held,
                  .in = &one,
                  .in_size = sizeof one,
                  .out = &e.out,
                  .out_size = sizeof one,
                  .count = 1};
    mp_job other = {.size = sizeof other,
                    .task = nothing,
                    .count = 1,
                    .callback = free_another,
                    .callback_arg = &e};
    assert_int_equal(mp_pool_submit(pool, &e.result, &job), 0);
    assert_int_equal(mp_pool_submit(pool, &r, &other), 0);
    assert_int_equal(mp_result_wait(e.result, LONG), 0); /* a wait goes on */
    assert_int_equal(e.out, -7);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

static void free_it(mp_result *r, void *arg)
{
    ++*(int *)arg;
    mp_result_free(r);
}

static void run_lets_its_callback_free_the_result(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    int called = 0;
    mp_job job = {.size = sizeof job,
                  .task = nothing,
                  .count = 1,
                  .callback = free_it,
                  .callback_arg = &called};
    for (int i = 0; i < 100; i++)
        assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(called, 100);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(data_of_each_item),
        POOL_TEST(get_delivers_what_was_returned),
        POOL_TEST(it_comes_where_output_does),
        POOL_TEST(maps_deliver_outputs),
        POOL_TEST(chained_in_place),
        POOL_TEST(no_items_at_all),
        POOL_TEST(a_freed_result_fills_nothing),
        POOL_TEST(run_lets_its_callback_free_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
