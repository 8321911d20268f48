/* SPDX-License-Identifier: MIT */
/* Many results: waiting for all, the first, the first failure; taking them as they come. */
#include "support/pools.h"

#include <math.h>

static int refuse(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return mp_task_fail(-3, "no");
}

static mp_result *failing(mp_pool *pool)
{
    mp_result *r;
    assert_int_equal(mp_pool_apply_async(pool, &r, refuse, NULL, 0, 0), 0);
    return r;
}

/* Releases the board's slot after a moment, from another process. */
static pid_t release_later(int i)
{
    pid_t pid = fork();
    if (pid == 0) {
        nap(0.02);
        release(i);
        _exit(0);
    }
    return pid;
}

static void all_the_first_and_the_first_error(void **state)
{
    (void)state;
    mp_pool *pool = make(3);
    mp_result *rs[4] = {hold(pool, 1), hold(pool, 2), hold(pool, 3), NULL};
    assert_int_equal(mp_results_wait(rs, 3, MP_ALL, MP_NO_WAIT), MP_ETIMEDOUT);
    assert_int_equal(mp_results_wait(rs, 3, MP_FIRST_DONE, 0.02), MP_ETIMEDOUT);
    assert_int_equal(mp_results_wait(rs, 3, MP_FIRST_ERROR, 0.02), MP_ETIMEDOUT);
    pid_t child = release_later(2);
    assert_int_equal(mp_results_wait(rs, 3, MP_FIRST_DONE, LONG), 1);
    assert_true(mp_result_ready(rs[1]) && !mp_result_ready(rs[0]));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(mp_results_wait(rs, 3, MP_FIRST_DONE, 0), 1); /* level, not edge */
    assert_int_equal(mp_results_wait(rs, 3, MP_FIRST_ERROR, 0.02), MP_ETIMEDOUT);
    assert_int_equal(mp_results_wait(rs, 3, MP_ALL, 0.02), MP_ETIMEDOUT);
    rs[3] = failing(pool);
    assert_int_equal(mp_results_wait(rs, 4, MP_FIRST_ERROR, LONG), 2);
    child = release_later(1);
    release(3);
    assert_int_equal(mp_results_wait(rs, 4, MP_ALL, LONG), 4);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* Without an error it is all of them; the same one twice counts twice. */
    mp_result *twice[3] = {rs[0], rs[0], rs[1]};
    assert_int_equal(mp_results_wait(twice, 3, MP_FIRST_ERROR, LONG), 3);
    free_all(rs, 4);
    assert_int_equal(finish(pool), 0);
}

static void nothing_and_nonsense(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *rs[2] = {failing(pool), NULL};
    mp_iterator *it = (mp_iterator *)1;
    for (int when = MP_ALL; when <= MP_FIRST_ERROR; when++)
        assert_int_equal(mp_results_wait(NULL, 0, when, MP_FOREVER), 0);
    assert_int_equal(mp_results_wait(rs, 1, 0, LONG), MP_EINVAL);
    assert_int_equal(mp_results_wait(rs, 1, 4, LONG), MP_EINVAL);
    assert_int_equal(mp_results_wait(rs, 2, MP_ALL, LONG), MP_EINVAL);
    assert_int_equal(mp_results_wait(rs, -1, MP_ALL, LONG), MP_EINVAL);
    assert_int_equal(mp_results_wait(NULL, 1, MP_ALL, LONG), MP_EINVAL);
    assert_int_equal(mp_results_wait(rs, 1, MP_ALL, NAN), MP_EINVAL);
    mp_interrupt();
    assert_int_equal(mp_results_wait(rs, 1, MP_ALL, LONG), MP_EINTR);
    assert_int_equal(mp_as_completed(&it, rs, 2), MP_EINVAL);
    assert_null(it);
    assert_int_equal(mp_as_completed(NULL, rs, 1), MP_EINVAL);
    assert_int_equal(mp_as_completed(&it, NULL, 0), 0);
    assert_int_equal(mp_iterator_next(it, NULL, NULL, MP_FOREVER), MP_EEOF);
    mp_iterator_free(it);
    assert_int_equal(mp_results_wait(rs, 1, MP_ALL, LONG), 1);
    mp_result_free(rs[0]);
    assert_int_equal(finish(pool), 0);
}

