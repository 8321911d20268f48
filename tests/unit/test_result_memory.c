/* SPDX-License-Identifier: MIT */
/* What streams, callbacks and chains leave in shared memory: nothing; before that, little. */
#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int reply(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x;
    if (x % 3 == 1)
        return mp_task_fail(-1, "%ld", x);
    return x % 3 == 2 ? mp_task_return(&x, sizeof x) : 0;
}

typedef struct numbers {
    long given, limit;
} numbers;

static int next_number(void *arg, void *in)
{
    numbers *n = arg;
    if (n->given == n->limit)
        return MP_EEOF;
    *(long *)in = n->given++;
    return 0;
}

/* Runs over so many items, and leaves after `most` of them; returns the most memory that there was
 * in use beside them. */
static size_t stream(mp_pool *pool, bool ordered, long count, long most)
{
    numbers n = {0, count};
    mp_imap how = {.size = sizeof how,
                   .task = reply,
                   .next = next_number,
                   .arg = &n,
                   .in_size = sizeof(long),
                   .out_size = sizeof(long)};
    mp_iterator *it;
    size_t bytes = 0;
    long seen = 0;
    assert_int_equal((ordered ? mp_pool_imap : mp_pool_imap_unordered)(pool, &it, &how), 0);
    while (seen < most && mp_iterator_next(it, NULL, NULL, LONG) != MP_EEOF)
        if (++seen % 1000 == 0 && bytes_in_use() > bytes)
            bytes = bytes_in_use();
    mp_iterator_free(it);
    return bytes;
}

static void count(mp_result *r, void *arg)
{
    (void)r;
    ++*(long *)arg;
}

/* Callbacks and chains, waited for or not, of results that are freed early, late or by a call. */
static void follow(mp_pool *pool, int round)
{
    enum { N = 30 };
    mp_result *rs[N], *next[N];
    long ran = 0;
    mp_iterator *it;
    for (long i = 0; i < N; i++) {
        mp_job job = {.size = sizeof job, .task = reply, .out_size = sizeof(long)};
        assert_int_equal(mp_pool_apply_async(pool, &rs[i], reply, &i, sizeof i, sizeof i), 0);
        assert_int_equal(mp_result_add_done_callback(rs[i], count, &ran), 0);
        assert_int_equal(mp_result_add_done_callback(rs[i], count, &ran), 0);
        assert_int_equal(mp_result_then(rs[i], &next[i], &job), 0);
        if (i % 3 == 0)
            mp_result_free(rs[i]);
    }
    assert_int_equal(mp_as_completed(&it, next, N), 0);
    for (int i = 0; i < N / (1 + round % 2); i++)
        mp_iterator_next(it, NULL, NULL, LONG);
    mp_iterator_free(it);
    assert_int_equal(mp_results_wait(next, N, MP_ALL, LONG), N);
    for (int i = 0; i < N; i++) {
        const void *data;
        size_t length;
        mp_result_data(next[i], 0, &data, &length);
        if (i % 3 != 0)
            mp_result_free(rs[i]);
        mp_result_free(next[i]);
    }
    assert_int_equal(ran, 2 * (N - N / 3));
}

static void cycles_leave_nothing(void **state)
{
    (void)state;
    size_t before = 0;
    for (int round = 0; round < 30; round++) {
        mp_pool *pool;
        assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
        follow(pool, round);
        stream(pool, round % 2 == 0, 100, 1000);
        stream(pool, round % 2 == 0, 1000000, 50);
        /* A worker that is killed while its task returns something leaves that. */
        assert_int_equal(mp_pool_close(pool), 0);
        assert_int_equal(mp_pool_join(pool, LONG), 0);
        mp_pool_free(pool);
        if (round == 0)
            before = bytes_in_use();
    }
    assert_int_equal(bytes_in_use(), before);
    assert_int_equal(mp_shared_check(NULL), 0);
}

static int reply_much(const void *in, void *out, void *context)
{
    static char bytes[1 << 20];
    (void)in, (void)out, (void)context;
    return mp_task_return(bytes, sizeof bytes);
}

/* At once, and not when something else is done. */
static void what_was_returned_goes_with_its_result(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    for (int i = 0; i < 3; i++) {
        mp_result *r;
        assert_int_equal(mp_pool_apply_async(pool, &r, reply_much, NULL, 0, 0), 0);
        assert_int_equal(mp_result_wait(r, LONG), 0);
        size_t before = bytes_in_use();
        mp_result_free(r);
        assert_true(bytes_in_use() + (1 << 20) <= before);
    }
    mp_pool_free(pool);
}

static void a_long_stream_needs_no_more_than_a_short_one(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
    for (int ordered = 0; ordered < 2; ordered++) {
        size_t some = stream(pool, ordered, 5000, LONG_MAX);
        size_t many = stream(pool, ordered, fewer(100000), LONG_MAX);
        printf("%zu bytes, then %zu\n", some, many);
        assert_true(many <= some + (128 << 10)); /* all of them would be 30 MB */
    }
    mp_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cycles_leave_nothing),
        cmocka_unit_test(what_was_returned_goes_with_its_result),
        cmocka_unit_test(a_long_stream_needs_no_more_than_a_short_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
