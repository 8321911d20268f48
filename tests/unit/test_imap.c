/* SPDX-License-Identifier: MIT */
/* imap: order, windows, errors, deaths, and early ends. */
#include "support/pools.h"

#include <math.h>

typedef int opener(mp_pool *, mp_iterator **, const mp_imap *);
static opener *const openers[] = {mp_pool_imap, mp_pool_imap_unordered};

/* An input of numbers from 0, that writes down how far it was read. */
typedef struct numbers {
    long given, limit; /* ends there ... */
    int end;           /* ... with this code */
    long returned, most_ahead;
    pid_t thread;
} numbers;

static int next_number(void *arg, void *in)
{
    numbers *n = arg;
    if (n->given == n->limit)
        return n->end;
    *(long *)in = n->given++;
    if (n->given - n->returned > n->most_ahead)
        n->most_ahead = n->given - n->returned;
    n->thread = gettid();
    return 0;
}

static mp_imap over(numbers *n, mp_task task, long limit)
{
    *n = (numbers){.limit = limit, .end = MP_EEOF};
    return (mp_imap){.size = sizeof(mp_imap),
                     .task = task,
                     .next = next_number,
                     .arg = n,
                     .in_size = sizeof(long),
                     .out_size = sizeof(long)};
}

static void all_items_with_every_window_and_chunk(void **state)
{
    (void)state;
    enum { N = 500 };
    static const size_t windows[] = {1, 2, 3, 7, 64, 10000, 0}, chunks[] = {0, 1, 3, 8, 1000};
    mp_pool *pool = make(2);
    for (size_t i = 0; i < sizeof windows / sizeof *windows * 5 * 2; i++) {
        bool ordered = i % 2 == 0;
        numbers n;
        mp_imap how = over(&n, square, N);
        char met[N] = {0};
        how.window = windows[i / 10];
        how.chunksize = chunks[i / 2 % 5];
        mp_iterator *it;
        size_t index = 99;
        long out;
        assert_int_equal(openers[!ordered](pool, &it, &how), 0);
        for (long k = 0; k < N; k++) {
            assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
            assert_true(!ordered || index == (size_t)k);
            assert_true(index < N && met[index]++ == 0);
            assert_int_equal(out, (long)(index * index));
            n.returned++;
        }
        size_t end = 77;
        for (int k = 0; k < 3; k++)
            assert_int_equal(mp_iterator_next(it, &out, &end, LONG), MP_EEOF);
        assert_int_equal(end, 77);
        assert_true(how.window == 0 || n.most_ahead <= (long)how.window);
        long chunk = how.chunksize > 1 ? (long)how.chunksize : 1; /* 16 of them for each worker */
        assert_true(how.window != 0 || n.most_ahead == (chunk * 32 < N ? chunk * 32 : N));
        assert_true(how.window != 0 || n.most_ahead < N || how.chunksize == 1000);
        mp_iterator_free(it);
    }
    assert_int_equal(finish(pool), 0);
}

/* The window is filled at once, and holds while nothing is consumed. */
static void no_more_is_taken_than_the_window(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int i = 0; i < 2; i++) {
        numbers n;
        mp_imap how = over(&n, square, 100);
        mp_iterator *it;
        long out;
        how.window = 5;
        assert_int_equal(openers[i](pool, &it, &how), 0);
        assert_int_equal(n.given, 5);
        nap(0.005);
        assert_int_equal(n.given, 5);
        assert_int_equal(mp_iterator_next(it, &out, NULL, LONG), 0);
        assert_int_equal(n.given, 5); /* it was full when next was called */
        assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), 0);
        assert_int_equal(n.given, 6);
        mp_iterator_free(it);
        assert_int_equal(n.given, 6);
    }
    assert_int_equal(finish(pool), 0);
}

/* By input: fails, kills its worker, leaves it, or is fine. */
static int mixed(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    if (x % 10 == 3)
        return mp_task_fail(-7, "bad %ld", x);
    if (x % 50 == 20)
        kill(getpid(), SIGKILL);
    if (x % 50 == 45)
        exit(5);
    *(long *)out = -x;
    return 0;
}

