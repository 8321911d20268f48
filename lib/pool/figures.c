/* SPDX-License-Identifier: MIT */
/* Insights in the program: made with the pool, read, printed, and closed at its end. */
#include "os/clock.h"
#include "os/guard.h"
#include "os/newfile.h"
#include "pool/handle.h"
#include "pool/trace.h"

#include <mproc/error.h>
#include <mproc/process.h>
#include <mproc/shared.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_LEAST 2
#define ENDED_WITH   "ended with the pool"
#define NAME_SIZE    64

struct mp__trace {
    char *path;      /* NULL: only figures */
    mp__guard guard; /* whoever finishes lets others wait for the file */
    bool finished;
    int outcome; /* see mp_insights */
};

/* ---- making and ending ---- */

static int make_shared(mp__pool_control *c, bool traced)
{
    c->insight = mp_shared_calloc(1, sizeof *c->insight);
    if (c->insight == NULL)
        return mp_shared_error();
    uint32_t chunks = MP__TRACE_EVENTS / MP__TRACE_CHUNK / mp__load_relaxed(&c->target);
    c->insight->created = mp__now();
    c->insight->chunks = !traced ? 0 : chunks > CHUNKS_LEAST ? chunks : CHUNKS_LEAST;
    return 0;
}

int mp__insight_create(mp_pool *pool, const mp_pool_options *o)
{
    if (o->insights != 0 && o->insights != MP_YES && o->insights != MP_NO)
        return MP_EINVAL;
    if (o->trace == NULL && o->insights != MP_YES)
        return 0;
    mp__trace *t = pool->trace = calloc(1, sizeof *t);
    if (t == NULL)
        return MP_ENOMEM;
    mp__guard_init(&t->guard);
    int rc = o->trace != NULL ? mp__newfile_check(&t->path, o->trace) : 0;
    return rc < 0 ? rc : make_shared(pool->control, t->path != NULL);
}

/* Workers that were not buried one by one. */
static void close_accounts(mp__pool_control *c)
{
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        const mp__slot_insight *m = mp__load_acquire(&c->slot[i].insight);
        if (m != NULL && mp__load_acquire(&m->manned))
            mp__insight_end(c, i, 0, ENDED_WITH);
    }
}

void mp__insight_finish(mp_pool *pool)
{
    mp__trace *t = pool->trace;
    if (t == NULL)
        return;
    mp__guard_lock(&t->guard);
    if (!t->finished) {
        close_accounts(pool->control);
        mp__store_relaxed(&pool->control->insight->ended, mp__now());
        int rc = t->path != NULL ? mp__trace_write(pool, t->path) : 0;
        t->outcome = rc < 0 ? rc : t->path != NULL;
        t->finished = true;
    }
    mp__guard_unlock(&t->guard);
}

void mp__insight_free(mp__pool_control *c)
{
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        mp__slot_insight *m = mp__load_relaxed(&c->slot[i].insight);
        for (uint32_t k = 0; m != NULL && k < m->chunks; k++)
            mp_shared_free(m->chunk[k]);
        mp_shared_free(m);
    }
    mp_shared_free(c->insight);
}

void mp__trace_free(mp__trace *trace)
{
    if (trace != NULL)
        free(trace->path);
    free(trace);
}

/* ---- reading ---- */

static int64_t end_of(const mp__pool_control *c)
{
    int64_t ended = mp__load_relaxed(&c->insight->ended);
    return ended != 0 ? ended : mp__now();
}

static void read_slot(const mp__slot_insight *m, int64_t now, mp_worker_insights *out)
{
    mp__figures f;
    mp__insight_read(m, &f);
    if (mp__figures_open(&f) && now > f.since)
        f.spent[f.doing] += now - f.since;
    *out = (mp_worker_insights){.pid = mp__load_relaxed(&m->pid),
                                .starts = mp__load_relaxed(&m->starts),
                                .deaths = mp__load_relaxed(&m->deaths),
                                .items = f.items,
                                .failed = f.failed,
                                .busy = (double)f.spent[MP__DOING_WORK] / 1e9,
                                .waiting = (double)f.spent[MP__DOING_WAIT] / 1e9,
                                .starting = (double)f.spent[MP__DOING_START] / 1e9};
}

static void add_up(mp_worker_insights *sum, const mp_worker_insights *w)
{
    sum->starts += w->starts;
    sum->deaths += w->deaths;
    sum->items += w->items;
    sum->failed += w->failed;
    sum->busy += w->busy;
    sum->waiting += w->waiting;
    sum->starting += w->starting;
}