/* Hundreds, of two pools, in an order that is not that of their submission. */
static void hundreds(void **state)
{
    (void)state;
    enum { N = 400 };
    mp_pool *pools[2] = {make(1), make(2)};
    mp_result *rs[N];
    long in[N];
    char met[N] = {0};
    count_up(in, N);
    mp_result *gates[3] = {hold(pools[0], 1), hold(pools[1], 1), hold(pools[1], 1)};
    for (int i = N - 1; i >= 0; i--)
        assert_int_equal(
            mp_pool_apply_async(pools[i % 2], &rs[i], square, &in[i], sizeof *in, sizeof *in), 0);
    assert_int_equal(mp_results_wait(rs, N, MP_FIRST_DONE, 0.02), MP_ETIMEDOUT);
    double begin = seconds();
    release(1);
    assert_in_range(mp_results_wait(rs, N, MP_FIRST_DONE, LONG), 1, N);
    mp_iterator *it;
    assert_int_equal(mp_as_completed(&it, rs, N), 0);
    for (int i = 0; i < N; i++) {
        long out = -1;
        size_t index = N;
        assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
        assert_true(index < N && met[index]++ == 0 && out == in[index] * in[index]);
    }
    assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), MP_EEOF);
    printf("%d results in %.3f s\n", N, seconds() - begin);
    mp_iterator_free(it);
    assert_int_equal(mp_results_wait(rs, N, MP_ALL, 0), N);
    free_all(rs, N);
    free_all(gates, 3);
    assert_int_equal(finish(pools[0]), 0);
    assert_int_equal(finish(pools[1]), 0);
}

static void as_they_come(void **state)
{
    (void)state;
    mp_pool *pool = make(3);
    mp_result *rs[4] = {hold(pool, 1), hold(pool, 2), failing(pool), NULL};
    mp_iterator *it;
    size_t index = 99, length;
    const void *data;
    int out = -1;
    mp_task_error e;
    long in[3] = {1, 2, 3}, squares[3] = {0};
    assert_int_equal(mp_pool_map_async(pool, &rs[3], square, in, 8, 8, 3), 0);
    assert_int_equal(mp_results_wait(&rs[2], 2, MP_ALL, LONG), 2);
    assert_int_equal(mp_as_completed(&it, rs, 4), 0);
    assert_int_equal(mp_iterator_next(it, &out, &index, LONG), MP_ETASK); /* done already */
    assert_true(index == 2 && out == -1);
    assert_int_equal(mp_last_task_error(&e), 1);
    assert_string_equal(e.text, "no");
    assert_int_equal(mp_iterator_data(it, &data, &length), MP_ETASK);
    assert_int_equal(mp_iterator_next(it, squares, &index, LONG), 0); /* a whole array */
    assert_true(index == 3 && squares[2] == 9);
    assert_int_equal(mp_iterator_data(it, &data, &length), 0);
    assert_true(length == sizeof squares && memcmp(data, squares, length) == 0);
    assert_int_equal(mp_iterator_next(it, NULL, &index, 0.02), MP_ETIMEDOUT);
    assert_true(index == 3);
    pid_t child = release_later(2);
    mp_result_free(rs[1]); /* the iterator keeps what it needs */
    assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
    assert_true(index == 1 && out == 2);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* The worker that has the last one dies. */
    assert_true(await(&board->pid[1]));
    kill(board->pid[1], SIGKILL);
    assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_ECRASHED);
    assert_int_equal(index, 0);
    assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), MP_EEOF);
    mp_iterator_free(it);
    mp_result_free(rs[0]);
    free_all(&rs[2], 2);
    assert_int_equal(finish(pool), 0);
}

static void when_the_supervisor_dies(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        mp_pool *pool = make(2);
        pid_t supervisor = supervisor_of(pool);
        memset(board, 0, sizeof *board);
        mp_result *rs[3] = {hold(pool, 1), hold(pool, 2), hold(pool, 3)};
        mp_iterator *it;
        size_t index;
        assert_true(await(&board->pid[1]) && await(&board->pid[2]));
        kill(supervisor, SIGKILL);
        assert_int_equal(mp_as_completed(&it, rs, 3), 0);
        if (i == 0)
            assert_int_equal(mp_results_wait(rs, 3, MP_ALL, LONG), 3);
        else if (i == 1)
            assert_in_range(mp_results_wait(rs, 3, MP_FIRST_ERROR, LONG), 1, 3);
        for (int k = 0; k < 3; k++)
            assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_ECRASHED);
        assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_EEOF);
        mp_iterator_free(it);
        free_all(rs, 3);
        mp_pool_free(pool);
    }
}

/* What is done has the job's own places filled. */
static void own_places_are_filled(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    long in[2] = {5, 6}, out[2][2] = {{0}};
    mp_task_error errors[2];
    mp_result *rs[2];
    for (int i = 0; i < 2; i++) {
        mp_job job = {.size = sizeof job,
                      .task = i == 0 ? square : refuse,
                      .in = in,
                      .in_size = sizeof *in,
                      .out = out[i],
                      .out_size = sizeof *in,
                      .count = 2,
                      .errors = errors};
        assert_int_equal(mp_pool_submit(pool, &rs[i], &job), 0);
    }
    assert_int_equal(mp_results_wait(rs, 2, MP_ALL, LONG), 2);
    assert_true(out[0][0] == 25 && out[0][1] == 36 && out[1][1] == 0);
    assert_true(errors[0].code == 0 || errors[0].code == MP_ETASK);
    free_all(rs, 2);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(all_the_first_and_the_first_error),
        POOL_TEST(nothing_and_nonsense),
        POOL_TEST(hundreds),
        POOL_TEST(as_they_come),
        POOL_TEST(when_the_supervisor_dies),
        POOL_TEST(own_places_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
