/* SPDX-License-Identifier: MIT */
/* The owned semaphore: permits belong to processes, and come back when these die. */
#include <mproc/error.h>
#include <mproc/semaphore.h>
#include <mproc/shared.h>

#include "os/identity.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

static mp_semaphore *s, *other;
static word *words;

static int setup(void **state)
{
    (void)state;
    words = common(8192);
    s = other = NULL;
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_semaphore_free(s);
    mp_semaphore_free(other);
    munmap((void *)words, 8192);
    return mp_shared_check(NULL);
}

static void make(int value)
{
    assert_int_equal(mp_semaphore_new(&s, value, .owned = MP_YES), 0);
}

/* A child that holds so many, until it is killed. */
static int hold(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        CHECK(mp_semaphore_acquire(s, LONG) == 0);
    signal_word(&words[0]);
    pause();
    return 0;
}

static pid_t start_holder(int n)
{
    uint32_t before = mp__load_seq(&words[0]);
    pid_t pid = child_start(hold, &n);
    assert_true(await(&words[0], before + 1));
    return pid;
}

static int acquire(void *arg)
{
    (void)arg;
    return mp_semaphore_acquire(s, 2 * LONG) == 0 ? 0 : 1;
}

static int acquire_and_stay(void *arg)
{
    CHECK(acquire(arg) == 0);
    signal_word(&words[1]);
    pause();
    return 0;
}

static int release(void *arg)
{
    return -mp_semaphore_release(s, *(int *)arg) & 0xff;
}

static void test_who_may_release(void **state)
{
    (void)state;
    int one = 1;
    task t;
    make(3);
    assert_int_equal(mp_semaphore_release(s, 1), MP_EPERM);
    assert_int_equal(mp_semaphore_acquire(s, MP_FOREVER), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_release(s, 3), MP_EPERM);
    assert_int_equal(mp_semaphore_value(s), 1); /* nothing was released */
    assert_int_equal(child_end(child_start(release, &one)), -MP_EPERM & 0xff);
    assert_int_equal(mp_semaphore_value(s), 1);
    assert_int_equal(task_start(&t, release, &one), 0); /* any thread of the process */
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(mp_semaphore_value(s), 2);
    assert_int_equal(mp_semaphore_release(s, 1), 0);
    assert_int_equal(mp_semaphore_release(s, 1), MP_EPERM);
    assert_int_equal(mp_semaphore_value(s), 3);
    mp_semaphore_free(s);
    assert_int_equal(mp_semaphore_new(&s, 3, .owned = MP_YES, .bound = 2), MP_EINVAL);
    assert_int_equal(mp_semaphore_new(&s, 3, .owned = MP_YES, .bound = 9), 0);
    assert_int_equal(mp_semaphore_release(s, 1), MP_EPERM);
}

/* The thread that acquired ends, whichever it was: nothing comes back. */
static void test_thread_ends(void **state)
{
    (void)state;
    task t;
    make(2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(task_start(&t, acquire, NULL), 0);
        assert_int_equal(task_end(&t), 0);
    }
    assert_int_equal(mp_semaphore_value(s), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    double start = seconds();
    assert_int_equal(mp_semaphore_acquire(s, 0.3), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.3);
    pid_t child = child_start(acquire, NULL); /* another process sees the same */
    until_asleep(child);
    assert_int_equal(mp_semaphore_value(s), 0);
    assert_int_equal(mp_semaphore_release(s, 2), 0);
    assert_int_equal(child_end(child), 0);
    assert_int_equal(mp_semaphore_value(s), 2); /* that one has ended */
}

static int stay_on(void *arg)
{
    (void)arg;
    signal_word(&words[2]);
    pause();
    return 0;
}

/* The first thread acquires and ends, another lives on; then the process dies. */
static int leave_a_thread(void *arg)
{
    task t;
    CHECK(task_start(&t, stay_on, arg) == 0);
    CHECK(await(&words[2], 1));
    CHECK(mp_semaphore_acquire(s, LONG) == 0);
    signal_word(&words[0]);
    pthread_exit(NULL);
}

static void test_first_thread_ends(void **state)
{
    (void)state;
    make(1);
    pid_t child = child_start(leave_a_thread, NULL);
    assert_true(await(&words[0], 1));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    for (char text[256] = ""; strstr(text, ") Z") == NULL; nap(0.001)) {
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof text, f));
        fclose(f);
    }
    assert_int_equal(mp_semaphore_value(s), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0.2), MP_ETIMEDOUT);
    uint64_t started = mp__process_started(child);
    assert_true(started > MP__STARTED_UNKNOWN);
    assert_false(mp__process_is_gone(child, started));
    kill(child, SIGKILL);
    assert_int_equal(mp_semaphore_acquire(s, LONG), 0); /* before anybody has reaped it */
    assert_true(mp__process_is_gone(child, started));
    assert_int_equal(child_end(child), -SIGKILL);
    assert_true(mp__process_is_gone(child, started));
    assert_true(mp__process_is_gone(getpid(), started)); /* a number that is used again */
    assert_false(mp__process_is_gone(getpid(), MP__STARTED_UNKNOWN));
}

