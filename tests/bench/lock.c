/* SPDX-License-Identifier: MIT */
/*
 * Lock: how long acquire + release takes when nobody else wants the lock, and how many pairs two
 * processes together get done that do nothing else but increment a counter meanwhile, by which a
 * lock that lets in two at once is found out. The same for the recursive lock.
 */
#include "support/pairs.h"

#include <errno.h>
#include <mproc.h>
#include <pthread.h>
#include <semaphore.h>

typedef struct things {
    bench_pairs all;
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    _Alignas(BENCH_LINE) sem_t semaphore;
    _Alignas(BENCH_LINE) mp_lock *lock;
    mp_rlock *rlock;
} things;

static void make_lock(bench_party *p)
{
    BENCH_OURS(p, mp_lock_new(&((things *)p->shared)->lock));
}

BENCH_PAIRS(use_lock, BENCH_OURS(p, mp_lock_acquire(t->lock, MP_FOREVER)),
            BENCH_OURS(p, mp_lock_release(t->lock)))

static void make_pthread(bench_party *p, int type, int robust)
{
    pthread_mutexattr_t a;
    BENCH_CHECK(p, pthread_mutexattr_init(&a) == 0);
    BENCH_CHECK(p, pthread_mutexattr_settype(&a, type) == 0);
    BENCH_CHECK(p, pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
    BENCH_CHECK(p, pthread_mutexattr_setrobust(&a, robust) == 0);
    BENCH_CHECK(p, pthread_mutex_init(&((things *)p->shared)->mutex, &a) == 0);
}

static void make_mutex(bench_party *p)
{
    make_pthread(p, PTHREAD_MUTEX_DEFAULT, PTHREAD_MUTEX_STALLED);
}

static void make_robust(bench_party *p)
{
    make_pthread(p, PTHREAD_MUTEX_DEFAULT, PTHREAD_MUTEX_ROBUST);
}

BENCH_PAIRS(use_mutex, BENCH_CHECK(p, pthread_mutex_lock(&t->mutex) == 0),
            BENCH_CHECK(p, pthread_mutex_unlock(&t->mutex) == 0))

/* As one has to: the owner's death is a result that wants an answer. */
static inline int lock_robust(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);
    return rc == EOWNERDEAD ? pthread_mutex_consistent(m) : rc;
}

BENCH_PAIRS(use_robust, BENCH_CHECK(p, lock_robust(&t->mutex) == 0),
            BENCH_CHECK(p, pthread_mutex_unlock(&t->mutex) == 0))

static void make_sem(bench_party *p)
{
    BENCH_CHECK(p, sem_init(&((things *)p->shared)->semaphore, 1, 1) == 0);
}

BENCH_PAIRS(use_sem, BENCH_CHECK(p, sem_wait(&t->semaphore) == 0),
            BENCH_CHECK(p, sem_post(&t->semaphore) == 0))

static void make_rlock(bench_party *p)
{
    BENCH_OURS(p, mp_rlock_new(&((things *)p->shared)->rlock));
}

BENCH_PAIRS(use_rlock, BENCH_OURS(p, mp_rlock_acquire(t->rlock, MP_FOREVER)),
            BENCH_OURS(p, mp_rlock_release(t->rlock)))

static void make_recursive(bench_party *p)
{
    make_pthread(p, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
}

static void make_robust_recursive(bench_party *p)
{
    make_pthread(p, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
}

static const bench_contender rlock_uncontended[] = {
    {.name = "ours", .prepare = make_rlock, .party = use_rlock_alone},
    {.name = "pthread-robust-recursive",
     .prepare = make_robust_recursive,
     .party = use_robust_alone},
    {.name = "pthread-recursive", .prepare = make_recursive, .party = use_mutex_alone},
    {.name = "python-RLock", .python = "RLock uncontended", .need = {.at_most = 0.2}},
    {0},
};

static const bench_contender rlock_contended[] = {
    {.name = "ours", .prepare = make_rlock, .party = use_rlock},
    {.name = "pthread-robust-recursive", .prepare = make_robust_recursive, .party = use_robust},
    {.name = "pthread-recursive", .prepare = make_recursive, .party = use_mutex},
    {.name = "python-RLock",
     .python = "RLock contended",
     .need = {.at_least = 5, .where = BENCH_PINNED | BENCH_FREE}},
    {0},
};

static const bench_contender uncontended[] = {
    {.name = "ours", .prepare = make_lock, .party = use_lock_alone},
    {.name = "pthread-robust",
     .prepare = make_robust,
     .party = use_robust_alone,
     .need = {.at_most = 1.1}},
    {.name = "pthread-mutex", .prepare = make_mutex, .party = use_mutex_alone},
    {.name = "sem_t", .prepare = make_sem, .party = use_sem_alone},
    {.name = "python-Lock", .python = "Lock uncontended", .need = {.at_most = 0.2}},
    {0},
};

static const bench_contender contended[] = {
    {.name = "ours", .prepare = make_lock, .party = use_lock},
    {.name = "pthread-robust",
     .prepare = make_robust,
     .party = use_robust,
     .need = {.at_least = 1, .where = BENCH_PINNED | BENCH_FREE}},
    {.name = "pthread-mutex", .prepare = make_mutex, .party = use_mutex},
    {.name = "sem_t", .prepare = make_sem, .party = use_sem},
    {.name = "python-Lock",
     .python = "Lock contended",
     .need = {.at_least = 5, .where = BENCH_PINNED | BENCH_FREE}},
    {0},
};

static const bench_metric metrics[] = {
    {.name = "uncontended",
     .contenders = uncontended,
     .parties = 1,
     .placements = BENCH_ALONE,
     .unit = BENCH_NS},
    {.name = "rlock-uncontended",
     .contenders = rlock_uncontended,
     .parties = 1,
     .placements = BENCH_ALONE,
     .unit = BENCH_NS},
    {.name = "rlock-contended",
     .contenders = rlock_contended,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_ONE_CPU | BENCH_FREE,
     .unit = BENCH_MILLIONS},
    {.name = "contended",
     .contenders = contended,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_ONE_CPU | BENCH_FREE,
     .unit = BENCH_MILLIONS},
};

int main(void)
{
    return bench_main("lock", metrics, sizeof metrics / sizeof *metrics);
}
