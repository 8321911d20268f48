/* SPDX-License-Identifier: MIT */
/* Tests of conditions: every kind of condition, and waiters, processes and threads by turns, that
 * say when they wait and what came of it. */
#ifndef MPROC_TESTS_WAITING_H
#define MPROC_TESTS_WAITING_H

#include "support/shared.h"
#include "sync/life.h"

#include <mproc/condition.h>
#include <mproc/error.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

enum { OWN, OVER_LOCK, OVER_RLOCK, EMBEDDED, KINDS };

static mp_condition *c;
static mp_lock *lock;
static mp_rlock *rlock;
static int made; /* its kind */

/* What processes tell each other; zeroed with each condition. */
static struct board {
    word arrived; /* waiters that have said so, under the lock: who has it finds them waiting */
    word left;    /* those that are back, under the lock, too */
    word told;    /* how many waiters got MP_OWNERDEAD, from whichever call */
    word ready, handled;
    int depth; /* to which waiters acquire */
    int order[64];
    word tid[64];
    word go;
} * board;

static inline bool is_ready(void *arg)
{
    (void)arg;
    return mp__load_seq(&board->ready) != 0;
}

static inline void unmake(void)
{
    if (made == EMBEDDED && c != NULL) {
        mp_condition_fini(c);
        mp_shared_free(c);
    } else {
        mp_condition_free(c);
    }
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    c = NULL;
    lock = NULL;
    rlock = NULL;
}

static inline void make(int kind)
{
    unmake();
    memset(board, 0, sizeof *board);
    made = kind;
    if (kind == OVER_LOCK) {
        assert_int_equal(mp_lock_new(&lock), 0);
        assert_int_equal(mp_condition_new(&c, .lock = lock), 0);
    } else if (kind == OVER_RLOCK) {
        assert_int_equal(mp_rlock_new(&rlock), 0);
        assert_int_equal(mp_condition_new(&c, .rlock = rlock), 0);
    } else if (kind == EMBEDDED) {
        c = mp_shared_alloc(sizeof *c);
        memset((void *)c, 255, sizeof *c);
        assert_int_equal(mp_condition_init(c, NULL), 0);
    } else {
        assert_int_equal(mp_condition_new(&c), 0);
    }
}

/* How many life records are part of a queue, dead or alive. */
static inline int records_engaged(void)
{
    int n = 0;
    const mp__life *life;
    for (uint32_t i = 1; (life = mp__life_at(i)) != NULL; i++)
        n += mp__load_relaxed(&life->engaged) != 0;
    return n;
}

static inline int waiting_setup(void **state)
{
    (void)state;
    board = common(sizeof *board);
    return board == NULL ? -1 : mp_init();
}

/* No condition leaves a record behind. */
static inline int waiting_teardown(void **state)
{
    (void)state;
    unmake();
    munmap(board, sizeof *board);
    if (records_engaged() != 0) {
        fprintf(stderr, "%d records are engaged\n", records_engaged());
        return -1;
    }
    return mp_shared_check(NULL);
}

/* What became of a waiter. */
enum { NOTIFIED = 10, TIMED_OUT, TOLD_OF_DEATH, INTERRUPTED };

typedef struct waiter {
    int index;
    double timeout;
    bool is_thread;
    pid_t pid;
    task thread;
} waiter;

/* Waits once, as deep as the board says, and has all levels back. */
static inline int wait_once(void *arg)
{
    const waiter *w = arg;
    int depth = board->depth > 0 ? board->depth : 1;
    mp__store_seq(&board->tid[w->index], (uint32_t)syscall(SYS_gettid));
    for (int i = 0; i < depth; i++) {
        int rc = mp_condition_acquire(c, MP_FOREVER);
        CHECK(rc == 0 || (rc == MP_OWNERDEAD && i == 0));
        if (rc == MP_OWNERDEAD)
            signal_word(&board->told);
    }
    signal_word(&board->arrived);
    int rc = mp_condition_wait(c, w->timeout);
    if (rc == MP_OWNERDEAD)
        signal_word(&board->told);
    board->order[mp__load_relaxed(&board->left) % 64] = w->index;
    signal_word(&board->left);
    for (int i = 0; i < depth; i++)
        CHECK(mp_condition_release(c) == 0);
    CHECK(mp_condition_release(c) == MP_EPERM);
    switch (rc) {
    case 0:
        return NOTIFIED;
    case MP_ETIMEDOUT:
        return TIMED_OUT;
    case MP_OWNERDEAD:
        return TOLD_OF_DEATH;
    case MP_EINTR:
        return INTERRUPTED;
    default:
        return 1;
    }
}

static inline void start_waiter(waiter *w, bool is_thread)
{
    uint32_t before = mp__load_seq(&board->arrived);
    w->is_thread = is_thread;
    if (w->is_thread)
        assert_int_equal(task_start(&w->thread, wait_once, w), 0);
    else
        w->pid = child_start(wait_once, w);
    assert_true(await(&board->arrived, before + 1));
}

/* Waiters in the order of their arrival, asleep: processes, but for every third, a thread. */
static inline void start_waiters(waiter *w, int n, double timeout)
{
    for (int i = 0; i < n; i++) {
        w[i] = (waiter){.index = i, .timeout = timeout};
        start_waiter(&w[i], i % 3 == 2);
    }
    for (int i = 0; i < n; i++)
        until_asleep((pid_t)mp__load_seq(&board->tid[i]));
}

/* The same, all processes: they can be killed. */
static inline void start_processes(waiter *w, int n, double timeout)
{
    for (int i = 0; i < n; i++) {
        w[i] = (waiter){.index = i, .timeout = timeout};
        start_waiter(&w[i], false);
    }
    for (int i = 0; i < n; i++)
        until_asleep(w[i].pid);
}

static inline int end_waiter(waiter *w)
{
    return w->is_thread ? task_end(&w->thread) : child_end(w->pid);
}

static inline int notify(int n)
{
    int rc = mp_condition_acquire(c, LONG);
    assert_in_range(rc, 0, MP_OWNERDEAD);
    int woken = mp_condition_notify(c, n);
    assert_int_equal(mp_condition_release(c), 0);
    return woken;
}

/* So many have come back, and no more do within the time of some looks. */
static inline void settle(uint32_t left)
{
    assert_true(await(&board->left, left));
    nap(0.25);
    assert_int_equal(mp__load_seq(&board->left), left);
}

#endif
