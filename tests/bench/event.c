/* SPDX-License-Identifier: MIT */
/*
 * Event: a round trip between two processes by two events, each waited for and cleared by one side;
 * see support/pingpong.h. Awake: on two processors, each answers at once. Asleep: each lets the
 * other fall asleep first. On one processor also at once: the other is asleep there anyhow, unless
 * it spins.
 */
#include "support/pingpong.h"

#include <mproc.h>

typedef struct things {
    bench_futex futex;
    struct {
        _Alignas(BENCH_LINE) _Atomic uint32_t set;
    } word[2];
    _Alignas(BENCH_LINE) mp_event *ours[2];
} things;

static void make_ours(bench_party *p)
{
    things *t = p->shared;
    BENCH_OURS(p, mp_event_new(&t->ours[0]));
    BENCH_OURS(p, mp_event_new(&t->ours[1]));
}

static void send_ours(bench_party *p, int to)
{
    BENCH_OURS(p, mp_event_set(((things *)p->shared)->ours[to]));
}

static void receive_ours(bench_party *p, int to)
{
    mp_event *e = ((things *)p->shared)->ours[to];
    BENCH_OURS(p, mp_event_wait(e, MP_FOREVER));
    BENCH_OURS(p, mp_event_clear(e));
}

BENCH_PINGPONG(use_ours, send_ours, receive_ours)

static void send_futex(bench_party *p, int to)
{
    bench_futex_send(&((things *)p->shared)->futex, to);
}

static void receive_futex(bench_party *p, int to)
{
    bench_futex_receive(&((things *)p->shared)->futex, to);
}

BENCH_PINGPONG(use_futex, send_futex, receive_futex)

/* The limit: two words, and nobody ever sleeps. */
static void send_word(bench_party *p, int to)
{
    atomic_store_explicit(&((things *)p->shared)->word[to].set, 1, memory_order_release);
}

static void receive_word(bench_party *p, int to)
{
    _Atomic uint32_t *word = &((things *)p->shared)->word[to].set;
    while (atomic_load_explicit(word, memory_order_acquire) == 0)
        ;
    atomic_store_explicit(word, 0, memory_order_relaxed);
}

BENCH_PINGPONG(use_words, send_word, receive_word)

static const bench_contender awake[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "spinning", .party = use_words},
    {.name = "bare-futex", .party = use_futex},
    {.name = "python-Event", .python = "Event round_trip", .need = {.at_most = 0.2}},
    {0},
};

static const bench_contender asleep[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "bare-futex", .party = use_futex, .need = {.at_most = 1.1}},
    {.name = "python-Event", .python = "Event asleep"},
    {0},
};

static const bench_contender one_cpu[] = {
    {.name = "ours", .prepare = make_ours, .party = use_ours},
    {.name = "bare-futex", .party = use_futex, .need = {.at_most = 1.1}},
    {.name = "python-Event", .python = "Event round_trip"},
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
    return bench_main("event", metrics, sizeof metrics / sizeof *metrics);
}