static void errors_appear_at_their_position(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int i = 0; i < 4; i++) {
        numbers n;
        mp_imap how = over(&n, mixed, 100);
        mp_iterator *it;
        how.chunksize = i < 2 ? 1 : 4;
        assert_int_equal(openers[i % 2](pool, &it, &how), 0);
        for (size_t k = 0; k < 100; k++) {
            long out = 1;
            size_t x = 999;
            mp_task_error e = {0};
            int rc = mp_iterator_next(it, &out, &x, LONG);
            assert_true(i % 2 != 0 || x == k);
            int expected = x % 10 == 3 ? MP_ETASK : x % 50 == 20 || x % 50 == 45 ? MP_ECRASHED : 0;
            assert_int_equal(rc, expected);
            assert_int_equal(out, rc == 0 ? -(long)x : 1);
            assert_int_equal(mp_last_task_error(&e), rc != 0);
            assert_true(rc == 0 || (e.code == rc && e.index == x));
            assert_true(rc != MP_ETASK || (e.task_code == -7 && strncmp(e.text, "bad ", 4) == 0));
            assert_true(x % 50 != 20 || e.signal == SIGKILL);
            assert_true(x % 50 != 45 || e.exit_status == 5);
            const void *data;
            size_t length;
            assert_int_equal(mp_iterator_data(it, &data, &length), rc);
            assert_true(rc != 0 || (length == sizeof out && memcmp(data, &out, length) == 0));
        }
        assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), MP_EEOF);
        mp_iterator_free(it);
    }
    assert_int_equal(finish(pool), 0);
}

static void an_error_of_the_input_comes_last(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int i = 0; i < 4; i++) {
        numbers n;
        mp_imap how = over(&n, square, 10);
        mp_iterator *it;
        size_t index = 0;
        n.end = -55;
        how.chunksize = i < 2 ? 1 : 4;
        assert_int_equal(openers[i % 2](pool, &it, &how), 0);
        for (int k = 0; k < 10; k++)
            assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), 0);
        assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), -55);
        assert_int_equal(index, 10);
        assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_EEOF);
        assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_EEOF);
        mp_iterator_free(it);
        /* No input at all. */
        how = over(&n, square, 0);
        n.end = i % 2 == 0 ? MP_EEOF : -1;
        assert_int_equal(openers[i % 2](pool, &it, &how), 0);
        assert_int_equal(mp_iterator_next(it, NULL, NULL, 0), n.end);
        assert_int_equal(mp_iterator_next(it, NULL, NULL, 0), MP_EEOF);
        mp_iterator_free(it);
    }
    assert_int_equal(finish(pool), 0);
}

/* Input 0 waits for the board; the others do not. */
static int first_is_held(const void *in, void *out, void *context)
{
    long x = *(const long *)in;
    int slot = 1;
    *(long *)out = x;
    return x == 0 ? held(&slot, NULL, context) : 0;
}

static void timeouts_and_interrupts_leave_it_usable(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    numbers n;
    mp_imap how = over(&n, first_is_held, 6);
    mp_iterator *it;
    long out;
    size_t index;
    assert_int_equal(mp_pool_imap(pool, &it, &how), 0);
    assert_int_equal(mp_iterator_next(it, &out, NULL, MP_NO_WAIT), MP_ETIMEDOUT);
    assert_int_equal(mp_iterator_next(it, &out, NULL, 0.02), MP_ETIMEDOUT);
    mp_interrupt();
    assert_int_equal(mp_iterator_next(it, &out, NULL, LONG), MP_EINTR);
    assert_int_equal(mp_iterator_next(it, &out, NULL, NAN), MP_EINVAL);
    release(1);
    for (long k = 0; k < 6; k++) {
        assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
        assert_true(out == k && index == (size_t)k);
    }
    assert_int_equal(mp_iterator_next(it, &out, NULL, 0), MP_EEOF);
    mp_iterator_free(it);
    /* Unordered: what is held comes last. */
    atomic_store(&board->flag[1], 0);
    how = over(&n, first_is_held, 6);
    assert_int_equal(mp_pool_imap_unordered(pool, &it, &how), 0);
    for (long k = 1; k < 6; k++)
        assert_true(mp_iterator_next(it, &out, &index, LONG) == 0 && index != 0);
    assert_int_equal(mp_iterator_next(it, &out, NULL, 0.02), MP_ETIMEDOUT);
    release(1);
    assert_int_equal(mp_iterator_next(it, &out, &index, LONG), 0);
    assert_true(index == 0 && out == 0);
    assert_int_equal(mp_iterator_next(it, &out, NULL, LONG), MP_EEOF);
    mp_iterator_free(it);
    assert_int_equal(finish(pool), 0);
}

