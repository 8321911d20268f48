/* SPDX-License-Identifier: MIT */
/* Claims: a worker dies, or stands still, at every step, while others go on; two die one after the
 * other. Each item is settled exactly once, and each work becomes done. Then the supervisor of a
 * pool dies while it settles a worker's death. */
#include "pool/claim.h"
#include "support/shared.h"
#include "support/steps.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SLOTS = 3, WORKS = 4, MOST = 8, NTH = 4 };

static const size_t counts[WORKS] = {6, 1, 5, 4}, chunks[WORKS] = {1, 0, 2, 0};

static mp__pool_control *control;
static mp__work *works[WORKS], *dummy;
static word (*runs)[MOST]; /* how often an item was begun, or found begun by a dead worker */

static int none(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return 0;
}

static mp__work *make_work(size_t count, size_t chunk, uint32_t lanes)
{
    mp_job job = {.size = sizeof job, .task = none, .count = count, .chunksize = chunk};
    mp__work_order order = {.job = &job, .workers = lanes};
    mp__work *w = NULL;
    assert_int_equal(mp__work_create(&w, &order), 0);
    return w;
}

/* With fewer lanes than slots the last slot has none. */
static void begin(uint32_t lanes)
{
    memset((void *)runs, 0, WORKS * sizeof *runs);
    control = mp_shared_calloc(1, sizeof *control + (SLOTS + 1) * sizeof(mp__slot));
    assert_non_null(control);
    control->slots = SLOTS;
    mp__store_relaxed(&control->used, SLOTS);
    mp__work *last = dummy = make_work(0, 0, lanes);
    mp__store_relaxed(&dummy->state, MP__WORK_DONE);
    mp__store_relaxed(&control->first, dummy);
    for (int k = 0; k < WORKS; k++) {
        works[k] = make_work(counts[k], chunks[k], lanes);
        mp__store_seq(&last->following, works[k]);
        last = works[k];
    }
}

static void finish(const char *step, int nth)
{
    for (int k = 0; k < WORKS; k++) {
        for (uint64_t i = 0; i < counts[k]; i++)
            if (runs[k][i] != 1)
                fail_msg("%s, %d: item %d of work %d ran %u times", step, nth, (int)i, k,
                         runs[k][i]);
        if (!mp__work_is_done(works[k]))
            fail_msg("%s, %d: work %d is not done", step, nth, k);
        assert_int_equal(mp__claim_left(control, works[k]), 0);
    }
    assert_false(mp__claim_any(control));
    for (int k = 0; k < WORKS; k++)
        mp__work_free(works[k]);
    mp__work_free(dummy);
    mp_shared_free(control);
}

static word *runs_of(const mp__work *w)
{
    for (int k = 0; k < WORKS; k++)
        if (works[k] == w)
            return runs[k];
    abort();
}

static void run_item(mp__slot *s, uint64_t item)
{
    mp__store_release(&s->item, item << 1 | 1);
    mp__add_seq(&runs_of(mp__load_relaxed(&s->work))[item], 1);
}

/* Unit by unit, as works of single items are run. Sets *end to where slot->item is then. */
static void stroll(uint32_t slot, uint64_t *end)
{
    mp__slot *s = &control->slot[slot];
    mp__stroll st;
    uint64_t item;
    if (mp__load_relaxed(&s->work)->unit != 1 || !mp__stroll_begin(control, slot, &st))
        return;
    while (mp__stroll_on(&st, &item)) {
        run_item(s, item);
        *end = item + 1;
    }
    mp__store_release(&s->item, *end << 1);
}

/* What a worker does until there is nothing left. */
static void work_in(uint32_t slot)
{
    mp__slot *s = &control->slot[slot];
    mp__pace pace = {0, 0};
    mp__range r;
    for (int n = 0;
         (mp__claim_get(s, &r) && r.start < r.end) || mp__claim_take(control, slot, &pace, &r);
         n++) {
        run_item(s, r.start);
        if (r.start + 1 < r.end && n % 2 == 0) { /* it leaves, and the next one takes it up */
            mp__claim_set(control, s, (mp__range){r.start + 1, r.end});
            continue;
        }
        for (uint64_t i = r.start + 1; i < r.end; i++)
            run_item(s, i);
        mp__store_release(&s->item, r.end << 1);
        stroll(slot, &r.end);
        if (n % 3 == 2)
            mp__claim_set(control, s, (mp__range){r.end, r.end});
    }
    mp__claim_forget(s);
}

static int worker(void *slot)
{
    work_in(*(uint32_t *)slot);
    return 0;
}

/* What the supervisor does; the item that was running counts as settled. */
static void resolve(uint32_t slot)
{
    mp__slot *s = &control->slot[slot];
    mp__range r;
    mp__claim_resolve(control, slot);
    mp__work *w = mp__load_relaxed(&s->work);
    if (mp__claim_get(s, &r)) {
        uint64_t item = mp__load_acquire(&s->item);
        r.start = item >> 1;
        assert_in_range(r.start, 0, r.end);
        if (item & 1)
            mp__store_relaxed(&runs_of(w)[r.start++], 1);
        mp__claim_set(control, s, r);
    } else if (w != NULL) {
        mp__claim_finish(control, w);
    }
    if (!mp__claim_get(s, &r))
        mp__claim_forget(s);
}

