/* SPDX-License-Identifier: MIT */
/* A worker that dies while it counts, or writes an event: the figures and the trace that it leaves
 * are whole, lack at most the item that it was counting, and the next worker goes on with them. */
#include "os/clock.h"
#include "pool/handle.h"
#include "pool/trace.h"
#include "support/steps.h"
#include "support/workers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ITEMS = 1200 };

static mp__pool_control *c;
static mp__work *w;

static mp__slot_insight *slot_insight(void)
{
    return mp__load_relaxed(&c->slot[0].insight);
}

static bool fails(uint64_t index)
{
    return index % 3 == 2;
}

/* What a worker does, from where the last one has left it. */
static int be_a_worker(void *arg)
{
    mp__slot_insight *m = slot_insight();
    mp__slot *s = &c->slot[0];
    (void)arg;
    mp__insight_ready(m);
    mp__insight_wait(m);
    mp__insight_waited(m);
    for (uint64_t i = mp__load_relaxed(&s->item) >> 1; i < ITEMS; i++) {
        mp__store_release(&s->item, i << 1 | 1);
        mp__insight_begin(m, mp__now());
        mp__insight_item(m, w, i, mp__now(), fails(i));
        mp__store_release(&s->item, (i + 1) << 1);
    }
    mp__insight_leave(m);
    return 0;
}

static void check_slowest(uint64_t counted)
{
    mp_slow_item slow[MP_SLOWEST];
    int n = mp__insight_slowest(slot_insight(), slow);
    assert_true(n >= (counted > 8 ? 7 : 0)); /* the one that was being written may be missing */
    for (int i = 0; i < n; i++) {
        assert_true(slow[i].work == 1 && slow[i].index < counted && slow[i].seconds > 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(slow[k].index, slow[i].index);
    }
}

/* The events stand for the items from 0 on, each once, but for what was being written at a death.
 * Returns for how many. */
static uint64_t check_events(uint64_t deaths)
{
    uint64_t first, end, next = 0, missing = 0;
    mp__trace_kept(slot_insight(), &first, &end);
    for (uint64_t i = first; i < end; i++) {
        const mp__event *e = mp__trace_event(slot_insight(), i);
        enum mp__event_kind kind = mp__event_kind_of(e);
        if (kind >= MP__EVENT_FORKED)
            continue;
        assert_true(e->index >= next);
        missing += e->index - next;
        next = e->index;
        assert_int_equal(e->what >> 3, 1);
        uint64_t span = mp__load_relaxed(&e->span);
        if (kind == MP__EVENT_FAILED)
            assert_true(fails(e->index));
        next += kind == MP__EVENT_RUN ? span & ((1u << MP__RUN_BITS) - 1) : 1;
    }
    assert_true(missing <= deaths);
    return next;
}

static void check_figures(uint64_t done, int64_t began)
{
    mp__figures f;
    mp__insight_read(slot_insight(), &f);
    assert_in_range(f.items, done, done + 1);
    assert_in_range(f.failed, done / 3, (done + 1) / 3);
    int64_t all = f.spent[MP__DOING_START] + f.spent[MP__DOING_WAIT] + f.spent[MP__DOING_WORK];
    assert_true(all >= 0 && all <= mp__now() - began);
    assert_false(mp__figures_open(&f)); /* closed by who has buried it */
    check_slowest(f.items);
}

static void make_slot(void)
{
    c = mp_shared_calloc(1, sizeof *c + 2 * sizeof(mp__slot));
    w = mp_shared_calloc(1, sizeof *w);
    assert_true(c != NULL && w != NULL);
    c->slots = 1;
    mp__store_relaxed(&c->used, 1);
    c->insight = mp_shared_calloc(1, sizeof *c->insight);
    assert_non_null(c->insight);
    c->insight->chunks = 8;
    w->order = 1;
    mp__store_relaxed(&c->slot[0].work, w);
}

/* `arg`: how many deaths one after the other. */
static int die(const char *step, int nth, void *arg)
{
    int deaths = *(int *)arg, how = STEP_REACHED;
    make_slot();
    int64_t began = mp__now();
    for (int i = 1; i <= deaths && how == STEP_REACHED; i++) {
        assert_int_equal(mp__insight_start(c, 0, (uint32_t)i), 0);
        how = kill_at(step, nth, SIGKILL, be_a_worker, NULL);
        assert_int_not_equal(how, STEP_FAILED);
        mp__insight_end(c, 0, how == STEP_REACHED ? -SIGKILL : 0, NULL);
        uint64_t item = mp__load_relaxed(&c->slot[0].item);
        if (i == 1)
            check_figures(item >> 1, began);
        assert_in_range(check_events((uint64_t)i) + (uint64_t)i, item >> 1,
                        (item >> 1) + 1 + (uint64_t)i);
        mp__store_relaxed(&c->slot[0].item, ((item >> 1) + (item & 1)) << 1); /* it is settled */
    }
    assert_int_equal(mp__insight_start(c, 0, 99), 0);
    assert_int_equal(child_end(child_start(be_a_worker, NULL)), 0);
    mp__insight_end(c, 0, 0, NULL);
    assert_int_equal(check_events((uint64_t)deaths), ITEMS);
    mp__figures f;
    mp__insight_read(slot_insight(), &f);
    assert_in_range(f.items, ITEMS - deaths, ITEMS);
    check_slowest(ITEMS);
    assert_int_equal(mp__load_relaxed(&slot_insight()->unrecorded), 0);
    mp__insight_free(c);
    mp_shared_free(w);
    mp_shared_free(c);
    assert_int_equal(mp_shared_check(NULL), 0);
    return how;
}

static void each_death(void **state)
{
    (void)state;
    int once = 1, thrice = 3;
    assert_int_equal(each_step("insight.", 12, die, &once), 3);
    assert_int_equal(each_step("trace.", 12, die, &once), 4);
    assert_int_equal(each_step("insight.", 2, die, &thrice), 3);
    assert_int_equal(each_step("trace.", 2, die, &thrice), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {POOL_TEST(each_death)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
