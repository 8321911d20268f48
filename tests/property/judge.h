/* SPDX-License-Identifier: MIT */
/*
 * The judge of a history (property/history.h), once all is over and the queue is drained. Nothing
 * but the books is asked:
 *
 * - whatever was got had been put, by a producer, and came once;
 * - each consumer got each producer's messages in the order in which they were put, and so did all
 *   together: no get that began after a later message was out brought an earlier one;
 * - a message whose put had returned was got, or went with a consumer that was killed in a get: one
 *   for each such death, or a batch;
 * - no get found the queue empty while a message was in it from before its begin until after its
 *   end;
 * - there never were more messages, or bytes, in the queue than its limits allow.
 */
#ifndef MPROC_TESTS_JUDGE_H
#define MPROC_TESTS_JUDGE_H

#include "property/history.h"

/* What the books say about a message. */
typedef struct fate {
    int64_t put_begin, put_end; /* end: 0 if nobody knows whether it was put */
    int64_t got_begin, got_end; /* 0: nobody got it */
} fate;

static fate fates[LIVES][ENTRIES];
static uint32_t judge_lost, judge_got;

#define JUDGE(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static inline uint32_t known(const life *l)
{
    return mp__load_seq(&l->count);
}

/* Fills `fates`. */
static inline int judge_logs(void)
{
    judge_got = 0;
    for (uint32_t i = 0; i < w->lives; i++) {
        const life *l = &w->life[i];
        for (uint32_t n = 0; l->produces && n < mp__load_seq(&l->begun); n++)
            fates[i][n] = (fate){l->put[n].begin, n < known(l) ? l->put[n].end : 0, 0, 0};
    }
    for (uint32_t i = 0; i < w->lives; i++) {
        const life *l = &w->life[i];
        uint32_t next[LIVES] = {0};
        for (uint32_t n = 0; !l->produces && n < known(l); n++) {
            const got_entry *g = &l->got[n];
            if (g->producer == NOBODY)
                continue;
            const life *p = &w->life[g->producer];
            JUDGE(g->producer < w->lives && p->produces && g->serial < mp__load_seq(&p->begun),
                  "message %u of %u was never put", g->serial, g->producer);
            JUDGE(g->serial >= next[g->producer], "%u got message %u of %u after %u", i, g->serial,
                  g->producer, next[g->producer] - 1);
            next[g->producer] = g->serial + 1;
            fate *f = &fates[g->producer][g->serial];
            JUDGE(f->got_end == 0, "message %u of %u came twice", g->serial, g->producer);
            JUDGE(f->put_begin < g->end, "message %u of %u came early", g->serial, g->producer);
            f->got_begin = g->begin;
            f->got_end = g->end;
            judge_got++;
        }
    }
    return 0;
}

static inline int judge_order(void)
{
    for (uint32_t i = 0; i < w->lives; i++) {
        int64_t latest = 0; /* begin of a get of an earlier message */
        uint32_t of = 0;
        for (uint32_t n = 0; w->life[i].produces && n < mp__load_seq(&w->life[i].begun); n++) {
            const fate *f = &fates[i][n];
            JUDGE(f->got_end == 0 || f->got_end >= latest,
                  "message %u of %u was out before the get began that brought %u", n, i, of);
            if (f->got_begin > latest) {
                latest = f->got_begin;
                of = n;
            }
        }
    }
    return 0;
}

/* The messages that each killed consumer may have taken with it account for all that is lost. */
static inline int judge_losses(void)
{
    uint32_t allowed = 0;
    int64_t last_death = 0;
    for (uint32_t i = 0; i < w->lives; i++) {
        const life *l = &w->life[i];
        if (l->produces || l->died == 0 || mp__load_seq(&l->promise) <= known(l))
            continue;
        allowed += mp__load_seq(&l->promise) - known(l);
        last_death = l->died > last_death ? l->died : last_death;
    }
    judge_lost = 0;
    for (uint32_t i = 0; i < w->lives; i++)
        for (uint32_t n = 0; w->life[i].produces && n < known(&w->life[i]); n++)
            if (fates[i][n].got_end == 0) {
                judge_lost++;
                JUDGE(judge_lost <= allowed && fates[i][n].put_begin < last_death,
                      "message %u of %u is lost, and %u more; the dead may have taken %u", n, i,
                      judge_lost - 1, allowed);
            }
    return 0;
}

/* A moment at which the least that is certainly in the queue changes. */
typedef struct moment {
    int64_t time;
    int64_t messages, bytes; /* this many more */
    int64_t until;           /* of a message that is in: when the get began that brought it */
} moment;

static moment moments[2 * LIVES * ENTRIES];

static inline int by_time(const void *a, const void *b)
{
    const moment *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->messages < y->messages ? -1 : x->messages > y->messages; /* those that leave first */
}

static inline size_t list_moments(void)
{
    size_t count = 0;
    for (uint32_t i = 0; i < w->lives; i++)
        for (uint32_t n = 0; w->life[i].produces && n < known(&w->life[i]); n++) {
            const fate *f = &fates[i][n];
            int64_t bytes = (int64_t)message_length(i, n) + 8;
            if (f->got_end == 0 || f->got_begin <= f->put_end)
                continue;
            moments[count++] = (moment){f->put_end, 1, bytes, f->got_begin};
            moments[count++] = (moment){f->got_begin, -1, -bytes, 0};
        }
    qsort(moments, count, sizeof *moments, by_time);
    return count;
}

static inline int judge_limits(size_t count)
{
    int64_t messages = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        messages += moments[i].messages;
        bytes += moments[i].bytes;
        JUDGE(w->maxsize == 0 || messages <= (int64_t)w->maxsize, "%lld messages in a queue for %u",
              (long long)messages, w->maxsize);
        JUDGE(w->capacity == 0 || bytes <= (int64_t)w->capacity, "%lld bytes in a queue for %zu",
              (long long)bytes, w->capacity);
    }
    return 0;
}

/* The first moment that is not before `time`. */
static inline size_t find_moment(size_t count, int64_t time)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (moments[middle].time < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* `until` becomes the latest of all moments up to there. */
static inline int judge_emptiness(size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (moments[i].until < moments[i - 1].until)
            moments[i].until = moments[i - 1].until;
    for (uint32_t i = 0; i < w->lives; i++) {
        const life *l = &w->life[i];
        for (uint32_t n = 0; !l->produces && n < known(l); n++) {
            const got_entry *g = &l->got[n];
            size_t at = find_moment(count, g->begin);
            JUDGE(g->producer != NOBODY || at == 0 || moments[at - 1].until <= g->end,
                  "%u was told that the queue is empty, and a message was there", i);
        }
    }
    return 0;
}

static inline int judge(void)
{
    if (judge_logs() != 0 || judge_order() != 0 || judge_losses() != 0)
        return 1;
    size_t count = list_moments();
    return judge_limits(count) != 0 || judge_emptiness(count) != 0;
}

#endif