static int count_and_hold(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    int slot = 1;
    *(long *)out = 1;
    atomic_fetch_add(&board->flag[2], 1);
    return held(&slot, NULL, NULL);
}

static void freed_early_cancels_what_has_not_started(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    numbers n;
    mp_imap how = over(&n, count_and_hold, 1000);
    mp_iterator *it;
    how.window = 100;
    assert_int_equal(mp_pool_imap(pool, &it, &how), 0);
    assert_true(await(&board->pid[1]));
    mp_iterator_free(it);
    release(1);
    long x = 4, y;
    assert_int_equal(mp_pool_apply(pool, square, &x, sizeof x, &y, sizeof y, LONG), 0);
    assert_int_equal(board->flag[2], 1);
    assert_int_equal(n.given, 100);
    mp_iterator_free(NULL);
    assert_int_equal(finish(pool), 0);
}

/* What the iterator says when the pool ends before it: `settled` for each that was taken, then
 * MP_ESTATE once, then the end. */
static void runs_out(mp_iterator *it, int taken, int settled)
{
    size_t index;
    for (int i = 0; i < taken; i++)
        assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), settled);
    assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_ESTATE);
    assert_int_equal(mp_iterator_next(it, NULL, &index, LONG), MP_EEOF);
}

static void the_end_of_its_pool(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        mp_pool *pool = make(1);
        numbers n;
        mp_imap how = over(&n, i / 2 == 0 ? square : count_and_hold, 1000);
        mp_iterator *it, *none;
        pid_t supervisor = supervisor_of(pool);
        how.window = 4;
        assert_int_equal(openers[i % 2](pool, &it, &how), 0);
        switch (i / 2) {
        case 0: /* what was taken is still done */
            assert_int_equal(mp_pool_close(pool), 0);
            runs_out(it, 4, 0);
            break;
        case 1:
            assert_int_equal(mp_pool_terminate(pool), 0);
            runs_out(it, 4, MP_ECANCELED);
            break;
        case 2:
            assert_true(await(&board->pid[1]));
            kill(supervisor, SIGKILL);
            runs_out(it, 4, MP_ECRASHED);
            break;
        default:
            mp_pool_free(pool);
            pool = NULL;
            runs_out(it, 4, MP_ECANCELED);
            break;
        }
        if (pool != NULL) {
            assert_int_equal(mp_pool_imap(pool, &none, &how), MP_ESTATE);
            assert_null(none);
        }
        if (i % 2 == 0)
            mp_iterator_free(it);
        mp_pool_free(pool);
        if (i % 2 != 0)
            mp_iterator_free(it);
        memset(board, 0, sizeof *board);
    }
}

static int use_inherited(void *arg)
{
    long out;
    CHECK(mp_iterator_next(arg, &out, NULL, LONG) == MP_ESTATE);
    mp_iterator_free(arg);
    return 0;
}

