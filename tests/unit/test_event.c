/* SPDX-License-Identifier: MIT */
/* The event: Python's Event, for processes and threads; nobody who waits misses a set. */
#include <mproc/error.h>
#include <mproc/event.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/time.h>

#include <cmocka.h>

static mp_event *e;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : mp_event_new(&e);
}

static int teardown(void **state)
{
    (void)state;
    mp_event_free(e);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static void test_bad_input(void **state)
{
    (void)state;
    mp_event none = {{0}};
    mp_event *x = &none;
    mp_event_options o = {.size = 1};
    assert_int_equal(mp_event_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_event_create(&x, &o), MP_EINVAL);
    assert_null(x);
    mp_event *const wrong[] = {NULL, &none};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_event_set(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_event_clear(wrong[i]), MP_EINVAL);
        assert_int_equal(mp_event_wait(wrong[i], 0), MP_EINVAL);
        assert_int_equal(mp_event_fini(wrong[i]), MP_EINVAL);
        assert_false(mp_event_is_set(wrong[i]));
        mp_event_free(wrong[i]);
    }
    assert_int_equal(mp_event_wait(e, NAN), MP_EINVAL);
    struct {
        mp_event first;
        char second[sizeof(mp_event)];
    } *t = mp_shared_calloc(1, sizeof *t);
    assert_int_equal(mp_event_init(NULL), MP_EINVAL);
    assert_int_equal(mp_event_init((mp_event *)(void *)(t->second + 8)), MP_EINVAL);
    assert_int_equal(mp_event_init(&t->first), 0);
    assert_int_equal(mp_event_set(&t->first), 0);
    assert_int_equal(mp_event_init(&t->first), 0); /* begins anew: clear */
    assert_false(mp_event_is_set(&t->first));
    assert_int_equal(mp_event_fini(&t->first), 0);
    assert_int_equal(mp_event_set(&t->first), MP_EINVAL);
    mp_shared_free(t);
}

static void test_set_and_clear(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(mp_event_is_set(e));
        assert_int_equal(mp_event_wait(e, 0), MP_ETIMEDOUT);
        assert_int_equal(mp_event_wait(e, MP_NO_WAIT), MP_ETIMEDOUT);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(mp_event_set(e), 0);
            assert_true(mp_event_is_set(e));
            assert_int_equal(mp_event_wait(e, 0), 0);
            assert_int_equal(mp_event_wait(e, MP_FOREVER), 0);
        }
        for (int k = 0; k < 2; k++)
            assert_int_equal(mp_event_clear(e), 0);
    }
}

static void handle(int signal, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler};
    sigaction(signal, &a, NULL);
}

static void interrupt(int signal)
{
    (void)signal;
    mp_interrupt();
}

static void count(int signal)
{
    words[10] += signal == SIGALRM;
}

static int signal_parent(void *arg)
{
    until_asleep(getppid());
    return kill(getppid(), *(int *)arg);
}

static void test_timeouts(void **state)
{
    (void)state;
    double start = seconds();
    assert_int_equal(mp_event_wait(e, 0.15), MP_ETIMEDOUT); /* more than one look */
    assert_true(seconds() - start >= 0.15);
    handle(SIGALRM, count);
    int signal = SIGALRM;
    pid_t child = child_start(signal_parent, &signal);
    start = seconds();
    assert_int_equal(mp_event_wait(e, 0.5), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.5 && seconds() - start < LONG);
    assert_int_equal(child_end(child), 0);
    assert_int_equal(words[10], 1);

    handle(SIGUSR1, interrupt);
    signal = SIGUSR1;
    child = child_start(signal_parent, &signal);
    assert_int_equal(mp_event_wait(e, MP_FOREVER), MP_EINTR);
    assert_int_equal(child_end(child), 0);
    mp_interrupt();
    assert_int_equal(mp_event_wait(e, 0), MP_ETIMEDOUT); /* a try takes none */
    mp_event_set(e);
    assert_int_equal(mp_event_wait(e, MP_FOREVER), MP_EINTR);
    assert_int_equal(mp_event_wait(e, MP_FOREVER), 0);
}

