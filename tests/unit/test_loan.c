/* SPDX-License-Identifier: MIT */
/* Messages without copies: loan, publish, discard, take, release; whose block it is, bad pointers,
 * limits, and what comes back from the dead. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "support/kinds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

enum { ROUNDS = 2000, HELD = 40 };

static struct board {
    word words[8];
    void *pointer;
} * board;

static int setup(void **state)
{
    board = common(sizeof *board);
    return board == NULL ? -1 : kind_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    munmap(board, sizeof *board);
    return kind_teardown();
}

static char *lend(size_t length, char fill)
{
    void *block = NULL;
    assert_int_equal(mp_queue_loan(q, length, &block, 0), 0);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 16, 0);
    memset(block, fill, length);
    return block;
}

static void hand_in(size_t length, char fill)
{
    assert_int_equal(mp_queue_publish(q, lend(length, fill), LONG), 0);
}

static const void *take(size_t length, char fill)
{
    const void *message = NULL;
    size_t n = 99;
    assert_int_equal(mp_queue_take(q, &message, &n, LONG), 0);
    assert_int_equal(n, length);
    for (size_t i = 0; i<n; i += n> 5000 ? 997 : 1)
        assert_int_equal(((const char *)message)[i], fill);
    return message;
}

static void release(const void *message)
{
    assert_int_equal(mp_queue_release(q, message), 0);
    assert_int_equal(mp_queue_task_done(q), 0);
}

static void test_arguments(void **state)
{
    (void)state;
    mp_queue *none = calloc(1, 4096);
    mp_queue *wrong[] = {NULL, none};
    void *block = none;
    const void *message = none;
    size_t length = 5;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_queue_loan(wrong[i], 1, &block, 0), MP_EINVAL);
        assert_null(block);
        assert_int_equal(mp_queue_publish(wrong[i], none, 0), MP_EINVAL);
        assert_int_equal(mp_queue_discard(wrong[i], none), MP_EINVAL);
        assert_int_equal(mp_queue_take(wrong[i], &message, &length, 0), MP_EINVAL);
        assert_null(message);
        assert_int_equal(length, 0);
        assert_int_equal(mp_queue_release(wrong[i], none), MP_EINVAL);
    }
    free(none);
    assert_int_equal(mp_queue_loan(q, 1, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_queue_loan(q, 1, &block, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_loan(q, SIZE_MAX, &block, 0), MP_ENOMEM);
    assert_int_equal(mp_queue_loan(q, SIZE_MAX / 2 - 64, &block, LONG), MP_ENOMEM);
    assert_int_equal(mp_queue_take(q, NULL, &length, 0), MP_EINVAL);
    assert_int_equal(mp_queue_take(q, &message, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_queue_take(q, &message, &length, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_take(q, &message, &length, 0), MP_EEMPTY);
    assert_int_equal(mp_queue_take(q, &message, &length, 0.02), MP_EEMPTY);
    void *loan = lend(3, 'l');
    assert_int_equal(mp_queue_publish(q, loan, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_discard(q, loan), 0);
}

/* What is no loan, no longer, or another queue's; what was not taken, or was released. */
static void test_bad_pointers(void **state)
{
    (void)state;
    mp_queue *other;
    static char here[64];
    char *plain = mp_shared_alloc(100), *loan = lend(100, 'a'), *foreign;
    memset(plain, 0xff, 100);
    assert_int_equal(mp_queue_new(&other), 0);
    assert_int_equal(mp_queue_loan(other, 100, (void **)&foreign, 0), 0);
    void *bad[] = {NULL,
                   here + 32,
                   plain,
                   plain + 16,
                   loan + 1,
                   loan + 16,
                   loan - 16,
                   foreign,
                   q,
                   (void *)16,
                   (void *)1,
                   &plain,
                   (void *)(uintptr_t)-16};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mp_queue_publish(q, bad[i], 0), MP_EINVAL);
        assert_int_equal(mp_queue_discard(q, bad[i]), MP_EINVAL);
        assert_int_equal(mp_queue_release(q, bad[i]), MP_EINVAL);
    }
    assert_int_equal(mp_queue_release(q, loan), MP_EINVAL); /* it is a loan */
    assert_int_equal(mp_queue_publish(q, loan, 0), 0);
    assert_int_equal(mp_queue_publish(q, loan, 0), MP_EINVAL);
    assert_int_equal(mp_queue_discard(q, loan), MP_EINVAL);
    assert_int_equal(mp_queue_size(q), 1);
    const void *message = take(100, 'a');
    assert_int_equal(mp_queue_publish(q, (void *)message, 0), MP_EINVAL);
    assert_int_equal(mp_queue_discard(q, (void *)message), MP_EINVAL);
    assert_int_equal(mp_queue_release(other, message), MP_EINVAL);
    release(message);
    assert_int_equal(mp_queue_release(q, message), MP_EINVAL);
    assert_int_equal(mp_queue_discard(other, foreign), 0);
    assert_int_equal(mp_queue_discard(other, foreign), MP_EINVAL);
    mp_queue_free(other);
    mp_shared_free(plain);
}

