/* SPDX-License-Identifier: MIT */
/*
 * Round trips between two parties, in two ways:
 *
 * AT_ONCE: each answers as soon as it has got the other's word. The figure is the median of the
 *          times of 16 round trips.
 * ASLEEP:  each lets the other fall asleep before it answers, and that does not count: a way is the
 *          time from just before a send to just after the receive, a round trip one way forth and
 *          one back, and the figure the median of all. On two processors the sender works
 *          meanwhile, so that only the other's is idle; on one it has to nap to let the other run.
 */
#ifndef BENCH_PINGPONG_H
#define BENCH_PINGPONG_H

#include "bench.h"

enum { AT_ONCE, ASLEEP }; /* the metric's argument */

/* A word sent to a party, and the same waited for by it. */
typedef void bench_move(bench_party *p, int to);

/* Takes longer than anybody spins before it sleeps. */
void bench_let_sleep(bench_party *p);

static inline __attribute__((always_inline)) void bench_at_once(bench_party *p, bench_move *send,
                                                                bench_move *receive)
{
    for (uint64_t round = 1; round == 1 || !bench_last(p, round - 1); round++) {
        bench_begin_round(p, round);
        if (p->index == 0)
            send(p, 1);
        receive(p, p->index);
        if (p->index == 1)
            send(p, 0);
    }
    bench_end_rounds(p);
}

static inline __attribute__((always_inline)) void bench_asleep(bench_party *p, bench_move *send,
                                                               bench_move *receive)
{
    bench_page *page = p->page;
    for (uint64_t round = 1; round == 1 || !bench_last(p, round - 1); round++) {
        bench_lead(p, round);
        if (p->index == 0) {
            bench_let_sleep(p);
            atomic_store(&page->stamp[0], bench_now());
            send(p, 1);
            receive(p, 0);
            bench_sample(p, bench_now() - atomic_load(&page->stamp[1]) + atomic_load(&page->forth));
        } else {
            receive(p, 1);
            atomic_store(&page->forth, bench_now() - atomic_load(&page->stamp[0]));
            bench_let_sleep(p);
            atomic_store(&page->stamp[1], bench_now());
            send(p, 0);
        }
    }
    if (p->index == 0)
        bench_report_samples(p, 1);
}

/* A function `name` for a contender. */
#define BENCH_PINGPONG(name, send, receive)                                                        \
    static void name(bench_party *p)                                                               \
    {                                                                                              \
        if (p->argument == ASLEEP)                                                                 \
            bench_asleep(p, send, receive);                                                        \
        else                                                                                       \
            bench_at_once(p, send, receive);                                                       \
    }

/* ---- The bare futex: a word for each party, and not a thought for anything else. */

typedef struct bench_futex {
    _Alignas(BENCH_LINE) _Atomic uint32_t word[2];
} bench_futex;

void bench_futex_send(bench_futex *f, int to);
void bench_futex_receive(bench_futex *f, int to);

#endif
