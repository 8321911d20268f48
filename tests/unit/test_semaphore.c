/* SPDX-License-Identifier: MIT */
/* The plain semaphore: Python's Semaphore and BoundedSemaphore, for processes and threads. */
#include <mproc/error.h>
#include <mproc/semaphore.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_semaphore *s;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    s = NULL;
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_semaphore_free(s);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static void test_bad_input(void **state)
{
    (void)state;
    mp_semaphore *x = (mp_semaphore *)(void *)words;
    assert_int_equal(mp_semaphore_create(NULL, 1, NULL), MP_EINVAL);
    assert_int_equal(mp_semaphore_create(&x, -1, NULL), MP_EINVAL);
    assert_null(x);
    assert_int_equal(mp_semaphore_new(&s, 3, .bound = 2), MP_EINVAL);
    assert_int_equal(mp_semaphore_new(&s, 0, .bound = -1), MP_EINVAL);
    assert_int_equal(mp_semaphore_new(&s, 3, .owned = 2), MP_EINVAL);
    assert_int_equal(mp_semaphore_new(&s, 3, .owned = -2), MP_EINVAL);
    struct {
        mp_semaphore_options o;
        int more[4];
    } newer = {{.size = sizeof newer}, {0}};
    assert_int_equal(mp_semaphore_create(&s, 1, &newer.o), 0);
    mp_semaphore_free(s);
    newer.more[3] = 1;
    assert_int_equal(mp_semaphore_create(&s, 1, &newer.o), MP_EINVAL);
    assert_null(s);

    mp_semaphore none = {{0}};
    mp_semaphore *const wrong[] = {NULL, &none};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_semaphore_acquire(wrong[i], 0), MP_EINVAL);
        assert_int_equal(mp_semaphore_release(wrong[i], 1), MP_EINVAL);
        assert_int_equal(mp_semaphore_value(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_semaphore_fini(wrong[i]), MP_EINVAL);
        mp_semaphore_free(wrong[i]);
    }
    for (int owned = MP_NO; owned <= MP_YES; owned++) {
        assert_int_equal(mp_semaphore_new(&s, 1, .owned = owned), 0);
        assert_int_equal(mp_semaphore_acquire(s, NAN), MP_EINVAL);
        assert_int_equal(mp_semaphore_release(s, 0), MP_EINVAL);
        assert_int_equal(mp_semaphore_release(s, -1), MP_EINVAL);
        assert_int_equal(mp_semaphore_release(s, INT_MIN), MP_EINVAL);
        assert_int_equal(mp_semaphore_value(s), 1);
        mp_semaphore_free(s);
    }
    s = NULL;
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(mp_semaphore_new(&s, 7), 0);
    for (int i = 7; i > 0; i--) {
        assert_int_equal(mp_semaphore_value(s), i);
        assert_int_equal(mp_semaphore_acquire(s, i % 2 ? MP_FOREVER : 0), 0);
    }
    assert_int_equal(mp_semaphore_value(s), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_semaphore_acquire(s, MP_NO_WAIT), MP_ETIMEDOUT);
    assert_int_equal(mp_semaphore_acquire(s, -MP_FOREVER), MP_ETIMEDOUT);
    assert_int_equal(mp_semaphore_release(s, 3), 0);
    assert_int_equal(mp_semaphore_value(s), 3);
    assert_int_equal(mp_semaphore_release(s, 9), 0); /* also what was never acquired */
    assert_int_equal(mp_semaphore_value(s), 12);
    assert_int_equal(mp_semaphore_release(s, INT_MAX - 12), 0);
    assert_int_equal(mp_semaphore_value(s), INT_MAX);
    assert_int_equal(mp_semaphore_release(s, 1), MP_ESTATE);
    assert_int_equal(mp_semaphore_release(s, INT_MAX), MP_ESTATE);
    assert_int_equal(mp_semaphore_value(s), INT_MAX);
    assert_int_equal(mp_semaphore_acquire(s, MP_FOREVER), 0);
    assert_int_equal(mp_semaphore_release(s, 2), MP_ESTATE);
    assert_int_equal(mp_semaphore_value(s), INT_MAX - 1);
    assert_int_equal(mp_semaphore_release(s, 1), 0);
}