typedef struct death {
    uint32_t slot, lanes;
    bool others_first; /* another worker goes on before the dead one is found */
} death;

static int dies(const char *step, int nth, void *arg)
{
    death *d = arg;
    begin(d->lanes);
    int how = kill_at(step, nth, SIGKILL, worker, &d->slot);
    assert_int_not_equal(how, STEP_FAILED);
    if (d->others_first)
        work_in(1);
    if (how == STEP_REACHED)
        resolve(d->slot);
    work_in(d->slot);
    work_in(1);
    finish(step, nth);
    return how;
}

static void test_dies(void **state)
{
    (void)state;
    int all = steps_of("claim.").count;
    death own[] = {{0, SLOTS, false}, {0, SLOTS, true}};
    death without_lane[] = {{2, 2, false}, {2, 2, true}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(each_step("claim.", NTH, dies, &own[i]), all);
        assert_true(each_step("claim.", NTH, dies, &without_lane[i]) >= all - 5);
    }
}

/* One stands still, with a claim or without one; the others do all that is not claimed. */
static int stands_still(const char *step, int nth, void *arg)
{
    death *d = arg;
    pid_t stopped;
    begin(d->lanes);
    int how = stop_at(step, nth, worker, &d->slot, &stopped);
    assert_int_not_equal(how, STEP_FAILED);
    work_in(1);
    if (how == STEP_REACHED)
        assert_int_equal(step_go_on(stopped), 0);
    finish(step, nth);
    return how;
}

static void test_stands_still(void **state)
{
    (void)state;
    death own = {0, SLOTS, false}, without_lane = {2, 2, false};
    assert_int_equal(each_step("claim.", 2, stands_still, &own), steps_of("claim.").count);
    assert_true(each_step("claim.", 2, stands_still, &without_lane) > 0);
}

/* The first has cut off a unit, and dies before it says that it has it. The next one, that cuts the
 * same lane, must say it for the first; he dies, too. */
static int two_die(const char *step, int nth, void *arg)
{
    const bool *in_order = arg;
    uint32_t first = 0, second = 2;
    begin(SLOTS);
    assert_int_equal(kill_at("claim.cut.cut_off", 1, SIGKILL, worker, &first), STEP_REACHED);
    int how = kill_at(step, nth, SIGKILL, worker, &second);
    assert_int_not_equal(how, STEP_FAILED);
    if (*in_order)
        resolve(first);
    if (how == STEP_REACHED)
        resolve(second);
    work_in(1);
    if (!*in_order)
        resolve(first);
    work_in(first);
    work_in(second);
    finish(step, nth);
    return how;
}

static void test_two_die(void **state)
{
    (void)state;
    for (int in_order = 0; in_order < 2; in_order++) {
        bool arg = in_order != 0;
        assert_true(each_step("claim.", NTH, two_die, &arg) > 8);
    }
}

/* ---- the supervisor ---- */

enum { ITEMS = 12, DEADLY = 5 };

static int disarm(void *arg)
{
    (void)arg;
    mp__step_arm(NULL, 0, 0);
    return 0;
}

static int run_or_die(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    size_t item = mp_task_index();
    if (item == DEADLY)
        raise(SIGKILL);
    *(uint32_t *)out = (uint32_t)item + 1;
    return 0;
}

static int supervisor_dies(const char *step, int nth, void *arg)
{
    const size_t *chunk = arg;
    mp_pool *pool;
    uint32_t out[ITEMS] = {0};
    mp_task_error errors[ITEMS];
    mp__step_arm(step, nth, SIGKILL); /* the supervisor inherits it, and its workers disarm */
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .initializer = disarm), 0);
    mp__step_arm(NULL, 0, 0);
    mp_job job = {.size = sizeof job,
                  .task = run_or_die,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = ITEMS,
                  .chunksize = *chunk,
                  .errors = errors};
    mp_result *r;
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    for (int i = 0; i < ITEMS; i++) {
        assert_true(errors[i].code == (i == DEADLY ? MP_ECRASHED : 0) ||
                    errors[i].code == MP_ECRASHED);
        assert_int_equal(out[i], errors[i].code == 0 ? i + 1 : 0);
    }
    mp_result_free(r);
    int rc;
    do /* the work may have been done before it died */
        rc = mp_pool_apply(pool, none, NULL, 0, NULL, 0, LONG);
    while (rc == 0);
    assert_true(rc == MP_ESTATE || rc == MP_ECRASHED);
    mp_pool_free(pool);
    step_record(step);
    assert_int_equal(mp_shared_check(NULL), 0);
    return STEP_REACHED;
}

static void test_supervisor_dies(void **state)
{
    (void)state;
    size_t chunk = 1; /* nothing is left of the dead one's claim */
    assert_int_equal(each_step("claim.set.", 1, supervisor_dies, &chunk), 1);
    assert_int_equal(each_step("claim.end.", 1, supervisor_dies, &chunk), 1);
    chunk = 4; /* or something is */
    assert_int_equal(each_step("claim.set.item", 1, supervisor_dies, &chunk), 1);
}

static int setup(void **state)
{
    (void)state;
    runs = common(WORKS * sizeof *runs);
    return runs == NULL ? -1 : mp_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_stands_still),
        cmocka_unit_test(test_two_die),
        cmocka_unit_test(test_supervisor_dies),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