#define CHILDREN 12
#define THREADS  12

/* The exit status is what came of the wait. */
static int wait_once(void *arg)
{
    (void)arg;
    mp__store_seq(&words[100 + mp__add_seq(&words[1], 1)], (uint32_t)gettid());
    signal_word(&words[0]);
    return mp_event_wait(e, 2 * LONG) == 0 ? 0 : 1;
}

/* Everybody who waits returns 0, whatever comes after the set. */
static void set_for_all(bool clear_at_once)
{
    pid_t child[CHILDREN];
    task thread[THREADS];
    mp__store_seq(&words[0], 0);
    mp__store_seq(&words[1], 0);
    for (int i = 0; i < CHILDREN; i++)
        child[i] = child_start(wait_once, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(task_start(&thread[i], wait_once, NULL), 0);
    assert_true(await(&words[0], CHILDREN + THREADS));
    for (int i = 0; i < CHILDREN + THREADS; i++)
        until_asleep((pid_t)mp__load_seq(&words[100 + i]));
    assert_int_equal(mp_event_set(e), 0);
    if (clear_at_once)
        assert_int_equal(mp_event_clear(e), 0);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(child_end(child[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(task_end(&thread[i]), 0);
    assert_int_equal(mp_event_is_set(e), !clear_at_once);
    assert_int_equal(mp_event_clear(e), 0);
}

static void test_all_are_woken(void **state)
{
    (void)state;
    set_for_all(false);
    set_for_all(false);
}

static void test_set_and_clear_loses_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < fewer(8); i++)
        set_for_all(true);
}

/* Waits round after round, in step with one who sets and clears. */
static int wait_for_each(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        signal_word(&words[1]);
        CHECK(mp_event_wait(e, 2 * LONG) == 0);
        signal_word(&words[3]);
        CHECK(await(&words[2], (uint32_t)i + 1)); /* it is clear again */
    }
    return 0;
}

/* Each set reaches both, who are asleep, or somewhere on their way. */
static void test_every_set_counts(void **state)
{
    (void)state;
    int rounds = fewer(3000);
    pid_t child[2];
    for (int i = 0; i < 2; i++)
        child[i] = child_start(wait_for_each, &rounds);
    for (int i = 0; i < rounds; i++) {
        assert_true(await(&words[1], 2 * ((uint32_t)i + 1)));
        bool asleep = i % 2 == 0;
        for (int k = 0; k < 2 && asleep; k++)
            until_asleep(child[k]);
        assert_int_equal(mp_event_set(e), 0);
        if (!asleep) /* whoever is late must find it set */
            assert_true(await(&words[3], 2 * ((uint32_t)i + 1)));
        assert_int_equal(mp_event_clear(e), 0);
        assert_true(await(&words[3], 2 * ((uint32_t)i + 1)));
        signal_word(&words[2]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_end(child[i]), 0);
}

/* Clear, look, wait; on the other side publish, set: also a set that finds the event set. */
static int publish(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        mp__store_relaxed(&words[64], mp__load_relaxed(&words[64]) + 1);
        mp_event_set(e);
        if (i % 64 == 0) /* lets the other catch up, so that it sleeps now and then */
            await(&words[128], (uint32_t)i);
    }
    return 0;
}

static void test_publish_and_set(void **state)
{
    (void)state;
    int rounds = fewer(200000);
    pid_t child = child_start(publish, &rounds);
    for (uint32_t seen = 0; seen < (uint32_t)rounds;) {
        assert_int_equal(mp_event_wait(e, 2 * LONG), 0);
        assert_int_equal(mp_event_clear(e), 0);
        seen = mp__load_relaxed(&words[64]);
        mp__store_release(&words[128], seen);
    }
    assert_int_equal(child_end(child), 0);
}

static void set_in_handler(int signal)
{
    (void)signal;
    int saved = errno;
    errno = 12345;
    words[10] += mp_event_set(e) == 0 && mp_event_is_set(e) && errno == 12345;
    errno = saved;
}

/* In a handler that has interrupted a wait for this very event: while it sleeps, and at any other
 * moment. */
static void test_set_in_handler(void **state)
{
    (void)state;
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        struct sigaction a = {.sa_handler = set_in_handler, .sa_flags = flags};
        sigaction(SIGALRM, &a, NULL);
        for (int i = 0; i < 4; i++) {
            int signal = SIGALRM;
            pid_t child = child_start(signal_parent, &signal);
            assert_int_equal(mp_event_wait(e, i % 2 ? LONG : MP_FOREVER), 0);
            assert_int_equal(mp_event_clear(e), 0);
            assert_int_equal(child_end(child), 0);
        }
        assert_int_equal(words[10], 4);
        words[10] = 0;
        for (int i = 0; i < fewer(1000); i++) {
            struct itimerval once = {.it_value = {.tv_usec = 1 + i % 50}};
            setitimer(ITIMER_REAL, &once, NULL);
            assert_int_equal(mp_event_wait(e, LONG), 0);
            assert_int_equal(mp_event_clear(e), 0);
        }
        words[10] = 0;
    }
    handle(SIGALRM, count);
}