/* Without waiting, a zombie still: a try, the value, and an acquire see the permits back. */
static void test_death_returns_all(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        make(3);
        pid_t child = start_holder(3);
        assert_int_equal(mp_semaphore_value(s), 0);
        assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
        kill(child, SIGKILL);
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
        if (way == 0)
            assert_int_equal(mp_semaphore_acquire(s, 0), 0);
        else if (way == 1)
            assert_int_equal(mp_semaphore_value(s), 3);
        else
            assert_int_equal(mp_semaphore_acquire(s, MP_FOREVER), 0);
        assert_int_equal(mp_semaphore_value(s), way == 1 ? 3 : 2);
        assert_int_equal(child_end(child), -SIGKILL);
        mp_semaphore_free(s);
    }
    s = NULL;
}

/* Sleepers look again by themselves after 100 ms: without a wake each round is as slow as that.
 * One that is quick suffices, for a busy machine may slow down any, and a tool all of them. */
#define AT_ONCE 0.05
static bool were_woken(int slow, int rounds)
{
    /* Before 5.16 the kernel cannot wake a sleeper at a death of several that it watches. */
    bool can_watch = syscall(449 /* futex_waitv */, NULL, 0, 0, NULL, 0) < 0 && errno == EINVAL;
    return slow < rounds || fewer(1000) < 1000 || !can_watch;
}

static void test_release_wakes(void **state)
{
    (void)state;
    int rounds = fewer(20), slow = 0;
    make(1);
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(mp_semaphore_acquire(s, LONG), 0);
        pid_t child = child_start(acquire, NULL);
        until_asleep(child);
        double start = seconds();
        assert_int_equal(mp_semaphore_release(s, 1), 0);
        assert_int_equal(child_end(child), 0);
        slow += seconds() - start > AT_ONCE;
    }
    assert_true(were_woken(slow, rounds));
}

/* Stops one who sleeps; but not while it looks, with the lock that all need. */
static void stop_asleep(pid_t child)
{
    for (;;) {
        until_asleep(child);
        assert_true(child_stop(child));
        if (mp_semaphore_acquire(s, 0) == MP_ETIMEDOUT)
            return;
        kill(child, SIGCONT); /* MP_EAGAIN: somebody has the lock */
    }
}

/* Those who sleep get what the dead one held at once, each of them. */
static void test_waiters_are_woken(void **state)
{
    (void)state;
    pid_t child[8];
    double worst = 0;
    int rounds = fewer(10), slow = 0;
    for (int round = 0; round < rounds; round++) {
        make(4);
        pid_t holder = start_holder(3), second = start_holder(1);
        for (int i = 0; i < 6; i++) {
            child[i] = child_start(acquire_and_stay, NULL);
            until_asleep(child[i]);
        }
        mp__store_seq(&words[1], 0);
        stop_asleep(child[0]); /* these two must not take the wake along */
        assert_int_equal(child_kill(child[1]), -SIGKILL);
        double start = seconds();
        kill(holder, SIGKILL);
        assert_true(await(&words[1], 3));
        double took = seconds() - start;
        worst = took > worst ? took : worst;
        slow += took > AT_ONCE;
        assert_int_equal(child_end(holder), -SIGKILL);
        assert_int_equal(mp_semaphore_value(s), 0);
        assert_int_equal(mp__load_seq(&words[1]), 3); /* three and no more */
        assert_int_equal(child_kill(second), -SIGKILL);
        assert_true(await(&words[1], 4));
        kill(child[0], SIGCONT);
        for (int i = 2; i < 6; i++)
            assert_int_equal(child_kill(child[i]), -SIGKILL);
        assert_true(await(&words[1], 5)); /* the stopped one, in the end */
        assert_int_equal(child_kill(child[0]), -SIGKILL);
        assert_int_equal(mp_semaphore_value(s), 4);
        mp_semaphore_free(s);
    }
    s = NULL;
    printf("from a holder's death to the last of three waiters: at most %.1f ms\n", worst * 1e3);
    assert_true(were_woken(slow, rounds));
}

