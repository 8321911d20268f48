/* SPDX-License-Identifier: MIT */
/* The pains of Python's callbacks (D2), and of its imap() and Executor.map() (D5, D9), which this
 * library has not. */
#include "pains/crew.h"

/* ---- D2 ---- */

static mp_pool *the_pool;

static void stay(mp_result *r, void *arg)
{
    (void)r;
    signal_word(&notes->ready);
    if (await(arg, 1)) /* else the others have waited for it */
        signal_word(&notes->done);
}

static void free_its_own(mp_result *r, void *arg)
{
    mp_result_free(r);
    signal_word(arg);
}

/* Everything that is refused: nobody is told, and nobody minds. */
static void do_wrong(mp_result *r, void *arg)
{
    char little[1];
    mp_result *none;
    bool refused = mp_result_get(r, little, 1, LONG) == MP_EMSGSIZE &&
                   mp_result_get(NULL, NULL, 0, 0) == MP_EINVAL &&
                   mp_result_cancel(r) == MP_ESTATE &&
                   mp_pool_dispatch(the_pool, MP_FOREVER) == MP_ESTATE &&
                   mp_pool_apply_async(the_pool, &none, NULL, NULL, 0, 0) == MP_EINVAL &&
                   mp_pool_join(the_pool, 0) == MP_ESTATE;
    if (refused)
        signal_word(arg);
}

static void be_good(mp_result *r, void *arg)
{
    if (mp_result_successful(r))
        signal_word(arg);
}

static mp_result *with_callback(void (*callback)(mp_result *, void *), word *arg)
{
    static const long in = 12;
    mp_result *r = NULL;
    mp_job job = {.size = sizeof job,
                  .task = square,
                  .in = &in,
                  .in_size = sizeof in,
                  .out_size = sizeof in,
                  .count = 1,
                  .callback = callback,
                  .callback_arg = (void *)arg};
    assert_int_equal(mp_pool_submit(the_pool, &r, &job), 0);
    return r;
}

static int get_it(void *arg)
{
    return mp_result_get(arg, NULL, 0, LONG);
}

static void d2_a_callback_that_does_wrong_harms_nothing(void **state)
{
    (void)state;
    enum { GOOD = 50 };
    mp_result *good[GOOD], *wrong;
    task getter;
    long out = 0;
    the_pool = crew_pool(2);
    mp_result *stuck = with_callback(stay, &crew->go[0]);
    assert_int_equal(task_start(&getter, get_it, stuck), 0); /* its thread is in it for good */
    assert_true(await(&notes->ready, 1));
    assert_int_equal(mp_result_get(stuck, &out, sizeof out, LONG), 0);
    assert_int_equal(out, 144);
    for (int i = 0; i < GOOD; i++) {
        if (i % 10 == 3)
            with_callback(free_its_own, &crew->runs[0]);
        good[i] = with_callback(be_good, &crew->runs[1]);
    }
    wrong = with_callback(do_wrong, &crew->runs[2]);
    for (int i = 0; i < GOOD; i++) {
        out = 0;
        assert_int_equal(mp_result_get(good[i], &out, sizeof out, LONG), 0);
        assert_int_equal(out, 144);
        mp_result_free(good[i]);
    }
    assert_int_equal(mp_result_get(wrong, &out, sizeof out, LONG), 0);
    double end = seconds() + LONG;
    while (mp__load_seq(&crew->runs[0]) < GOOD / 10 && seconds() < end)
        mp_pool_dispatch(the_pool, 0.01);
    assert_int_equal(mp__load_seq(&crew->runs[0]), GOOD / 10);
    assert_int_equal(mp__load_seq(&crew->runs[1]), GOOD);
    assert_int_equal(mp__load_seq(&crew->runs[2]), 1);
    mp__store_seq(&crew->go[0], 1);
    assert_int_equal(task_end(&getter), 0);
    assert_int_equal(mp__load_seq(&notes->done), 1);
    mp_result_free(wrong);
    mp_result_free(stuck);
    assert_int_equal(finish(the_pool), 0);
    ours("D2",
         "callbacks that do not return, free their own result, or do what is refused: %d of %d "
         "other callbacks are called, and get() returns each result, their own, too",
         GOOD, GOOD);
}

/* ---- D5, D9 ---- */

/* Numbers from 0, as many as there shall be; 0: without end. */
struct numbers {
    long taken, most;
};

static int take(void *arg, void *in)
{
    struct numbers *n = arg;
    if (n->most != 0 && n->taken == n->most)
        return MP_EEOF;
    *(long *)in = n->taken++;
    return 0;
}

static void d5_no_more_is_taken_than_the_window_allows(void **state)
{
    (void)state;
    enum { WINDOW = 10 };
    int n = fewer(20000);
    struct numbers numbers = {.most = n};
    mp_pool *pool = crew_pool(2);
    mp_iterator *it;
    long out, ahead = 0;
    mp_imap how = {.size = sizeof how,
                   .task = square,
                   .next = take,
                   .arg = &numbers,
                   .in_size = sizeof(long),
                   .out_size = sizeof(long),
                   .window = WINDOW};
    assert_int_equal(mp_pool_imap(pool, &it, &how), 0);
    for (long i = 0; i < n; i++) {
        size_t index = SIZE_MAX;
        out = -1;
        assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
        assert_true(out == i * i && index == (size_t)i);
        if (numbers.taken - i - 1 > ahead)
            ahead = numbers.taken - i - 1;
    }
    assert_in_range(ahead, 0, WINDOW);
    assert_int_equal(mp_iterator_next(it, &out, NULL, LONG), MP_EEOF);
    mp_iterator_free(it);
    assert_int_equal(finish(pool), 0);
    ours("D5",
         "imap with .window = %d over %d inputs: never more than %d are taken and not delivered; "
         "%d of %d come, in order",
         WINDOW, n, WINDOW, n, n);
}

static void d9_an_endless_input_has_a_first_result(void **state)
{
    (void)state;
    enum { TAKEN = 1000 };
    mp_pool *pool = crew_pool(2);
    for (int ordered = 0; ordered < 2; ordered++) {
        struct numbers numbers = {0};
        mp_iterator *it;
        mp_imap how = {.size = sizeof how,
                       .task = square,
                       .next = take,
                       .arg = &numbers,
                       .in_size = sizeof(long),
                       .out_size = sizeof(long)};
        assert_int_equal(
            ordered ? mp_pool_imap(pool, &it, &how) : mp_pool_imap_unordered(pool, &it, &how), 0);
        for (int i = 0; i < 3; i++) {
            size_t index;
            long out = -1;
            assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
            assert_int_equal(out, (long)(index * index));
        }
        assert_in_range(numbers.taken, 3, TAKEN);
        mp_iterator_free(it);
        assert_true(works(pool));
    }
    assert_int_equal(finish(pool), 0);
    ours("D9",
         "imap and imap_unordered over an endless input: the results come, with less than %d "
         "inputs taken; mp_iterator_free ends it",
         TAKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CREW_TEST(d2_a_callback_that_does_wrong_harms_nothing),
        CREW_TEST(d5_no_more_is_taken_than_the_window_allows),
        CREW_TEST(d9_an_endless_input_has_a_first_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
