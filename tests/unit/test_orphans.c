/* SPDX-License-Identifier: MIT */
/* What threads held that the kernel does not clear up after, and threads that may not ask it. */
#include "support/shared.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

#include <cmocka.h>

static mp_lock *lock;
static mp_rlock *rlock;
static mp_condition *condition;
static mp_semaphore *owned;
static mp_barrier *barrier;
static mp_queue *queue;

static int setup(void **state)
{
    (void)state;
    return mp_lock_new(&lock) != 0 || mp_rlock_new(&rlock) != 0 ||
           mp_condition_new(&condition) != 0 || mp_semaphore_new(&owned, 1, .owned = MP_YES) != 0 ||
           mp_barrier_new(&barrier, 2) != 0 || mp_queue_new(&queue) != 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    mp_condition_free(condition);
    mp_semaphore_free(owned);
    mp_barrier_free(barrier);
    mp_queue_free(queue);
    return mp_shared_check(NULL);
}

static int hold_all(void)
{
    CHECK(mp_lock_acquire(lock, LONG) == 0);
    CHECK(mp_rlock_acquire(rlock, LONG) == 0);
    CHECK(mp_condition_acquire(condition, LONG) == 0);
    CHECK(mp_semaphore_acquire(owned, LONG) == 0);
    return 0;
}

static void *hold_and_exec(void *arg)
{
    (void)arg;
    if (hold_all() == 0)
        execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

static int exec_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t id;
    CHECK(pthread_create(&id, NULL, hold_and_exec, NULL) == 0);
    pthread_join(id, NULL);
    return 1;
}

/* The kernel gives that thread the first one's id before it looks at what it held. */
static void test_what_a_thread_held_that_called_execve(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(exec_in_a_thread, NULL)), 0);
    assert_int_equal(mp_lock_acquire(lock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
    assert_int_equal(mp_rlock_acquire(rlock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_rlock_release(rlock), 0);
    assert_int_equal(mp_condition_acquire(condition, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_condition_release(condition), 0);
    assert_int_equal(mp_semaphore_acquire(owned, LONG), 0);
    assert_int_equal(mp_semaphore_release(owned, 1), 0);
}

static void *arrive(void *arg)
{
    (void)arg;
    mp_barrier_wait(barrier, LONG);
    return NULL;
}

static void *exec_at_once(void *arg)
{
    (void)arg;
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

/* Not the thread that waits calls execve, but another of its process. */
static int exec_beside_a_party(void *arg)
{
    (void)arg;
    pthread_t party, other;
    CHECK(pthread_create(&party, NULL, arrive, NULL) == 0);
    while (mp_barrier_waiting(barrier) == 0)
        nap(0.001);
    CHECK(pthread_create(&other, NULL, exec_at_once, NULL) == 0);
    pthread_join(other, NULL);
    return 1;
}

static void test_a_party_whose_process_called_execve(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(exec_beside_a_party, NULL)), 0);
    assert_int_equal(mp_barrier_wait(barrier, LONG), MP_EBROKEN);
}

static int exec_in_the_action(void *arg)
{
    exec_at_once(arg);
    return 0;
}

static mp_barrier *deadly;

static void *arrive_last(void *arg)
{
    (void)arg;
    while (mp_barrier_waiting(deadly) == 0)
        nap(0.001);
    mp_barrier_wait(deadly, LONG);
    return NULL;
}

static int last_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t id;
    CHECK(pthread_create(&id, NULL, arrive_last, NULL) == 0);
    pthread_join(id, NULL);
    return 1;
}

/* The party itself calls execve, in a thread whose word the kernel leaves as it is. */
static void test_a_party_that_calls_execve_in_the_action(void **state)
{
    (void)state;
    assert_int_equal(mp_barrier_new(&deadly, 2, .action = exec_in_the_action), 0);
    pid_t child = child_start(last_in_a_thread, NULL);
    double start = seconds();
    assert_int_equal(mp_barrier_wait(deadly, LONG), MP_EBROKEN);
    assert_true(seconds() - start < LONG / 2); /* broken by the death, not by the deadline */
    assert_int_equal(child_end(child), 0);
    mp_barrier_free(deadly);
}

static int forbid_the_question(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_get_robust_list, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

static void *hold(void *arg)
{
    *(int *)arg = hold_all();
    return NULL;
}

static int thread_behind_a_filter(void *arg)
{
    (void)arg;
    int rc = -1;
    pthread_t id;
    if (forbid_the_question() != 0)
        return CANNOT;
    CHECK(pthread_create(&id, NULL, hold, &rc) == 0);
    pthread_join(id, NULL);
    return rc;
}

static void test_a_thread_that_may_not_ask_for_its_list(void **state)
{
    (void)state;
    int rc = child_end(child_start(thread_behind_a_filter, NULL));
    if (rc == CANNOT)
        skip();
    assert_int_equal(rc, 0);
    assert_int_equal(mp_lock_acquire(lock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_semaphore_acquire(owned, LONG), 0);
    assert_int_equal(mp_lock_release(lock), 0);
    assert_int_equal(mp_semaphore_release(owned, 1), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_thread_held_that_called_execve),
        TEST(test_a_party_whose_process_called_execve),
        TEST(test_a_party_that_calls_execve_in_the_action),
        TEST(test_a_thread_that_may_not_ask_for_its_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