/* One thread of many acquires. */
static int hold_among_threads(void *arg)
{
    task t[6];
    for (int i = 0; i < 6; i++)
        CHECK(task_start(&t[i], i == 3 ? hold : stay_on, arg) == 0);
    pause();
    return 0;
}

/* At the death of a process with threads that one's life is over before the process is gone. */
static void test_threads_die(void **state)
{
    (void)state;
    int rounds = fewer(20), slow = 0, one = 1;
    make(1);
    for (int i = 0; i < rounds; i++) {
        mp__store_seq(&words[0], 0);
        mp__store_seq(&words[2], 0);
        pid_t holder = child_start(hold_among_threads, &one);
        assert_true(await(&words[0], 1) && await(&words[2], 5));
        pid_t child = child_start(acquire, NULL);
        until_asleep(child);
        double start = seconds();
        kill(holder, SIGKILL);
        assert_int_equal(child_end(child), 0);
        slow += seconds() - start > AT_ONCE;
        assert_int_equal(child_end(holder), -SIGKILL);
    }
    assert_int_equal(mp_semaphore_value(s), 1);
    assert_true(were_woken(slow, rounds));
}

static int hold_both(void *arg)
{
    (void)arg;
    CHECK(mp_semaphore_acquire(s, LONG) == 0);
    CHECK(mp_semaphore_acquire(other, LONG) == 0);
    signal_word(&words[0]);
    pause();
    return 0;
}

static int acquire_other(void *arg)
{
    (void)arg;
    return mp_semaphore_acquire(other, 2 * LONG) == 0 ? 0 : 1;
}

/* The kernel wakes one who watches a life: the others hear of it from that one. */
static void test_two_semaphores(void **state)
{
    (void)state;
    int rounds = fewer(10), slow = 0;
    make(1);
    assert_int_equal(mp_semaphore_new(&other, 1, .owned = MP_YES), 0);
    for (int i = 0; i < rounds; i++) {
        mp__store_seq(&words[0], 0);
        pid_t holder = child_start(hold_both, NULL);
        assert_true(await(&words[0], 1));
        pid_t a = child_start(acquire, NULL), b = child_start(acquire_other, NULL);
        until_asleep(a);
        until_asleep(b);
        double start = seconds();
        kill(holder, SIGKILL);
        assert_int_equal(child_end(a), 0);
        assert_int_equal(child_end(b), 0);
        slow += seconds() - start > AT_ONCE;
        assert_int_equal(child_end(holder), -SIGKILL);
        assert_int_equal(mp_semaphore_value(s), 1);
        assert_int_equal(mp_semaphore_value(other), 1);
    }
    assert_true(were_woken(slow, rounds));
}

#define HOLDERS 140 /* more than can be watched, and than the first tables have room for */

