/* SPDX-License-Identifier: MIT */
#include "pool/insight.h"

#include "os/clock.h"
#include "os/step.h"
#include "os/thread.h"
#include "pool/trace.h"
#include "pool/work.h"

#include <mproc/shared.h>
#include <string.h>

#define PLACE_BITS 4
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

/* What is added to an account. */
typedef struct entry {
    enum mp__doing what;
    int64_t ns, until;
    uint64_t items, failed;
} entry;

static void copy_number(_Atomic uint64_t *to, const _Atomic uint64_t *from, uint64_t more)
{
    mp__store_release(to, mp__load_relaxed(from) + more);
}

static void enter(mp__slot_insight *m, entry e)
{
    uint64_t turn = mp__load_relaxed(&m->turn);
    const mp__account *old = &m->account[turn & 1];
    mp__account *new = &m->account[~turn & 1];
    for (int i = MP__DOING_START; i <= MP__DOING_WORK; i++)
        mp__store_release(&new->spent[i],
                          mp__load_relaxed(&old->spent[i]) + (i == (int)e.what ? e.ns : 0));
    MP_STEP("insight.enter.half_written");
    copy_number(&new->items, &old->items, e.items);
    copy_number(&new->failed, &old->failed, e.failed);
    mp__store_release(&new->until, e.until);
    mp__store_release(&m->turn, turn + 1); /* pairs with mp__insight_read() */
    MP_STEP("insight.enter.turned");
}

static int64_t since(const mp__slot_insight *m)
{
    return mp__load_relaxed(&m->doing) >> 2;
}

static void set_doing(mp__slot_insight *m, enum mp__doing what, int64_t now)
{
    mp__store_release(&m->doing, now << 2 | (int64_t)what);
}

/* ---- the slowest items ---- */

/* The place of the shortest that is shown, or of one that shows nothing yet. */
static uint64_t shortest(const mp__slot_insight *m, uint64_t hidden)
{
    uint64_t best = hidden == 0 ? 1 : 0;
    for (uint64_t i = 0; i < MP__SLOW_PLACES; i++)
        if (i != hidden && mp__load_relaxed(&m->slow[i].ns) < mp__load_relaxed(&m->slow[best].ns))
            best = i;
    return best;
}

static void remember_slow(mp__slot_insight *m, int64_t ns, uint64_t work, uint64_t index)
{
    uint64_t listed = mp__load_relaxed(&m->listed);
    uint64_t hidden = listed & PLACE_MASK;
    uint64_t victim = shortest(m, hidden);
    if (ns <= mp__load_relaxed(&m->slow[victim].ns)) /* what a dead one left in `least` was old */
        return;
    mp__slow *s = &m->slow[hidden];
    mp__store_release(&s->ns, ns);
    mp__store_release(&s->work, work);
    MP_STEP("insight.slow.half_written");
    mp__store_release(&s->index, index);
    listed = ((listed >> PLACE_BITS) + 1) << PLACE_BITS | victim;
    mp__store_release(&m->listed, listed); /* pairs with mp__insight_slowest() */
    mp__store_relaxed(&m->least, mp__load_relaxed(&m->slow[shortest(m, victim)].ns));
}

int mp__insight_slowest(const mp__slot_insight *of, mp_slow_item out[MP_SLOWEST])
{
    uint64_t listed;
    int n;
    do {
        listed = mp__load_acquire(&of->listed);
        n = 0;
        for (uint64_t i = 0; i < MP__SLOW_PLACES; i++) {
            const mp__slow *s = &of->slow[i];
            int64_t ns = mp__load_acquire(&s->ns);
            if (i != (listed & PLACE_MASK) && ns > 0)
                out[n++] = (mp_slow_item){.seconds = (double)ns / 1e9,
                                          .work = mp__load_acquire(&s->work),
                                          .index = (size_t)mp__load_acquire(&s->index)};
        }
    } while (mp__load_relaxed(&of->listed) != listed);
    return n;
}

/* ---- in a worker ---- */

/* Counts what it was doing until now. */
static int64_t spend(mp__slot_insight *m, enum mp__doing what)
{
    int64_t now = mp__now();
    enter(m, (entry){.what = what, .ns = now - since(m), .until = now});
    return now;
}

void mp__insight_ready(mp__slot_insight *mine)
{
    mp__event e = {.start = since(mine), .what = MP__EVENT_READY};
    int64_t now = spend(mine, MP__DOING_START);
    set_doing(mine, MP__DOING_NOTHING, now);
    e.index = (uint64_t)mp__process_id();
    mp__store_relaxed(&e.span, (uint64_t)(now - e.start));
    mp__store_relaxed(&mine->pid, mp__process_id());
    mp__trace_add(mine, &e);
}

void mp__insight_wait(mp__slot_insight *mine)
{
    set_doing(mine, MP__DOING_WAIT, mp__now());
    mp__trace_close(mine);
}

void mp__insight_waited(mp__slot_insight *mine)
{
    int64_t now = spend(mine, MP__DOING_WAIT);
    set_doing(mine, MP__DOING_NOTHING, now);
}

