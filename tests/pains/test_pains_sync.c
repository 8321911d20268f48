/* SPDX-License-Identifier: MIT */
/* The pains of Python's synchronisation objects (A1-A3, F1-F4), which this library has not. */
#include "pains/pain.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/syscall.h>

/* A child that acquires, and then stays until it is killed. */
#define HOLDER(object)                                                                             \
    static int hold_##object(void *arg)                                                            \
    {                                                                                              \
        CHECK(mp_##object##_acquire(arg, MP_FOREVER) == 0);                                        \
        signal_word(&notes->ready);                                                                \
        pause();                                                                                   \
        return 1;                                                                                  \
    }

HOLDER(lock)
HOLDER(rlock)
HOLDER(semaphore)
HOLDER(condition)

static void kill_holder(int (*hold)(void *), void *object)
{
    uint32_t ready = mp__load_acquire(&notes->ready);
    pid_t pid = child_start(hold, object);
    assert_true(await(&notes->ready, ready + 1));
    assert_int_equal(child_kill(pid), -SIGKILL);
}

static void a1_what_a_dead_process_held_passes_on(void **state)
{
    (void)state;
    mp_lock *lock;
    mp_rlock *rlock;
    mp_condition *condition;
    mp_semaphore *owned;
    assert_int_equal(mp_lock_new(&lock), 0);
    assert_int_equal(mp_rlock_new(&rlock), 0);
    assert_int_equal(mp_condition_new(&condition), 0);
    assert_int_equal(mp_semaphore_new(&owned, 1, .owned = MP_YES), 0);

    kill_holder(hold_lock, lock);
    assert_int_equal(mp_lock_acquire(lock, LONG), MP_OWNERDEAD);
    kill_holder(hold_rlock, rlock);
    assert_int_equal(mp_rlock_acquire(rlock, LONG), MP_OWNERDEAD);
    kill_holder(hold_condition, condition);
    assert_int_equal(mp_condition_acquire(condition, LONG), MP_OWNERDEAD);
    kill_holder(hold_semaphore, owned);
    assert_int_equal(mp_semaphore_acquire(owned, LONG), 0);
    ours("A1", "lock, rlock, condition: MP_OWNERDEAD; an owned semaphore: its permit is back");

    mp_lock_release(lock);
    mp_rlock_release(rlock);
    mp_condition_release(condition);
    mp_semaphore_release(owned, 1);
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    mp_condition_free(condition);
    mp_semaphore_free(owned);
}

static int wait_on(void *arg)
{
    CHECK(mp_condition_acquire(arg, MP_FOREVER) >= 0);
    signal_word(&notes->ready); /* who has the lock after us comes when we wait */
    int rc = mp_condition_wait(arg, MP_FOREVER);
    CHECK(mp_condition_release(arg) == 0);
    signal_word(&notes->done);
    return rc;
}

static pid_t waiter(mp_condition *condition)
{
    uint32_t ready = mp__load_acquire(&notes->ready);
    pid_t pid = child_start(wait_on, condition);
    assert_true(await(&notes->ready, ready + 1));
    assert_int_equal(mp_condition_acquire(condition, LONG), 0);
    assert_int_equal(mp_condition_release(condition), 0);
    until_asleep(pid);
    return pid;
}

static int notify(mp_condition *condition, int n)
{
    assert_int_equal(mp_condition_acquire(condition, LONG), 0);
    int woken = mp_condition_notify(condition, n);
    assert_int_equal(mp_condition_release(condition), 0);
    return woken;
}

static void a2_notify_waits_for_nobody(void **state)
{
    (void)state;
    mp_condition *condition;
    assert_int_equal(mp_condition_new(&condition), 0);

    assert_int_equal(child_kill(waiter(condition)), -SIGKILL);
    assert_int_equal(notify(condition, 1), 0);

    pid_t dead = waiter(condition);
    pid_t living = waiter(condition);
    assert_int_equal(child_kill(dead), -SIGKILL);
    assert_int_equal(notify(condition, 1), 1);
    assert_int_equal(child_end(living), 0);

    pid_t stopped = waiter(condition);
    assert_true(child_stop(stopped));
    assert_int_equal(notify(condition, 1), 1);
    assert_int_equal(mp__load_acquire(&notes->done), 1);
    kill(stopped, SIGCONT);
    assert_int_equal(child_end(stopped), 0);
    ours("A2", "notify returns at once: 0 woken if the only waiter is dead, the next one woken if "
               "another waits, 1 if it is stopped (it has it when it goes on)");
    mp_condition_free(condition);
}

static int arrive(void *arg)
{
    return mp_barrier_wait(arg, MP_FOREVER) == MP_EBROKEN ? 0 : 1;
}

static void a3_a_dead_party_breaks_the_barrier(void **state)
{
    (void)state;
    mp_barrier *barrier;
    assert_int_equal(mp_barrier_new(&barrier, 3), 0);
    pid_t dead = child_start(arrive, barrier);
    pid_t living = child_start(arrive, barrier);
    while (mp_barrier_waiting(barrier) < 2)
        nap(0.001);
    assert_int_equal(child_kill(dead), -SIGKILL);
    assert_int_equal(child_end(living), 0);
    assert_true(mp_barrier_broken(barrier));
    assert_int_equal(mp_barrier_wait(barrier, LONG), MP_EBROKEN);
    ours("A3", "broken; who waits and who comes later gets MP_EBROKEN");
    mp_barrier_free(barrier);
}

#define WAITERS 6

static int await_event(void *arg)
{
    signal_word(&notes->ready);
    return mp_event_wait(arg, LONG);
}

static void f1_set_and_clear_lose_nobody(void **state)
{
    (void)state;
    mp_event *event;
    assert_int_equal(mp_event_new(&event), 0);
    int waits = 0;
    for (int round = 1; round <= fewer(20); round++) {
        pid_t pid[WAITERS];
        for (int i = 0; i < WAITERS; i++)
            pid[i] = child_start(await_event, event);
        assert_true(await(&notes->ready, (uint32_t)(round * WAITERS)));
        for (int i = 0; i < WAITERS; i++)
            until_asleep(pid[i]);
        assert_int_equal(mp_event_set(event), 0);
        assert_int_equal(mp_event_clear(event), 0);
        for (int i = 0; i < WAITERS; i++, waits++)
            assert_int_equal(child_end(pid[i]), 0);
    }
    ours("F1", "set and clear: all of %d waits succeed", waits);
    mp_event_free(event);
}

/* From here on a futex call on the wall clock is the end. */
static int forbid_wall_clock(void)
{
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
    struct sock_filter code[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 2),
        LOAD(args[1]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_CLOCK_REALTIME, 3, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449 /* futex_waitv */, 0, 3),
        LOAD(args[4]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

static int wait_on_wall_clock(void *arg)
{
    (void)arg;
    sem_t s;
    struct timespec soon = {0, 1};
    CHECK(sem_init(&s, 0, 0) == 0 && clock_gettime(CLOCK_REALTIME, &soon) == 0);
    soon.tv_sec += 1;
    if (forbid_wall_clock() != 0)
        return CANNOT;
    sem_timedwait(&s, &soon); /* on the wall clock: shows that the filter works */
    return 0;
}

static int wait_in_vain(void *arg)
{
    (void)arg;
    mp_lock *lock;
    mp_semaphore *plain, *owned;
    mp_event *event;
    mp_condition *condition;
    mp_barrier *barrier;
    mp_queue *queue;
    char byte;
    CHECK(mp_lock_new(&lock) == 0 && mp_semaphore_new(&plain, 0) == 0);
    CHECK(mp_semaphore_new(&owned, 1, .owned = MP_YES) == 0 && mp_event_new(&event) == 0);
    CHECK(mp_condition_new(&condition) == 0 && mp_barrier_new(&barrier, 2) == 0);
    CHECK(mp_queue_new(&queue) == 0);
    pid_t pid = child_start(hold_lock, lock);
    CHECK(await(&notes->ready, 1));
    pid_t other = child_start(hold_semaphore, owned);
    CHECK(await(&notes->ready, 2));
    CHECK(forbid_wall_clock() == 0);
    CHECK(mp_lock_acquire(lock, 0.15) == MP_ETIMEDOUT);
    CHECK(mp_semaphore_acquire(plain, 0.15) == MP_ETIMEDOUT);
    CHECK(mp_semaphore_acquire(owned, 0.15) == MP_ETIMEDOUT);
    CHECK(mp_event_wait(event, 0.15) == MP_ETIMEDOUT);
    CHECK(mp_condition_acquire(condition, 1) == 0);
    CHECK(mp_condition_wait(condition, 0.15) == MP_ETIMEDOUT);
    CHECK(mp_queue_get(queue, &byte, 1, 0.15) == MP_EEMPTY);
    CHECK(mp_barrier_wait(barrier, 0.15) == MP_EBROKEN);
    CHECK(child_kill(pid) == -SIGKILL && child_kill(other) == -SIGKILL);
    return 0;
}

static void f2_waits_do_not_follow_the_wall_clock(void **state)
{
    (void)state;
    int rc = child_end(child_start(wait_on_wall_clock, NULL));
    if (rc == CANNOT)
        skip();
    assert_int_equal(rc, -SIGSYS);
    assert_int_equal(child_end(child_start(wait_in_vain, NULL)), 0);
    ours("F2", "no timed wait uses the wall clock: all end with FUTEX_CLOCK_REALTIME forbidden");
}

static void f3_a_barrier_for_nobody_is_refused(void **state)
{
    (void)state;
    mp_barrier *barrier;
    assert_int_equal(mp_barrier_new(&barrier, 0), MP_EINVAL);
    assert_null(barrier);
    ours("F3", "MP_EINVAL");
}

static int release_lock(void *arg)
{
    return mp_lock_release(arg) == MP_EPERM ? 0 : 1;
}

static void f4_only_the_owner_releases(void **state)
{
    (void)state;
    mp_lock *lock;
    assert_int_equal(mp_lock_new(&lock), 0);
    assert_int_equal(mp_lock_acquire(lock, MP_FOREVER), 0);
    assert_int_equal(child_end(child_start(release_lock, lock)), 0);
    assert_int_equal(mp_lock_acquire(lock, 0), MP_EDEADLK); /* it is held as before */
    ours("F4", "a child that releases its parent's lock: MP_EPERM");
    assert_int_equal(mp_lock_release(lock), 0);
    mp_lock_free(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a1_what_a_dead_process_held_passes_on, desk_setup),
        cmocka_unit_test_setup(a2_notify_waits_for_nobody, desk_setup),
        cmocka_unit_test_setup(a3_a_dead_party_breaks_the_barrier, desk_setup),
        cmocka_unit_test_setup(f1_set_and_clear_lose_nobody, desk_setup),
        cmocka_unit_test_setup(f2_waits_do_not_follow_the_wall_clock, desk_setup),
        cmocka_unit_test_setup(f3_a_barrier_for_nobody_is_refused, desk_setup),
        cmocka_unit_test_setup(f4_only_the_owner_releases, desk_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