static void test_bound(void **state)
{
    (void)state;
    assert_int_equal(mp_semaphore_new(&s, 2, .bound = 4), 0);
    assert_int_equal(mp_semaphore_release(s, 3), MP_ESTATE);
    assert_int_equal(mp_semaphore_value(s), 2); /* all or none */
    assert_int_equal(mp_semaphore_release(s, 2), 0);
    assert_int_equal(mp_semaphore_release(s, 1), MP_ESTATE);
    assert_int_equal(mp_semaphore_release(s, INT_MAX), MP_ESTATE);
    assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_release(s, 1), 0);
    assert_int_equal(mp_semaphore_value(s), 4);
    mp_semaphore_free(s);
    assert_int_equal(mp_semaphore_new(&s, 0, .owned = MP_YES), 0); /* BoundedSemaphore(0) */
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_semaphore_release(s, 1), MP_EPERM);
    assert_int_equal(mp_semaphore_value(s), 0);
}

static void on_signal(int signal)
{
    words[10] += signal == SIGALRM;
}

static void interrupt(int signal)
{
    (void)signal;
    mp_interrupt();
}

static int signal_parent(void *arg)
{
    until_asleep(getppid());
    return kill(getppid(), *(int *)arg);
}

static void handle(int signal, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler};
    sigaction(signal, &a, NULL);
}

/* Timeouts, handlers that return, handlers that interrupt; for both kinds. */
static void test_waits(void **state)
{
    (void)state;
    for (int owned = MP_NO; owned <= MP_YES; owned += 2) {
        assert_int_equal(mp_semaphore_new(&s, 0, .owned = owned), 0);
        double start = seconds();
        assert_int_equal(mp_semaphore_acquire(s, 0.15), MP_ETIMEDOUT); /* more than one look */
        assert_true(seconds() - start >= 0.15);
        start = seconds();
        assert_int_equal(mp_semaphore_acquire(s, 1e-9), MP_ETIMEDOUT);
        assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
        assert_true(seconds() - start < LONG / 2);

        handle(SIGALRM, on_signal);
        int signal = SIGALRM;
        uint32_t handled = words[10];
        pid_t child = child_start(signal_parent, &signal);
        start = seconds();
        assert_int_equal(mp_semaphore_acquire(s, 0.5), MP_ETIMEDOUT);
        assert_true(seconds() - start >= 0.5);
        assert_int_equal(child_end(child), 0);
        assert_int_equal(words[10], handled + 1);

        handle(SIGUSR1, interrupt);
        signal = SIGUSR1;
        child = child_start(signal_parent, &signal);
        assert_int_equal(mp_semaphore_acquire(s, MP_FOREVER), MP_EINTR);
        assert_int_equal(child_end(child), 0);
        mp_interrupt(); /* pending: the next blocking call, but no try */
        assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
        assert_int_equal(mp_semaphore_acquire(s, 1), MP_EINTR);
        assert_int_equal(mp_semaphore_acquire(s, 1e-3), MP_ETIMEDOUT);
        mp_semaphore_free(s);
    }
    assert_int_equal(mp_semaphore_new(&s, 1), 0);
    mp_interrupt(); /* also where there is nothing to wait for */
    assert_int_equal(mp_semaphore_acquire(s, MP_FOREVER), MP_EINTR);
    assert_int_equal(mp_semaphore_value(s), 1);
}

/* One permit each; tells when it has it. */
static int take_one(void *arg)
{
    (void)arg;
    signal_word(&words[0]);
    CHECK(mp_semaphore_acquire(s, 2 * LONG) == 0);
    signal_word(&words[1]);
    return 0;
}

#define CHILDREN 24
#define THREADS  8

