/* SPDX-License-Identifier: MIT */
/*
 * Condition: a round trip between two processes by a condition and a flag under its lock, which
 * says whose turn it is; see support/pingpong.h. Awake: on two processors, each answers at once.
 * Asleep: each lets the other fall asleep first. On one processor also at once: the other is asleep
 * there anyhow, unless it spins.
 */
#include "support/pingpong.h"

#include <mproc.h>
#include <pthread.h>

typedef struct things {
    bench_futex futex;
    _Alignas(BENCH_LINE) int turn; /* under the lock: who may go on, plus 1 */
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    _Alignas(BENCH_LINE) pthread_cond_t cond;
    _Alignas(BENCH_LINE) mp_condition *ours;
} things;

static void make_ours(bench_party *p)
{
    BENCH_OURS(p, mp_condition_new(&((things *)p->shared)->ours));
}

static void send_ours(bench_party *p, int to)
{
    things *t = p->shared;
    BENCH_OURS(p, mp_condition_acquire(t->ours, MP_FOREVER));
    t->turn = to + 1;
    BENCH_OURS(p, mp_condition_notify(t->ours, 1));
    BENCH_OURS(p, mp_condition_release(t->ours));
}

static void receive_ours(bench_party *p, int to)
{
    things *t = p->shared;
    BENCH_OURS(p, mp_condition_acquire(t->ours, MP_FOREVER));
    while (t->turn != to + 1)
        BENCH_OURS(p, mp_condition_wait(t->ours, MP_FOREVER));
    t->turn = 0;
    BENCH_OURS(p, mp_condition_release(t->ours));
}

BENCH_PINGPONG(use_ours, send_ours, receive_ours)

static void make_pthread(bench_party *p)
{
    things *t = p->shared;
    pthread_mutexattr_t m;
    pthread_condattr_t c;
    BENCH_CHECK(p, pthread_mutexattr_init(&m) == 0);
    BENCH_CHECK(p, pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED) == 0);
    BENCH_CHECK(p, pthread_mutex_init(&t->mutex, &m) == 0);
    BENCH_CHECK(p, pthread_condattr_init(&c) == 0);
    BENCH_CHECK(p, pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED) == 0);
    BENCH_CHECK(p, pthread_cond_init(&t->cond, &c) == 0);
}

static void send_pthread(bench_party *p, int to)
{
    things *t = p->shared;
    BENCH_CHECK(p, pthread_mutex_lock(&t->mutex) == 0);
    t->turn = to + 1;
    BENCH_CHECK(p, pthread_cond_signal(&t->cond) == 0);
    BENCH_CHECK(p, pthread_mutex_unlock(&t->mutex) == 0);
}

static void receive_pthread(bench_party *p, int to)
{
    things *t = p->shared;
    BENCH_CHECK(p, pthread_mutex_lock(&t->mutex) == 0);
    while (t->turn != to + 1)
        BENCH_CHECK(p, pthread_cond_wait(&t->cond, &t->mutex) == 0);
    t->turn = 0;
    BENCH_CHECK(p, pthread_mutex_unlock(&t->mutex) == 0);
}

BENCH_PINGPONG(use_pthread, send_pthread, receive_pthread)

static void send_futex(bench_party *p, int to)
{
    bench_futex_send(&((things *)p->shared)->futex, to);
}

static void receive_futex(bench_party *p, int to)
{
    bench_futex_receive(&((things *)p->shared)->futex, to);
}

BENCH_PINGPONG(use_futex, send_futex, receive_futex)

static const bench_contender awake[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "pthread-cond", .prepare = make_pthread, .party = use_pthread},
    {.name = "bare-futex", .party = use_futex},
    {.name = "python-Condition", .python = "Condition round_trip", .need = {.at_most = 0.2}},
    {0},
};

static const bench_contender asleep[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "bare-futex", .party = use_futex, .need = {.at_most = 1.1}},
    {.name = "pthread-cond", .prepare = make_pthread, .party = use_pthread},
    {.name = "python-Condition", .python = "Condition asleep"},
    {0},
};

static const bench_contender one_cpu[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "bare-futex", .party = use_futex, .need = {.at_most = 1.1}},
    {.name = "pthread-cond", .prepare = make_pthread, .party = use_pthread},
    {.name = "python-Condition", .python = "Condition round_trip"},
    {0},
};

static const bench_metric metrics[] = {
    {.name = "round-trip-awake",
     .contenders = awake,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_FREE,
     .unit = BENCH_US,
     .argument = AT_ONCE,
     .need = {.at_most = 1}},
    {.name = "round-trip-asleep",
     .contenders = asleep,
     .parties = 2,
     .placements = BENCH_PINNED | BENCH_ONE_CPU,
     .unit = BENCH_US,
     .argument = ASLEEP},
    {.name = "round-trip-at-once",
     .contenders = one_cpu,
     .parties = 2,
     .placements = BENCH_ONE_CPU,
     .unit = BENCH_US,
     .argument = AT_ONCE},
};

int main(void)
{
    return bench_main("condition", metrics, sizeof metrics / sizeof *metrics);
}
