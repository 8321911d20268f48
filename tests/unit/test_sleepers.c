/* SPDX-License-Identifier: MIT */
/* Sleepers: as many are woken as there are things, whoever dies; an interrupt is never slept
 * through; and who sleeps uses no processor time. */
#include "sync/sleepers.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "support/shared.h"

#include <mproc/defs.h>
#include <mproc/error.h>
#include <mproc/queue.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TAKERS = 6 };

/* In memory of its own: nothing but words is needed. */
typedef struct place {
    mp__sleepers sleepers;
    word things; /* to be taken */
    word taken, begun, ended, interrupted[TAKERS], go_on;
} place;

static place *p;

static int setup(void **state)
{
    (void)state;
    p = common(sizeof *p);
    return p == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap(p, sizeof *p);
    return 0;
}

static bool take_one(void)
{
    uint32_t n = mp__load_seq(&p->things);
    while (n > 0)
        if (mp__cas_seq(&p->things, &n, n - 1)) {
            signal_word(&p->taken);
            return true;
        }
    return false;
}

static int take(void *arg)
{
    (void)arg;
    signal_word(&p->begun);
    while (!take_one()) {
        uint32_t ticket = mp__sleepers_join(&p->sleepers);
        if (mp__load_seq(&p->things) == 0)
            CHECK(mp__sleepers_sleep(&p->sleepers, ticket, MP__NEVER) == 0);
    }
    mp__sleepers_leave(&p->sleepers, mp__load_seq(&p->things) > 0);
    return 0;
}

static void put(uint32_t n)
{
    mp__add_seq(&p->things, n);
    mp__sleepers_wake(&p->sleepers, (int)n);
}

/* How often it has slept. */
static long sleeps_of(pid_t pid)
{
    char path[40], line[200];
    long n = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && n < 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) != 1)
            n = -1;
    if (f != NULL)
        fclose(f);
    return n;
}

static void start_takers(pid_t *child, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) { /* one by one: the first is the first to be woken */
        uint32_t before = mp__load_seq(&p->begun);
        child[i] = child_start(take, NULL);
        assert_true(await(&p->begun, before + 1));
        until_asleep(child[i]);
    }
}