/* Many sleep; releases of one, some and all wake so many, neither less nor more. */
static void test_many_waiters(void **state)
{
    (void)state;
    static const int parts[] = {1, 1, 5, 10, 15};
    pid_t child[CHILDREN];
    task thread[THREADS];
    assert_int_equal(mp_semaphore_new(&s, 0), 0);
    for (int i = 0; i < CHILDREN; i++)
        child[i] = child_start(take_one, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(task_start(&thread[i], take_one, NULL), 0);
    for (int i = 0; i < CHILDREN; i++)
        until_asleep(child[i]);
    assert_true(await(&words[0], CHILDREN + THREADS));
    uint32_t released = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_int_equal(mp_semaphore_release(s, parts[i]), 0);
        released += (uint32_t)parts[i];
        assert_true(await(&words[1], released));
        assert_int_equal(mp_semaphore_value(s), 0);
        assert_int_equal(mp__load_seq(&words[1]), released);
    }
    assert_int_equal(released, CHILDREN + THREADS);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(child_end(child[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(task_end(&thread[i]), 0);
}

#define SLEEPERS 3

static int take_on_and_on(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        CHECK(mp_semaphore_acquire(s, 2 * LONG) == 0);
        signal_word(&words[1]);
        CHECK(await(&words[2], (uint32_t)i + 1)); /* one for each in every round */
    }
    return 0;
}

/* All sleep, and as many permits come, one by one: at once, or each when the last one is taken. A
 * wake that is lost shows in the time, for sleepers look again by themselves after 100 ms. */
static void test_no_wake_is_lost(void **state)
{
    (void)state;
    int rounds = fewer(400), slow = 0;
    pid_t child[SLEEPERS];
    assert_int_equal(mp_semaphore_new(&s, 0), 0);
    for (int i = 0; i < SLEEPERS; i++)
        child[i] = child_start(take_on_and_on, &rounds);
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < SLEEPERS; k++)
            until_asleep(child[k]);
        double start = seconds();
        for (uint32_t k = 1; k <= SLEEPERS; k++) {
            assert_int_equal(mp_semaphore_release(s, 1), 0);
            if (i % 2 == 0)
                assert_true(await(&words[1], (uint32_t)i * SLEEPERS + k));
        }
        assert_true(await(&words[1], ((uint32_t)i + 1) * SLEEPERS));
        slow += seconds() - start > 0.05;
        signal_word(&words[2]);
    }
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp_semaphore_value(s), 0);
    assert_true(slow <= rounds / 2);
}

#define PERMITS 3

static int enter_and_leave(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        CHECK(mp_semaphore_acquire(s, 2 * LONG) == 0);
        CHECK(mp__add_seq(&words[0], 1) < PERMITS);
        if (i % 8 == 0)
            sched_yield();
        mp__sub_relaxed(&words[0], 1);
        mp__add_relaxed(&words[1], 1);
        CHECK(mp_semaphore_release(s, 1) == 0);
    }
    return 0;
}