/* Published and put, taken and got, in any mixture. */
static void test_mixture(void **state)
{
    (void)state;
    static const size_t size[] = {0, 1, 8, 100, 4095, 4096, 4097, 70000, MIB};
    static char bytes[MIB];
    for (size_t i = 0; i < 9 * 4; i++) {
        size_t n = size[i / 4];
        char fill = (char)(i + 1);
        memset(bytes, fill, n);
        if (i % 2 == 0)
            hand_in(n, fill);
        else
            assert_int_equal(mp_queue_put(q, bytes, n, LONG), 0);
        if (i % 4 < 2) {
            release(take(n, fill));
        } else {
            memset(bytes, 0, n);
            if (n > 0)
                assert_int_equal(mp_queue_get(q, bytes, n - 1, 0), MP_EMSGSIZE);
            assert_int_equal(mp_queue_get(q, bytes, n, 0), n);
            assert_int_equal(mp_queue_task_done(q), 0);
            assert_true(n == 0 || (bytes[0] == fill && bytes[n - 1] == fill));
        }
    }
    assert_int_equal(mp_queue_join(q, 0), 0);
}

/* A slow reader keeps what it took; order is kept; many at once. */
static void test_many_in_hand(void **state)
{
    (void)state;
    const void *message[HELD];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < HELD; i++)
            hand_in(i % 3 == 0 ? 9000 : 10, (char)i);
        for (int i = 0; i < HELD; i++)
            message[i] = take(i % 3 == 0 ? 9000 : 10, (char)i);
        hand_in(20, 'x');
        release(take(20, 'x'));
        for (int i = 0; i < HELD; i++) {
            int k = (i * 7 + 3) % HELD;
            assert_int_equal(*(const char *)message[k], k);
            release(message[k]);
        }
        assert_int_equal(mp_queue_join(q, 0), 0);
    }
}

/* Limits count what is published; what does not fit stays the caller's. */
static void test_limits(void **state)
{
    int mode = *(int *)*state;
    remake(mode, 1, 0);
    char *a = lend(10, 'a'), *b = lend(10, 'b');
    assert_int_equal(mp_queue_publish(q, a, 0), 0);
    assert_int_equal(mp_queue_publish(q, b, 0), MP_EFULL);
    assert_int_equal(mp_queue_publish(q, b, 0.05), MP_EFULL);
    assert_int_equal(b[9], 'b');
    release(take(10, 'a'));
    assert_int_equal(mp_queue_publish(q, b, 0), 0);
    release(take(10, 'b'));
    b = lend(10, 'c');
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_queue_publish(q, b, LONG), MP_ECLOSED);
    assert_int_equal(mp_queue_discard(q, b), 0);
    remake(mode, 0, 1000);
    b = lend(993, 'd');
    assert_int_equal(mp_queue_publish(q, b, 0), MP_EMSGSIZE);
    assert_int_equal(mp_queue_discard(q, b), 0);
    hand_in(992, 'e');
    b = lend(0, 'f');
    assert_int_equal(mp_queue_publish(q, b, 0), MP_EFULL);
    release(take(992, 'e'));
    assert_int_equal(mp_queue_publish(q, b, 0), 0);
}

/* What is not given back goes with the queue (teardown counts). */
static void test_left_behind(void **state)
{
    (void)state;
    lend(MIB, 'a');
    hand_in(MIB, 'b');
    hand_in(10, 'c');
    hand_in(10, 'd');
    take(MIB, 'b');
    take(10, 'c');
}

/* Other processes. */

static int intrude(void *arg)
{
    (void)arg;
    char *p = board->pointer;
    CHECK(mp_queue_publish(q, p, 0) == MP_EINVAL);
    CHECK(mp_queue_discard(q, p) == MP_EINVAL);
    CHECK(mp_queue_release(q, p) == MP_EINVAL);
    void *mine;
    CHECK(mp_queue_loan(q, 5, &mine, 0) == 0);
    CHECK(mp_queue_publish(q, p, 0) == MP_EINVAL);
    CHECK(mp_queue_discard(q, p) == MP_EINVAL);
    CHECK(mp_queue_release(q, p) == MP_EINVAL);
    CHECK(mp_queue_discard(q, mine) == 0);
    return 0;
}

static void test_of_another_process(void **state)
{
    (void)state;
    board->pointer = lend(10, 'a');
    assert_int_equal(child_end(child_start(intrude, NULL)), 0);
    assert_int_equal(mp_queue_publish(q, board->pointer, 0), 0);
    board->pointer = (void *)take(10, 'a');
    assert_int_equal(child_end(child_start(intrude, NULL)), 0);
    release(board->pointer);
}

