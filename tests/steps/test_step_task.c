/* SPDX-License-Identifier: MIT */
/* A worker that dies while its task hands over a result of its own length, or dies, crashes again
 * or hangs while it writes down where it has crashed. */
#include "pool/handle.h"
#include "pool/returned.h"
#include "support/steps.h"
#include "support/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

struct order {
    const char *step;
    int signal;
    bool once; /* the second run returns nothing */
};

/* At its first run it dies at the step; at the second it does not. */
static int return_twice(const void *in, void *out, void *context)
{
    const struct order *order = in;
    (void)context;
    *(int *)out = 77;
    if (atomic_fetch_add(&board->flag[0], 1) == 0)
        mp__step_arm(order->step, 1, order->signal);
    else if (order->once)
        return 0;
    if (mp_task_return("first", 5) < 0 || mp_task_return("the second", 10) < 0)
        return -1;
    return 0;
}

/* 0: it fails; 1: it runs again; 2: the same, and then it returns nothing. */
static int hand_over(const char *step, int nth, void *arg)
{
    int again = *(const int *)arg, out = 0;
    struct order order = {step, SIGKILL, again == 2};
    mp_pool *pool;
    mp_result *r;
    mp_task_error error;
    if (nth > 1)
        return STEP_PASSED;
    atomic_store(&board->flag[0], 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .retries = again > 0), 0);
    assert_int_equal(mp_pool_apply_async(pool, &r, return_twice, &order, sizeof order, sizeof(int)),
                     0);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), again ? 0 : MP_ECRASHED);
    assert_int_equal(board->flag[0], again ? 2 : 1);
    if (again == 2) {
        const void *data;
        size_t length;
        assert_int_equal(mp_result_get(r, &out, sizeof out, 0), 0);
        assert_int_equal(out, 77);
        assert_int_equal(mp_result_data(r, 0, &data, &length), 0);
        assert_int_equal(length, sizeof out);
    } else if (again) {
        const mp__returned *block = mp__load_acquire(&r->work->returned);
        assert_int_equal(block->length, 10);
        assert_memory_equal(block->data, "the second", 10);
    } else {
        assert_int_equal(mp_result_error(r, &error), 1);
        assert_int_equal(error.signal, SIGKILL);
        assert_string_equal(error.backtrace, "");
    }
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_shared_check(NULL), 0);
    step_record(step);
    return STEP_REACHED;
}

static void results(void **state)
{
    (void)state;
    for (int again = 0; again < 3; again++)
        assert_int_equal(each_step("task.", 2, hand_over, &again), 2);
}

/* ---- in the handler ---- */

static volatile uintptr_t zero;

__attribute__((noinline, no_sanitize("undefined", "address"))) static void crash(void)
{
    *(volatile int *)zero = 1;
}

static void crash_again(int number)
{
    (void)number;
    crash();
}

static void hang(int number)
{
    (void)number;
    for (;;)
        pause();
}

static int crash_in_the_middle(const void *in, void *out, void *context)
{
    const struct order *order = in;
    (void)out, (void)context;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGUSR1, crash_again);
    signal(SIGUSR2, hang);
    mp__step_arm(order->step, 1, order->signal);
    crash();
    return 0;
}

static int die_in_the_handler(const char *step, int nth, void *arg)
{
    struct order order = {step, *(const int *)arg, false};
    mp_task_error error;
    mp_pool *pool;
    if (nth > 1)
        return STEP_PASSED;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    assert_int_equal(mp_pool_apply(pool, crash_in_the_middle, &order, sizeof order, NULL, 0, LONG),
                     MP_ECRASHED);
    assert_int_equal(mp_last_task_error(&error), 1);
    if (order.signal == SIGKILL) {
        assert_int_equal(error.signal, SIGKILL);
        assert_string_equal(error.backtrace, "");
    } else { /* the first line was there already */
        assert_int_equal(error.signal, SIGSEGV);
        assert_int_equal(strncmp(error.backtrace, "#0 crash+0x", 11), 0);
        assert_null(strstr(error.backtrace, "#1"));
    }
    assert_int_equal(finish(pool), 0);
    step_record(step);
    return STEP_REACHED;
}

static void handlers(void **state)
{
    (void)state;
    int signals[] = {SIGKILL, SIGUSR1, SIGUSR2};
    for (int i = 0; i < 3; i++)
        assert_int_equal(each_step("backtrace.", 2, die_in_the_handler, &signals[i]), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(results),
        POOL_TEST(handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