/* Waiters that are dead or stopped: set returns at once, the others go on. */
static void test_dead_and_stopped(void **state)
{
    (void)state;
    pid_t child[9];
    for (int i = 0; i < 9; i++)
        child[i] = child_start(wait_once, NULL);
    for (int i = 0; i < 9; i++)
        until_asleep(child[i]);
    assert_true(await(&words[0], 9));
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    for (int i = 3; i < 6; i++) {
        kill(child[i], SIGSTOP);
        until_asleep(child[i]);
    }
    double start = seconds();
    assert_int_equal(mp_event_set(e), 0);
    assert_true(seconds() - start < LONG / 2);
    for (int i = 6; i < 9; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp_event_clear(e), 0);
    for (int i = 3; i < 6; i++) {
        kill(child[i], SIGCONT);
        assert_int_equal(child_end(child[i]), 0); /* it was set during their wait */
    }
}

static int set_and_clear(void *arg)
{
    (void)arg;
    for (;;) {
        CHECK(mp_event_set(e) == 0);
        CHECK(mp_event_clear(e) == 0);
    }
}

static int wait_on_and_on(void *arg)
{
    word *mine = arg;
    for (;;) {
        CHECK(mp_event_wait(e, 2 * LONG) == 0);
        signal_word(mine);
    }
}

#define WAITERS 3
#define SETTERS 2

/* Setters and waiters are killed at any moment and replaced; the others always go on. */
static void test_storm(void **state)
{
    (void)state;
    random_state r = random_start("test_storm");
    pid_t child[WAITERS + SETTERS];
    for (int i = 0; i < WAITERS + SETTERS; i++)
        child[i] = child_start(i < WAITERS ? wait_on_and_on : set_and_clear, (void *)&words[i]);
    for (int kills = 0; kills < fewer(300); kills++) {
        uint32_t i = random_below(&r, WAITERS + SETTERS);
        nap(random_below(&r, 1000) * 1e-6);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        child[i] = child_start(i < WAITERS ? wait_on_and_on : set_and_clear, (void *)&words[i]);
        for (int k = 0; k < WAITERS && kills % 16 == 0; k++)
            assert_true(await(&words[k], mp__load_seq(&words[k]) + 2));
    }
    for (int i = 0; i < WAITERS + SETTERS; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    set_for_all(true); /* as good as new */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_input),        TEST(test_set_and_clear),
        TEST(test_timeouts),         TEST(test_all_are_woken),
        TEST(test_every_set_counts), TEST(test_set_and_clear_loses_nobody),
        TEST(test_publish_and_set),  TEST(test_set_in_handler),
        TEST(test_dead_and_stopped), TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