/* Another thread of the process may end what one began. */
static int publish_it(void *arg)
{
    (void)arg;
    CHECK(mp_queue_publish(q, board->pointer, 0) == 0);
    return 0;
}

static int release_it(void *arg)
{
    (void)arg;
    CHECK(mp_queue_release(q, board->pointer) == 0);
    CHECK(mp_queue_task_done(q) == 0);
    return 0;
}

static void test_of_another_thread(void **state)
{
    (void)state;
    task t;
    board->pointer = lend(10, 'a');
    assert_int_equal(task_start(&t, publish_it, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    board->pointer = (void *)take(10, 'a');
    assert_int_equal(task_start(&t, release_it, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(mp_queue_join(q, 0), 0);
}

static int hold_and_die(void *arg)
{
    bool finish = *(bool *)arg;
    void *block;
    const void *message;
    size_t length;
    for (int i = 0; i < HELD; i++)
        CHECK(mp_queue_loan(q, 50000, &block, 0) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(mp_queue_take(q, &message, &length, LONG) == 0);
    for (int i = 0; finish && i < 3; i++)
        CHECK(mp_queue_task_done(q) == 0);
    kill(getpid(), SIGKILL);
    return 1;
}

/* Loans of the dead come back, and what they had taken; or that is for others now. */
static void test_death(void **state)
{
    for (int i = 0; i < 2; i++) {
        bool finish = i, back = redelivers(state) && !finish;
        hand_in(60000, 'a');
        hand_in(8, 'b');
        assert_int_equal(mp_queue_put(q, "xxxxx", 5, 0), 0);
        assert_int_equal(child_end(child_start(hold_and_die, &finish)), -SIGKILL);
        int64_t lost = mp_queue_lost(q); /* has looked */
        assert_int_equal(lost, redelivers(state) ? 0 : 3);
        assert_int_equal(mp_queue_size(q), back ? 3 : 0);
        assert_in_range(bytes_in_use() - used, 0, (back ? 131072 : 0) + 30000);
        if (back) {
            release(take(60000, 'a'));
            release(take(8, 'b'));
            release(take(5, 'x'));
        }
        assert_int_equal(mp_queue_join(q, LONG), 0);
    }
}

/* Hand over hand between processes that are killed at random: no block is lost or shared. */
static int hand_over(void *arg)
{
    random_state r = *(random_state *)arg | 1;
    for (;;) {
        void *block;
        size_t length = random_below(&r, 9000);
        CHECK(mp_queue_loan(q, length, &block, LONG) == 0);
        memset(block, (int)(length % 251), length);
        int rc = random_below(&r, 8) ? mp_queue_publish(q, block, 0.001) : MP_EFULL;
        CHECK(rc == 0 || rc == MP_EFULL || rc == MP_EAGAIN);
        CHECK(rc == 0 || mp_queue_discard(q, block) == 0);
        const unsigned char *message;
        rc = mp_queue_take(q, (const void **)&message, &length, 0.001);
        CHECK(rc == 0 || rc == MP_EEMPTY || rc == MP_EAGAIN);
        for (size_t i = 0; rc == 0 && i < length; i++)
            CHECK(message[i] == length % 251);
        CHECK(rc != 0 || mp_queue_release(q, message) == 0);
        CHECK(rc != 0 || mp_queue_task_done(q) == 0);
    }
}

static void test_killed_at_random(void **state)
{
    pid_t child[3];
    random_state r = random_start("test_killed_at_random");
    remake(*(int *)*state, 50, 0);
    for (int i = 0; i < 3; i++) {
        random_next(&r);
        child[i] = child_start(hand_over, &r);
    }
    int kills = fewer(60);
    for (int i = 0; i < kills; i++) {
        nap(0.0005 * random_below(&r, 20));
        int k = (int)random_below(&r, 3);
        assert_int_equal(child_kill(child[k]), -SIGKILL);
        child[k] = child_start(hand_over, &r);
        assert_int_equal(mp_shared_check(NULL), 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_true(mp_queue_lost(q) >= 0);
    const void *message;
    size_t length;
    while (mp_queue_take(q, &message, &length, 0) == 0)
        release(message);
    assert_int_equal(mp_queue_join(q, LONG), 0);
    mp_queue_free(q);
    q = NULL;
    /* Between a block's allocation or its leaving a hold, and what follows, a death costs it. */
    size_t leaked = bytes_in_use() - used;
    printf("%zu bytes leaked by %d deaths\n", leaked, kills + 3);
    assert_in_range(leaked, 0, (size_t)(kills + 3) * 20480);
    used = bytes_in_use();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_arguments),
        TEST_BOTH(test_bad_pointers),
        TEST_BOTH(test_mixture),
        TEST_BOTH(test_many_in_hand),
        TEST_BOTH(test_limits),
        TEST_BOTH(test_left_behind),
        TEST_BOTH(test_of_another_process),
        TEST_BOTH(test_of_another_thread),
        TEST_BOTH(test_death),
        TEST_BOTH(test_killed_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