static void test_as_many_as_there_are(void **state)
{
    (void)state;
    pid_t child[TAKERS];
    long slept[TAKERS];
    start_takers(child, TAKERS);
    for (int i = 0; i < TAKERS; i++)
        slept[i] = sleeps_of(child[i]);
    for (int i = 0; i < 3; i++) {
        put(1);
        assert_int_equal(child_end(child[i]), 0);
    }
    for (int i = 3; i < TAKERS; i++) /* who had nothing to take was not woken */
        assert_int_equal(sleeps_of(child[i]), slept[i]);
    mp__add_seq(&p->things, TAKERS);
    mp__sleepers_wake(&p->sleepers, MP__SLEEPERS_ALL);
    for (int i = 3; i < TAKERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_false(mp__sleepers_any(&p->sleepers));
    assert_int_equal(mp__load_seq(&p->things), 3);
}

/* More are to be woken than there are: then nobody is said to sleep. */
static void test_fewer_than_wanted(void **state)
{
    (void)state;
    pid_t child[2];
    start_takers(child, 2);
    put(3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_false(mp__sleepers_any(&p->sleepers));
    assert_int_equal(take(NULL), 0);
}

/* Who is woken is killed, and the next, and so on: either it has taken the thing or the next one
 * does. */
static void test_chain_of_deaths(void **state)
{
    (void)state;
    for (int round = 0; round < fewer(40); round++) {
        pid_t child[TAKERS];
        bool taken = false;
        start_takers(child, TAKERS);
        put(1);
        for (int i = 0; i < TAKERS - 1 && !taken; i++) {
            kill(child[i], SIGKILL);
            taken = child_end(child[i]) == 0 || mp__load_seq(&p->things) == 0;
        }
        assert_true(await(&p->taken, (uint32_t)round + 1));
        assert_int_equal(mp__load_seq(&p->things), 0);
        for (int i = 0; i < TAKERS; i++)
            child_kill(child[i]);
    }
}

/* A putter of many dies before it wakes anybody: the kernel wakes one, who wakes another. */
static int put_many_and_die(void *arg)
{
    (void)arg;
    mp__robust_announce_bell(mp__thread_self(), &p->sleepers.word);
    mp__add_seq(&p->things, TAKERS);
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_of_a_putter_of_many(void **state)
{
    (void)state;
    pid_t child[TAKERS];
    start_takers(child, TAKERS);
    assert_int_equal(child_end(child_start(put_many_and_die, NULL)), -SIGKILL);
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(child_end(child[i]), 0);
}

/* A putter dies before it wakes anybody, or with the bit cleared: the kernel wakes one. */
static int put_and_die(void *arg)
{
    mp__robust_announce_bell(mp__thread_self(), &p->sleepers.word);
    mp__add_seq(&p->things, 1);
    if (*(bool *)arg)
        mp__and_seq(&p->sleepers.word, ~MP__ASLEEP);
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_of_a_putter(void **state)
{
    (void)state;
    for (int cleared = 0; cleared < 2; cleared++) {
        pid_t child[3];
        start_takers(child, 3);
        int end = child_end(child_start(put_and_die, &(bool){cleared}));
        assert_int_equal(end, -SIGKILL);
        assert_true(await(&p->taken, (uint32_t)cleared * 3 + 1));
        put(2); /* with the bit cleared nobody would be woken here, if the first had not done it */
        for (int i = 0; i < 3; i++)
            assert_int_equal(child_end(child[i]), 0);
    }
}

/* Interrupts. The handler's calls are restarted by the kernel, and there is no timer. */
static void on_signal(int number)
{
    (void)number;
    mp_interrupt();
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
}

typedef struct order {
    int me, rounds;
} order;

static int sleep_until_interrupted(void *arg)
{
    const order *o = arg;
    handle_signals();
    signal_word(&p->begun);
    for (int i = 0; i < o->rounds;) {
        uint32_t ticket = mp__sleepers_join(&p->sleepers);
        if (mp__sleepers_sleep(&p->sleepers, ticket, MP__NEVER) != MP_EINTR)
            continue;
        mp__sleepers_leave(&p->sleepers, false);
        i++;
        signal_word(&p->interrupted[o->me]);
    }
    return 0;
}

/* So many sleep on one word and get the signal at the same time, as behind Ctrl-C; each time each
 * must learn of it. */
static void interrupt_all(int n, int rounds)
{
    pid_t child[TAKERS];
    memset(p, 0, sizeof *p);
    for (int i = 0; i < n; i++)
        child[i] = child_start(sleep_until_interrupted, &(order){i, rounds});
    assert_true(await(&p->begun, (uint32_t)n));
    for (uint32_t round = 1; round <= (uint32_t)rounds; round++) {
        if (round % 4 == 0)
            for (int i = 0; i < n; i++)
                until_asleep(child[i]);
        for (int i = 0; i < n; i++)
            kill(child[i], SIGUSR1);
        for (int i = 0; i < n; i++)
            assert_true(await(&p->interrupted[i], round));
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(child_end(child[i]), 0);
}

static void test_interrupt(void **state)
{
    (void)state;
    interrupt_all(1, fewer(3000));
}

static void test_interrupts_together(void **state)
{
    (void)state;
    interrupt_all(2, fewer(5000));
    interrupt_all(TAKERS, fewer(2000));
}

/* From another thread of the process. */
static void *interrupt_again_and_again(void *arg)
{
    for (uint32_t i = 1; i <= (uint32_t)((order *)arg)->rounds; i++) {
        mp_interrupt();
        if (!await(&p->interrupted[0], i))
            break;
    }
    return NULL;
}

static int interrupt_by_thread(void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, interrupt_again_and_again, arg) == 0);
    int rc = sleep_until_interrupted(arg);
    pthread_join(thread, NULL);
    return rc;
}

static void test_interrupt_by_thread(void **state)
{
    (void)state;
    order o = {0, fewer(5000)};
    assert_int_equal(child_end(child_start(interrupt_by_thread, &o)), 0);
}

/* A child that is forked while another thread of its parent sleeps, and a third one interrupts. */
static int sleep_once(void *arg)
{
    (void)arg;
    mp_interrupt(); /* for this process alone */
    uint32_t ticket = mp__sleepers_join(&p->sleepers);
    CHECK(mp__sleepers_sleep(&p->sleepers, ticket, MP__NEVER) == MP_EINTR);
    mp__sleepers_leave(&p->sleepers, false);
    return take(NULL);
}

static void *interrupt_until_told(void *arg)
{
    while (!mp__load_seq(&p->go_on))
        mp_interrupt();
    return arg;
}

static void test_fork_in_between(void **state)
{
    (void)state;
    pthread_t thread;
    task sleeper;
    assert_int_equal(task_start(&sleeper, take, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_until_told, NULL), 0);
    for (int i = 0; i < fewer(100); i++) {
        pid_t child = child_start(sleep_once, NULL);
        put(1); /* for whom it may be */
        assert_true(await(&p->taken, (uint32_t)i + 1));
        put(1);
        assert_int_equal(child_end(child), 0);
        if (mp__load_seq(&p->taken) == (uint32_t)i + 1)
            take_one();
        mp__store_seq(&p->things, 0);
        mp__store_seq(&p->taken, (uint32_t)i + 1);
    }
    mp__store_seq(&p->go_on, 1);
    pthread_join(thread, NULL);
    put(2);
    assert_int_equal(task_end(&sleeper), 0);
    mp__interrupt_take();
}

static int get_one(void *arg)
{
    char c;
    signal_word(&p->begun);
    return mp_queue_get(arg, &c, 1, MP_FOREVER) == 1 ? 0 : 1;
}

/* Who is blocked in a get uses no processor time. */
static void test_idle(void **state)
{
    (void)state;
    if (!mp__robust_bells_ring())
        skip(); /* there it looks again every 100 ms */
    mp_queue *q;
    assert_int_equal(mp_queue_new(&q), 0);
    pid_t child = child_start(get_one, q);
    assert_true(await(&p->begun, 1));
    until_asleep(child);
    long before = sleeps_of(child);
    nap(2);
    assert_in_range(sleeps_of(child), before, before + 2);
    assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
    assert_int_equal(child_end(child), 0);
    mp_queue_free(q);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_as_many_as_there_are), TEST(test_fewer_than_wanted),
        TEST(test_chain_of_deaths),      TEST(test_death_of_a_putter_of_many),
        TEST(test_death_of_a_putter),    TEST(test_interrupt),
        TEST(test_interrupts_together),  TEST(test_interrupt_by_thread),
        TEST(test_fork_in_between),      TEST(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