/* Never more inside than there are permits; none is lost. Of both kinds, processes and threads. */
static void test_contention(void **state)
{
    (void)state;
    int rounds = fewer(20000);
    for (int owned = MP_NO; owned <= MP_YES; owned += 2) {
        pid_t child[4];
        task thread[2];
        assert_int_equal(mp_semaphore_new(&s, PERMITS, .bound = PERMITS, .owned = owned), 0);
        mp__store_seq(&words[1], 0);
        for (int i = 0; i < 4; i++)
            child[i] = child_start(enter_and_leave, &rounds);
        for (int i = 0; i < 2; i++)
            assert_int_equal(task_start(&thread[i], enter_and_leave, &rounds), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(task_end(&thread[i]), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(child_end(child[i]), 0);
        assert_int_equal(mp__load_seq(&words[1]), 6 * rounds);
        assert_int_equal(mp_semaphore_value(s), PERMITS);
        mp_semaphore_free(s);
    }
    s = NULL;
}

/* Made after the child was started, embedded in a structure, of either kind. */
typedef struct together {
    char before;
    mp_semaphore first, second;
} together;

static int use_handed_over(void *arg)
{
    _Atomic uintptr_t *where = arg;
    CHECK(await(&words[0], 1));
    together *t = (together *)mp__load_acquire(where);
    CHECK(mp_semaphore_acquire(&t->first, LONG) == 0);
    CHECK(mp_semaphore_acquire(&t->second, LONG) == 0);
    CHECK(mp_semaphore_release(&t->first, 5) == 0);
    CHECK(mp_semaphore_release(&t->second, 1) == 0);
    return 0;
}

static void test_embedded(void **state)
{
    (void)state;
    assert_int_equal(mp_init(), 0);
    size_t before = bytes_in_use();
    _Atomic uintptr_t *where = (_Atomic uintptr_t *)(void *)(words + 512);
    pid_t child = child_start(use_handed_over, (void *)where);
    together *t = mp_shared_alloc(sizeof *t);
    assert_non_null(t);
    memset(t, 0xa5, sizeof *t);
    assert_int_equal(mp_semaphore_acquire(&t->first, 0), MP_EINVAL);
    mp_semaphore_options o = {.size = sizeof o, .owned = MP_YES};
    assert_int_equal(mp_semaphore_init(NULL, 1, NULL), MP_EINVAL);
    assert_int_equal(mp_semaphore_init((mp_semaphore *)(void *)(&t->before + 8), 1, NULL),
                     MP_EINVAL);
    assert_int_equal(mp_semaphore_init(&t->first, -1, NULL), MP_EINVAL);
    assert_int_equal(mp_semaphore_init(&t->first, 1, NULL), 0);
    assert_int_equal(mp_semaphore_init(&t->second, 1, &o), 0);
    mp__store_release(where, (uintptr_t)t);
    signal_word(&words[0]);
    assert_int_equal(child_end(child), 0);
    assert_int_equal(mp_semaphore_value(&t->first), 5);
    assert_int_equal(mp_semaphore_value(&t->second), 1);
    assert_int_equal(mp_semaphore_fini(&t->first), 0);
    assert_int_equal(mp_semaphore_fini(&t->second), 0);
    assert_int_equal(mp_semaphore_fini(&t->second), MP_EINVAL);
    assert_int_equal(mp_semaphore_acquire(&t->second, 0), MP_EINVAL);
    mp_shared_free(t);
    assert_true(bytes_in_use() <= before + 64 * sizeof(mp_semaphore)); /* + life records */
}

/* The one who got a permit frees the semaphore at once: nobody writes there after that. */
static int release_what_comes(void *arg)
{
    _Atomic uintptr_t *where = arg;
    for (;;) {
        uintptr_t p;
        while ((p = mp__exchange_seq(where, 0)) == 0)
            sched_yield();
        if (p == 1)
            return 0;
        CHECK(mp_semaphore_release((mp_semaphore *)p, 1) == 0);
    }
}

static void test_free_at_once(void **state)
{
    (void)state;
    _Atomic uintptr_t *where = (_Atomic uintptr_t *)(void *)(words + 512);
    unsigned char full[sizeof(mp_semaphore)];
    memset(full, 0xff, sizeof full);
    assert_int_equal(mp_init(), 0);
    pid_t child = child_start(release_what_comes, (void *)where);
    for (int i = 0; i < fewer(5000); i++) {
        mp_semaphore *mine;
        assert_int_equal(mp_semaphore_new(&mine, 0), 0);
        mp__store_release(where, (uintptr_t)mine);
        assert_int_equal(mp_semaphore_acquire(mine, LONG), 0);
        mp_semaphore_free(mine);
        unsigned char *again = mp_shared_alloc(sizeof *mine);
        memset(again, 0xff, sizeof *mine);
        while (mp__load_seq(where) != 0)
            sched_yield();
        for (int k = 0; k < 20; k++)
            sched_yield();
        assert_memory_equal(again, full, sizeof full);
        mp_shared_free(again);
    }
    mp__store_seq(where, 1);
    assert_int_equal(child_end(child), 0);
}

static void release_in_handler(int signal)
{
    (void)signal;
    int saved = errno;
    errno = 12345;
    words[10] += mp_semaphore_release(s, 2) == 0 && errno == 12345;
    errno = saved;
}

static void test_release_in_handler(void **state)
{
    (void)state;
    assert_int_equal(mp_semaphore_new(&s, 0), 0);
    handle(SIGUSR2, release_in_handler);
    for (int i = 1; i <= 5; i++) {
        int signal = SIGUSR2;
        pid_t child = child_start(signal_parent, &signal);
        assert_int_equal(mp_semaphore_acquire(s, LONG), 0);
        assert_int_equal(mp_semaphore_acquire(s, 0), 0);
        assert_int_equal(child_end(child), 0);
        assert_int_equal(words[10], i);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_input),       TEST(test_counts),       TEST(test_bound),
        TEST(test_waits),           TEST(test_many_waiters), TEST(test_contention),
        TEST(test_embedded),        TEST(test_free_at_once), TEST(test_release_in_handler),
        TEST(test_no_wake_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