static void test_many_holders(void **state)
{
    (void)state;
    pid_t child[HOLDERS];
    int count = fewer(HOLDERS);
    make(count);
    for (int i = 0; i < count; i++)
        child[i] = start_holder(1);
    assert_int_equal(mp_semaphore_value(s), 0);
    for (int i = 0; i < count; i += count / 2) { /* the first, and one far behind */
        pid_t waiter = child_start(acquire, NULL);
        until_asleep(waiter);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        assert_int_equal(child_end(waiter), 0);
        child[i] = start_holder(1);
    }
    for (int i = 0; i < count; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_int_equal(mp_semaphore_value(s), count);
    size_t with = bytes_in_use();
    mp_semaphore_free(s);
    s = NULL;
    assert_true(bytes_in_use() < with - sizeof(mp_semaphore)); /* the table, too */
    size_t without = bytes_in_use();
    for (int i = 0; i < 10; i++) {
        make(1);
        mp_semaphore_free(s);
    }
    s = NULL;
    assert_int_equal(bytes_in_use(), without);
}

/* What a forked child's parent holds is not the child's, also if the child holds its own. */
static int fork_owns_nothing(void *arg)
{
    (void)arg;
    CHECK(mp_semaphore_release(s, 1) == MP_EPERM);
    CHECK(mp_semaphore_acquire(s, 0) == 0);
    CHECK(mp_semaphore_release(s, 2) == MP_EPERM);
    CHECK(mp_semaphore_release(s, 1) == 0);
    CHECK(mp_semaphore_acquire(s, 0) == 0); /* and ends with one */
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    make(3);
    assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_end(child_start(fork_owns_nothing, NULL)), 0);
    assert_int_equal(mp_semaphore_value(s), 1);
    assert_int_equal(mp_semaphore_release(s, 2), 0);
}

/* After execve nobody is left who could release, but the process lives. */
static int hold_and_exec(void *arg)
{
    (void)arg;
    CHECK(mp_semaphore_acquire(s, LONG) == 0);
    signal_word(&words[0]);
    execlp("sleep", "sleep", "240", (char *)NULL);
    return 1;
}

static void test_exec(void **state)
{
    (void)state;
    make(1);
    pid_t child = child_start(hold_and_exec, NULL);
    assert_true(await(&words[0], 1));
    until_asleep(child);
    assert_int_equal(mp_semaphore_acquire(s, 0.05), MP_ETIMEDOUT);
    kill(child, SIGKILL);
    assert_int_equal(mp_semaphore_acquire(s, LONG), 0);
    assert_int_equal(child_end(child), -SIGKILL);
}

#define PERMITS 4
#define WORKERS 6

static int work(void *arg)
{
    (void)arg;
    random_state r = (uint64_t)getpid() * 77 + 1;
    int mine = 0;
    for (;;) {
        int rc = mp_semaphore_acquire(s, random_below(&r, 3) == 0 ? 0 : mine == 0 ? LONG : 1e-4);
        CHECK(rc == 0 || rc == MP_ETIMEDOUT || rc == MP_EAGAIN);
        mine += rc == 0;
        int n = mine == 0 ? 0 : 1 + (int)random_below(&r, (uint32_t)mine);
        if (n > 0 && random_below(&r, 2) == 0) {
            CHECK(mp_semaphore_release(s, n) == 0);
            mine -= n;
        }
        CHECK(mp_semaphore_release(s, mine + 1) == MP_EPERM);
        signal_word(&words[3]);
    }
}

/* Killed at any moment and replaced, with whatever they hold: in the end all permits are there. */
static void test_storm(void **state)
{
    (void)state;
    random_state r = random_start("test_storm");
    pid_t child[WORKERS];
    make(PERMITS);
    for (int i = 0; i < WORKERS; i++)
        child[i] = child_start(work, NULL);
    for (int kills = 0; kills < fewer(400); kills++) {
        uint32_t i = random_below(&r, WORKERS);
        nap(random_below(&r, 1500) * 1e-6);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        child[i] = child_start(work, NULL);
        if (kills % 16 == 0)
            assert_true(await(&words[3], mp__load_seq(&words[3]) + 20));
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_int_equal(mp_semaphore_value(s), PERMITS);
    for (int i = 0; i < PERMITS; i++)
        assert_int_equal(mp_semaphore_acquire(s, 0), 0);
    assert_int_equal(mp_semaphore_acquire(s, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_semaphore_release(s, PERMITS), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_who_may_release),
        TEST(test_thread_ends),
        TEST(test_first_thread_ends),
        TEST(test_death_returns_all),
        TEST(test_waiters_are_woken),
        TEST(test_release_wakes),
        TEST(test_threads_die),
        TEST(test_two_semaphores),
        TEST(test_many_holders),
        TEST(test_fork),
        TEST(test_exec),
        TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