/* Puts an item where it belongs among the slowest, if it does. */
static void rank(mp_insights *in, const mp_slow_item *item)
{
    int i = in->slowest_count;
    while (i > 0 && in->slowest[i - 1].seconds < item->seconds)
        i--;
    if (i == MP_SLOWEST)
        return;
    int behind = (in->slowest_count < MP_SLOWEST ? in->slowest_count++ : MP_SLOWEST - 1) - i;
    memmove(&in->slowest[i + 1], &in->slowest[i], (size_t)behind * sizeof *item);
    in->slowest[i] = *item;
}

static void add_slot(mp_insights *in, const mp__slot_insight *m, int worker, int64_t now)
{
    mp_worker_insights w;
    mp_slow_item slow[MP_SLOWEST];
    read_slot(m, now, &w);
    add_up(&in->total, &w);
    in->places++;
    in->trace_dropped += mp__trace_dropped(m);
    for (int n = mp__insight_slowest(m, slow); n > 0; n--) {
        slow[n - 1].worker = worker;
        rank(in, &slow[n - 1]);
    }
}

static int check(const mp_pool *pool)
{
    int rc = mp__handle_check(pool);
    return rc == 0 && pool->trace == NULL ? MP_ESTATE : rc;
}

int mp_pool_insights(const mp_pool *pool, mp_insights *out)
{
    int rc = out == NULL ? MP_EINVAL : check(pool);
    if (rc < 0)
        return rc;
    const mp__pool_control *c = pool->control;
    int64_t now = end_of(c);
    memset(out, 0, sizeof *out);
    out->elapsed = (double)(now - c->insight->created) / 1e9;
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        const mp__slot_insight *m = mp__load_acquire(&c->slot[i].insight);
        if (m != NULL)
            add_slot(out, m, (int)i, now);
    }
    mp__guard_lock(&pool->trace->guard);
    out->trace = pool->trace->outcome;
    mp__guard_unlock(&pool->trace->guard);
    return 0;
}

int mp_pool_worker_insights(const mp_pool *pool, int worker, mp_worker_insights *out)
{
    int rc = out == NULL ? MP_EINVAL : check(pool);
    if (rc < 0)
        return rc;
    const mp__pool_control *c = pool->control;
    if (worker < 0 || (uint32_t)worker >= c->slots)
        return MP_EINVAL;
    const mp__slot_insight *m = mp__load_acquire(&c->slot[worker].insight);
    memset(out, 0, sizeof *out);
    if (m != NULL)
        read_slot(m, end_of(c), out);
    return 0;
}

/* ---- the table ---- */

static void print_line(FILE *to, const char *name, const mp_worker_insights *w)
{
    double all = w->busy + w->waiting + w->starting;
    double busy = all > 0 ? w->busy / all * 100 : 0;
    fprintf(to, "%-20s %12llu %8llu %11.6f %3.0f %% %11.6f %11.6f %7u %7u\n", name,
            (unsigned long long)w->items, (unsigned long long)w->failed, w->busy, busy, w->waiting,
            w->starting, w->starts, w->deaths);
}

/* A place has the name of the first worker there. */
static void name_place(const mp_pool *pool, int place, char name[NAME_SIZE])
{
    const mp__slot_insight *m = mp__load_acquire(&pool->control->slot[place].insight);
    snprintf(name, NAME_SIZE, "%s-%u", pool->plan.name, mp__load_relaxed(&m->number));
}

static void print_slowest(FILE *to, const mp_pool *pool, const mp_insights *in)
{
    char name[NAME_SIZE];
    if (in->slowest_count > 0)
        fprintf(to, "\n%-20s %12s %8s  place\n", "slowest", "item", "work");
    for (int i = 0; i < in->slowest_count; i++) {
        const mp_slow_item *s = &in->slowest[i];
        name_place(pool, s->worker, name);
        fprintf(to, "%18.6f s %12zu %8llu  %s\n", s->seconds, s->index, (unsigned long long)s->work,
                name);
    }
}

void mp_pool_print_insights(const mp_pool *pool, FILE *to)
{
    mp_insights in;
    if (to == NULL || mp_pool_insights(pool, &in) < 0)
        return;
    fprintf(to, "%-20s %12s %8s %11s %5s %11s %11s %7s %7s\n", "place", "items", "failed", "busy s",
            "", "waiting s", "starting s", "starts", "deaths");
    for (uint32_t i = 0; i < mp__load_acquire(&pool->control->used); i++) {
        mp_worker_insights w;
        char name[NAME_SIZE];
        if (mp_pool_worker_insights(pool, (int)i, &w) < 0 || w.starts == 0)
            continue;
        name_place(pool, (int)i, name);
        print_line(to, name, &w);
    }
    print_line(to, "all", &in.total);
    print_slowest(to, pool, &in);
}