static void bad_arguments(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    numbers n;
    mp_imap good = over(&n, square, 3), bad[5] = {good, good, good, good, good};
    mp_iterator *it = (mp_iterator *)1;
    const void *data;
    size_t length;
    bad[0].task = NULL;
    bad[1].next = NULL;
    bad[2].size = 4;
    bad[3].in_size = SIZE_MAX / 2;
    bad[3].chunksize = bad[3].window = 8;
    bad[4].out_size = SIZE_MAX;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mp_pool_imap(pool, &it, &bad[i]), MP_EINVAL);
        assert_null(it);
    }
    assert_int_equal(mp_pool_imap(NULL, &it, &good), MP_EINVAL);
    assert_int_equal(mp_pool_imap(pool, NULL, &good), MP_EINVAL);
    assert_int_equal(mp_pool_imap(pool, &it, NULL), MP_EINVAL);
    assert_int_equal(n.given, 0);
    assert_int_equal(mp_iterator_next(NULL, NULL, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_iterator_data(NULL, &data, &length), MP_EINVAL);
    assert_int_equal(mp_pool_imap(pool, &it, &good), 0);
    assert_int_equal(mp_iterator_data(it, &data, &length), MP_ESTATE);
    assert_int_equal(mp_iterator_data(it, NULL, &length), MP_EINVAL);
    assert_int_equal(child_end(child_start(use_inherited, it)), 0);
    assert_int_equal(mp_iterator_next(it, NULL, NULL, LONG), 0);
    mp_iterator_free(it);
    assert_int_equal(finish(pool), 0);
}

/* Results of their own length. */
static int spell(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    long x = *(const long *)in;
    char text[64];
    memset(text, 'a' + (int)(x % 26), sizeof text);
    return x % 7 == 0 ? 0 : mp_task_return(text, (size_t)x % 60);
}

static void results_of_their_own_length(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int i = 0; i < 4; i++) {
        numbers n;
        mp_imap how = over(&n, spell, 200);
        mp_iterator *it;
        how.out_size = 0;
        how.chunksize = i < 2 ? 1 : 16;
        assert_int_equal(openers[i % 2](pool, &it, &how), 0);
        for (int k = 0; k < 200; k++) {
            size_t x, length;
            const void *data;
            assert_int_equal(mp_iterator_next(it, NULL, &x, LONG), 0);
            assert_int_equal(mp_iterator_data(it, &data, &length), 0);
            assert_int_equal(length, x % 7 == 0 ? 0 : x % 60);
            for (size_t b = 0; b < length; b++)
                assert_int_equal(((const char *)data)[b], 'a' + (int)(x % 26));
        }
        mp_iterator_free(it);
    }
    assert_int_equal(finish(pool), 0);
}

/* The memory of a long stream is that of a short one; and its workers die now and then. */
static int frail(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    if (x % 400 == 399)
        kill(getpid(), SIGKILL);
    *(long *)out = x;
    return 0;
}

static void workers_die_amid_a_long_stream(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    for (int i = 0; i < 2; i++) {
        numbers n;
        mp_imap how = over(&n, frail, 4000);
        mp_iterator *it;
        assert_int_equal(openers[i](pool, &it, &how), 0);
        long crashed = 0, good = 0, sum = 0;
        size_t index;
        for (int rc; (rc = mp_iterator_next(it, NULL, &index, LONG)) != MP_EEOF;) {
            assert_int_equal(rc, index % 400 == 399 ? MP_ECRASHED : 0);
            crashed += rc != 0;
            good += rc == 0;
            sum += (long)index;
        }
        assert_int_equal(good + crashed, n.limit);
        assert_int_equal(crashed, n.limit / 400);
        assert_int_equal(sum, n.limit * (n.limit - 1) / 2);
        mp_iterator_free(it);
    }
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(all_items_with_every_window_and_chunk),
        POOL_TEST(no_more_is_taken_than_the_window),
        POOL_TEST(errors_appear_at_their_position),
        POOL_TEST(an_error_of_the_input_comes_last),
        POOL_TEST(timeouts_and_interrupts_leave_it_usable),
        POOL_TEST(freed_early_cancels_what_has_not_started),
        POOL_TEST(the_end_of_its_pool),
        POOL_TEST(bad_arguments),
        POOL_TEST(results_of_their_own_length),
        POOL_TEST(workers_die_amid_a_long_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
