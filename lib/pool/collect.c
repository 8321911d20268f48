/* SPDX-License-Identifier: MIT */
/*
 * Many results are waited for with one sleep on the words of a few. Workers take works in the order
 * of their submission, so those that can end next are among the oldest that are open
 * (pool/callback.c tells why). If there are too many even of those, or the kernel cannot sleep on
 * several words, the rest is seen when it is time to look again.
 */
#include "pool/collect.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "pool/outcome.h"

#include <mproc/error.h>
#include <stdlib.h>

/* The words of those that are open; -1: one is done. */
static int watch_results(mp_result *const *rs, int count, mp__watch *watches)
{
    const mp_pool *last = NULL; /* whose supervisor is watched */
    int n = 0;
    for (int i = 0; i < count; i++) {
        mp__work *w = rs[i]->work;
        watches[n++] = (mp__watch){&w->done.word, mp__waitword_arm(&w->done)};
        if (mp__work_is_done(w))
            return -1;
        if (rs[i]->pool == last)
            continue;
        last = rs[i]->pool;
        _Atomic uint32_t *life = &last->control->supervisor.word;
        uint32_t alive = mp__load_acquire(life);
        if (mp__robust_abandoned(alive))
            return -1;
        if (n < MP__COLLECT_MOST + 2)
            watches[n++] = (mp__watch){life, alive};
    }
    return n;
}

/* Sleeps on `n` of them that are armed, and on those of callbacks. */
static void sleep_on(mp__watch *watches, int n, mp__deadline until)
{
    until = mp__deadline_look_again(until);
    if (mp__callback_any()) {
        int more = mp__callback_watch(&watches[n], MP__WATCH_MOST - n, &until);
        if (more < 0)
            return;
        n += more;
    }
    if (n > 0)
        mp__sleep_any(watches, n, until);
}

void mp__collect_sleep(mp_result *const *rs, int count, mp__deadline until)
{
    mp__watch watches[MP__WATCH_MOST];
    int n = watch_results(rs, count < MP__COLLECT_MOST ? count : MP__COLLECT_MOST, watches);
    if (n >= 0)
        sleep_on(watches, n, until);
}

int mp__collect_until_gone(mp_pool *pool, mp__deadline until)
{
    mp__watch watches[MP__WATCH_MOST];
    _Atomic uint32_t *life = &pool->control->supervisor.word;
    mp__callback_run();
    while (mp__callback_any() && !mp__deadline_passed(until)) {
        if (mp__interrupted())
            return MP_EINTR;
        uint32_t alive = mp__load_acquire(life);
        if (mp__robust_abandoned(alive))
            break;
        watches[0] = (mp__watch){life, alive};
        if (mp__callback_run() == 0)
            sleep_on(watches, 1, until);
    }
    return 0;
}

typedef struct look {
    const mp__collection *c;
    mp_result *open[MP__COLLECT_MOST];
    int count; /* -1: it is there */
} look;

static bool is_there(void *arg)
{
    look *l = arg;
    l->count = l->c->look(l->c->arg, l->open);
    return l->count < 0;
}

/* Whether no supervisor is gone without all of its pool's work being settled. */
static bool settle_lost(const look *l, mp__deadline until)
{
    bool settled = true;
    for (int i = 0; i < l->count && settled; i++)
        settled = mp__result_settle_lost(l->open[i], until) && !mp__work_is_done(l->open[i]->work);
    return settled;
}

int mp__collect_await(const mp__collection *c, mp__deadline until)
{
    look l = {.c = c};
    if (is_there(&l) || (until.ns != 0 && mp__spin_until(is_there, &l)))
        return 0;
    while (!is_there(&l)) {
        if (until.ns != 0 && mp__interrupted())
            return MP_EINTR;
        bool passed = mp__deadline_passed(until);
        if (settle_lost(&l, until) && !passed && mp__callback_run() == 0)
            mp__collect_sleep(l.open, l.count, until);
        if (passed)
            return is_there(&l) ? 0 : MP_ETIMEDOUT;
    }
    return 0;
}

/* ---- sorting ---- */

typedef struct entry {
    mp__collected one;
    size_t rank; /* among the results of its pool */
} entry;

static int by_pool_and_order(const void *a, const void *b)
{
    const mp_result *x = ((const entry *)a)->one.result, *y = ((const entry *)b)->one.result;
    uintptr_t p = (uintptr_t)x->pool, q = (uintptr_t)y->pool;
    if (p != q)
        return p < q ? -1 : 1;
    return (x->work->order > y->work->order) - (x->work->order < y->work->order);
}

static int by_rank(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

void mp__collect_sort(mp__collected *collected, size_t count)
{
    entry *all = malloc(count * sizeof *all);
    if (all == NULL)
        return; /* then it may take until it is time to look again */
    for (size_t i = 0; i < count; i++)
        all[i] = (entry){collected[i], 0};
    qsort(all, count, sizeof *all, by_pool_and_order);
    for (size_t i = 1; i < count; i++) {
        bool same = all[i].one.result->pool == all[i - 1].one.result->pool;
        all[i].rank = same ? all[i - 1].rank + 1 : 0;
    }
    qsort(all, count, sizeof *all, by_rank);
    for (size_t i = 0; i < count; i++)
        collected[i] = all[i].one;
    free(all);
}