void mp__insight_item(mp__slot_insight *mine, const mp__work *w, uint64_t index, int64_t ended,
                      bool failed)
{
    mp__event e = {.start = since(mine),
                   .index = index,
                   .what = w->order << 3 | (failed ? MP__EVENT_FAILED : MP__EVENT_ITEM)};
    int64_t ns = ended - e.start;
    enter(mine, (entry){MP__DOING_WORK, ns, ended, 1, failed});
    if (ns > mp__load_relaxed(&mine->least))
        remember_slow(mine, ns, w->order, index);
    mp__trace_item(mine, &e, ended);
}

void mp__insight_leave(mp__slot_insight *mine)
{
    set_doing(mine, MP__DOING_NOTHING, mp__now());
    mp__trace_close(mine);
}

/* ---- in the supervisor ---- */

static mp__slot_insight *make_slot(mp__pool_control *c, mp__slot *s)
{
    uint32_t chunks = c->insight->chunks;
    mp__slot_insight *m = mp_shared_calloc(1, sizeof *m + chunks * sizeof(mp__event *));
    if (m == NULL)
        return NULL;
    m->chunks = chunks;
    mp__store_release(&s->insight, m); /* pairs with the program's loads */
    return m;
}

int mp__insight_start(mp__pool_control *c, uint32_t slot, uint32_t number)
{
    if (c->insight == NULL)
        return 0;
    mp__slot *s = &c->slot[slot];
    mp__slot_insight *m = mp__load_relaxed(&s->insight);
    if (m == NULL && (m = make_slot(c, s)) == NULL)
        return mp_shared_error();
    if (mp__load_relaxed(&m->starts) == 0)
        mp__store_relaxed(&m->number, number);
    mp__store_relaxed(&m->starts, mp__load_relaxed(&m->starts) + 1);
    mp__store_release(&m->manned, true);
    int64_t now = mp__now();
    mp__event e = {.start = now, .index = number, .what = MP__EVENT_FORKED};
    mp__trace_add(m, &e);
    set_doing(m, MP__DOING_START, now);
    return 0;
}

/* The item that a dead worker was in. */
static void add_lost(mp__slot_insight *m, const mp__slot *s, int64_t now, const char *why)
{
    const mp__work *w = mp__load_relaxed(&s->work);
    uint64_t item = mp__load_acquire(&s->item);
    if (w == NULL || !(item & 1))
        return;
    mp__event e = {
        .start = since(m), .index = item >> 1, .what = w->order << 3 | MP__EVENT_LOST, .text = why};
    mp__store_relaxed(&e.span, (uint64_t)(now - e.start));
    mp__trace_add(m, &e);
}

static void add_end(mp__slot_insight *m, const mp__event *end)
{
    int64_t now = end->start;
    mp__figures f;
    mp__insight_read(m, &f);
    if (mp__figures_open(&f))
        enter(m, (entry){.what = f.doing, .ns = now - f.since, .until = now});
    set_doing(m, MP__DOING_NOTHING, now);
    mp__trace_add(m, end);
    mp__store_release(&m->manned, false);
}

void mp__insight_end(mp__pool_control *c, uint32_t slot, int exitcode, const char *why)
{
    mp__slot *s = &c->slot[slot];
    mp__slot_insight *m = mp__load_acquire(&s->insight);
    if (m == NULL)
        return;
    mp__event end = {.start = mp__now(), .what = MP__EVENT_ENDED, .text = why};
    end.index = (uint64_t)mp__load_relaxed(&s->pid);
    mp__store_relaxed(&end.span, (uint64_t)(int64_t)exitcode);
    mp__store_relaxed(&m->pid, (int)end.index);
    mp__figures f;
    mp__insight_read(m, &f);
    if (f.doing == MP__DOING_WORK && mp__figures_open(&f))
        add_lost(m, s, end.start, why);
    if (exitcode != 0)
        mp__store_relaxed(&m->deaths, mp__load_relaxed(&m->deaths) + 1);
    add_end(m, &end);
}

void mp__insight_cancel(mp__pool_control *c, uint32_t slot)
{
    mp__slot_insight *m = mp__load_acquire(&c->slot[slot].insight);
    if (m == NULL)
        return;
    mp__store_relaxed(&m->starts, mp__load_relaxed(&m->starts) - 1);
    mp__insight_end(c, slot, 0, "no process could be made");
}

/* ---- for all ---- */

void mp__insight_read(const mp__slot_insight *of, mp__figures *out)
{
    uint64_t turn;
    do {
        turn = mp__load_acquire(&of->turn);
        const mp__account *a = &of->account[turn & 1];
        int64_t doing = mp__load_acquire(&of->doing);
        out->doing = (enum mp__doing)(doing & 3);
        out->since = doing >> 2;
        for (int i = MP__DOING_START; i <= MP__DOING_WORK; i++)
            out->spent[i] = mp__load_acquire(&a->spent[i]);
        out->items = mp__load_acquire(&a->items);
        out->failed = mp__load_acquire(&a->failed);
        out->until = mp__load_acquire(&a->until);
    } while (mp__load_relaxed(&of->turn) != turn);
}
