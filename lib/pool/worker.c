/* SPDX-License-Identifier: MIT */
/*
 * What a worker owes to those who settle its death: before it runs an item it says so in
 * slot->item; when it has run it, the next item's word says that. So at any moment all items of its
 * range before slot->item are done, that one is running if its mark is set, and the rest is
 * untouched.
 */
#include "pool/worker.h"

#include "os/backtrace.h"
#include "os/clock.h"
#include "os/dispositions.h"
#include "os/limits.h"
#include "os/probe.h"
#include "os/servant.h"
#include "os/thread.h"
#include "pool/claim.h"
#include "pool/idle.h"
#include "pool/insight.h"
#include "pool/leaving.h"
#include "pool/task.h"
#include "proc/entry.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct worker {
    const mp__pool_plan *plan;
    mp__pool_control *control;
    mp__slot *slot;
    uint32_t number; /* of the slot */
    uint64_t items;  /* that it may run before it is replaced; 0: no limit */
    uint64_t ran;
    mp__range range; /* that it has to run */
    mp__pace pace;
    uint64_t generation;       /* of this process */
    mp__slot_insight *insight; /* or NULL */
    bool waiting;              /* as far as that knows */
    mp__leaving leaving;
} worker;

/* Claims are so large that they are few, and so small that nobody waits for the rest of one. */
#define CLAIM_NS   (20 * MP__NS_PER_MS / 1000)
#define LOOK_EVERY 64 /* items that are claimed one by one: whether the worker is one too many */

static void fail_item(mp__work *w, uint64_t index, int code)
{
    uint64_t lowest;
    bool wanted = w->all_failures || mp__work_code(w, &lowest) == 0 || index < lowest;
    mp__failure *f =
        wanted ? mp__failure_create(MP_ETASK, mp__process_id(), mp__task_text()) : NULL;
    if (f != NULL) {
        f->task_code = code;
        if (f->text[0] == '\0')
            snprintf(f->text, sizeof f->text, "the task returned %d", code);
    }
    mp__work_fail(w, index, MP_ETASK, f);
}

/* A child that the task has forked, and that came back here, leaves. */
static void check_identity(const worker *me)
{
    if (__builtin_expect(mp__registry_generation() != me->generation, 0))
        mp__child_leave(EXIT_FAILURE);
}

/* The item has run; what it returned is not all that can be wrong. Returns whether it failed. */
static bool end_item(mp__work *w, uint64_t index, int code)
{
    bool failed = mp__task_settle(w, index, &code);
    if (failed)
        fail_item(w, index, code);
    return failed;
}

static const void *input_of(const mp__work *w, uint64_t index)
{
    return w->in_size != 0 ? w->in + index * w->in_size : NULL;
}

static void *output_of(const mp__work *w, uint64_t index)
{
    return w->out_size != 0 ? w->out + index * w->out_size : NULL;
}

static bool is_stopped(const mp__work *w)
{
    return mp__load_relaxed(&w->canceled) == MP__WORK_STOPPED;
}

/* Where nothing is to be done for each item. Returns the first that it did not run. */
static uint64_t run_quickly(worker *me, mp__work *w, mp__range range)
{
    mp__slot *s = me->slot;
    uintptr_t in = (uintptr_t)input_of(w, range.start), out = (uintptr_t)output_of(w, range.start);
    size_t in_size = w->in_size, out_size = w->out_size;
    mp_task task = w->task;
    void *context = w->context;
    uint64_t index = range.start;
    for (; index < range.end && !is_stopped(w); index++) {
        mp__store_release(&s->item, index << 1 | 1); /* after the output of the item before */
        MP_PROBE2(item__begin, w, index);
        int code = task((const void *)in, (void *)out, context);
        MP_PROBE3(item__end, w, index, code);
        check_identity(me);
        if (mp__task_has_said(code))
            end_item(w, index, code);
        in += in_size;
        out += out_size;
    }
    return index;
}

/* Where each item has a limit, or its time is kept. It begins when the one before it has ended. */
static uint64_t run_carefully(worker *me, mp__work *w, mp__range range)
{
    mp__slot *s = me->slot;
    uint64_t index = range.start;
    int64_t now = mp__now();
    for (; index < range.end && !is_stopped(w); index++) {
        mp__store_release(&s->item, index << 1); /* no deadline is beside another item's mark */
        mp__store_relaxed(&s->deadline, w->limit != 0 ? now + w->limit : 0);
        mp__store_relaxed(&s->soft, w->soft != 0 ? now + w->soft : 0);
        mp__store_release(&s->item, index << 1 | 1);
        if (me->insight != NULL)
            mp__insight_begin(me->insight, now);
        MP_PROBE2(item__begin, w, index);
        int code = w->task(input_of(w, index), output_of(w, index), w->context);
        MP_PROBE3(item__end, w, index, code);
        check_identity(me);
        now = mp__now();
        bool failed = mp__task_has_said(code) && end_item(w, index, code);
        if (me->insight != NULL)
            mp__insight_item(me->insight, w, index, now, failed);
    }
    mp__store_release(&s->item, index << 1);
    mp__store_relaxed(&s->deadline, 0);
    mp__store_relaxed(&s->soft, 0);
    return index;
}

/* Whether the worker leaves when its claim is done. */
static bool is_used_up(worker *me)
{
    return (me->items != 0 && me->ran >= me->items) || mp__leaving_is_due(&me->leaving);
}

/* So many units have taken so long: how many make a claim of the right size? */
static void learn(worker *me, uint64_t units, int64_t took)
{
    uint64_t more = units * 2, right = more;
    if (took > 0)
        right = units * (uint64_t)CLAIM_NS / (uint64_t)took;
    me->pace.units = right < 1 ? 1 : right < more ? right : more;
}

static bool is_careful(const worker *me, const mp__work *w)
{
    return w->limit != 0 || w->soft != 0 || me->insight != NULL;
}

static uint64_t run_items(worker *me, mp__work *w, mp__range range)
{
    return is_careful(me, w) ? run_carefully(me, w, range) : run_quickly(me, w, range);
}

/* Runs a range, or as much of it as this worker may; the rest stays the slot's. */
static void run_range(worker *me, mp__work *w)
{
    mp__slot *s = me->slot;
    mp__range range = me->range;
    if (mp__pool_phase_of(me->control) >= MP__POOL_TERMINATED)
        mp__child_leave(0);
    if (me->items != 0 && range.end - range.start > me->items - me->ran)
        range.end = range.start + (me->items - me->ran);
    uint64_t end = range.start;
    if (mp__load_relaxed(&s->attempts) != 0) { /* they are the first item's alone */
        end = run_items(me, w, (mp__range){end, end + 1});
        mp__store_relaxed(&s->attempts, 0);
    }
    end = run_items(me, w, (mp__range){end, range.end});
    me->ran += end - range.start;
    mp__store_release(&s->item, end << 1);
    if (end < range.end) { /* nobody wants the rest */
        mp__work_fail_range(w, end, me->range.end, &mp__work_canceled);
        end = me->range.end;
        mp__store_release(&s->item, end << 1);
    }
    me->range.start = end;
}

static void run_and_learn(worker *me, mp__work *w)
{
    uint64_t start = me->range.start;
    int64_t began = mp__now();
    run_range(me, w);
    learn(me, (me->range.start - start + w->unit - 1) / w->unit, mp__now() - began);
}

/* The rest of the worker's own lane, if that is claimed item by item. */
static void run_singly(worker *me, mp__work *w)
{
    mp__stroll st;
    if (!w->fixed || w->unit != 1 || is_careful(me, w) || me->items != 0 ||
        me->leaving.memory_most != 0 || !mp__stroll_begin(me->control, me->number, &st))
        return;
    _Atomic uint64_t *item = &me->slot->item;
    uint64_t index, end = mp__load_relaxed(item) >> 1;
    while (!is_stopped(w) && mp__stroll_on(&st, &index)) {
        mp__store_release(item, index << 1 | 1);
        MP_PROBE2(item__begin, w, index);
        int code = w->task(input_of(w, index), output_of(w, index), w->context);
        MP_PROBE3(item__end, w, index, code);
        check_identity(me);
        if (mp__task_has_said(code))
            end_item(w, index, code);
        end = index + 1;
        if (end % LOOK_EVERY == 0 && mp__leaving_is_surplus(me->control, me->number))
            break;
    }
    mp__store_release(item, end << 1);
    me->range = (mp__range){end, end};
}

/* Runs a range, and then those that follow it in the worker's own lane. */
static void run_claims(worker *me)
{
    mp__work *w = mp__load_relaxed(&me->slot->work);
    bool paced = w->units > 1 && !w->fixed;
    mp__task_begin(w);
    do {
        if (paced)
            run_and_learn(me, w);
        else
            run_range(me, w);
        run_singly(me, w);
    } while (!is_used_up(me) && w->units > 1 &&
             mp__claim_next(me->control, me->number, &me->pace, &me->range));
    mp__task_end();
    if (is_used_up(me))
        mp__claim_set(me->control, me->slot, me->range);
}

/* Whether the worker has a range now. */
static bool find_work(void *arg)
{
    worker *me = arg;
    if (mp__claim_get(me->slot, &me->range) && me->range.start < me->range.end) {
        /* Left by the last worker here. */
        mp__task_inherit(mp__load_relaxed(&me->slot->work), me->range.start);
        return true;
    }
    if (mp__leaving_is_surplus(me->control, me->number)) {
        mp__claim_end(me->control, me->slot); /* somebody may wait for it */
        return me->leaving.decided = true;
    }
    if (mp__claim_take(me->control, me->number, &me->pace, &me->range))
        return true;
    if (me->insight != NULL && !me->waiting)
        mp__insight_wait(me->insight);
    me->waiting = true;
    return false;
}

/* Waits for work. False: there will be none, or none for this worker. */
static bool wait_for_work(worker *me)
{
    const mp__slot *s = me->slot;
    /* Who gets the result of a single task may send the next one: then this worker is awake. */
    if (mp__load_relaxed(&s->work) != NULL && !mp__claim_leaves_more(s))
        mp__idle_promise(me->control, me->number);
    mp__deadline end = mp__leaving_idle_end(me->number, me->plan->options.idle_timeout);
    bool found = mp__idle_wait(me->control, me->number, find_work, me, end);
    if (me->insight != NULL && me->waiting)
        mp__insight_waited(me->insight);
    me->waiting = false;
    return found && !me->leaving.decided;
}

static void fail_pool(worker *me, int code)
{
    mp__failure *f = mp__failure_create(MP_ETASK, mp__process_id(), "the initializer failed");
    if (f != NULL) {
        f->task_code = code;
        if (mp__task_text()[0] != '\0')
            snprintf(f->text, sizeof f->text, "the initializer failed: %.200s", mp__task_text());
        mp__pool_blame(me->control, f);
    }
    mp__store_release(&me->slot->state, MP__SLOT_FAILING);
    exit(EXIT_FAILURE);
}

static void initialize(worker *me)
{
    const mp_pool_options *o = &me->plan->options;
    if (o->initializer == NULL)
        return;
    mp__task_begin(NULL);
    int code = o->initializer(o->initializer_arg);
    bool failed = mp__task_has_said(code) && mp__task_settle(NULL, 0, &code);
    mp__task_end();
    if (failed)
        fail_pool(me, code);
}

_Noreturn void mp__worker_run(const mp__pool_plan *plan, uint32_t slot, const mp__badge *badge)
{
    worker me = {.plan = plan,
                 .control = plan->control,
                 .slot = &plan->control->slot[slot],
                 .number = slot,
                 .generation = mp__registry_generation(),
                 .insight = mp__load_relaxed(&plan->control->slot[slot].insight),
                 .items = (uint64_t)plan->options.max_tasks_per_child};
    mp__life_hold(&me.slot->life);
    mp__fence_seq(); /* pairs with mp__handle_settle(): it sees this life, or we see that end */
    if (mp__life_word_is_over(&me.control->supervisor))
        mp__child_leave(EXIT_FAILURE);
    mp__dispositions_of_worker();
    mp__task_enter(me.control, slot);
    mp__backtrace_arm(&me.slot->crash);
    if (plan->options.pin_cpus > 0)
        mp__limits_pin(slot);
    mp__badge_wear(badge);
    initialize(&me);
    mp__leaving_begin(&me.leaving, me.control, slot, plan->options.max_memory_per_child);
    if (me.insight != NULL)
        mp__insight_ready(me.insight);
    mp__store_release(&me.slot->state, MP__SLOT_READY);
    bool rests;
    do {
        rests = !wait_for_work(&me);
        if (!rests)
            run_claims(&me);
    } while (!rests && !is_used_up(&me));
    enum mp__pool_phase phase = mp__pool_phase_of(me.control);
    if (phase >= MP__POOL_TERMINATED)
        mp__child_leave(0); /* not in order */
    rests = rests && phase == MP__POOL_RUNNING && !me.leaving.decided;
    if (me.insight != NULL)
        mp__insight_leave(me.insight);
    mp__store_release(&me.slot->state, rests ? MP__SLOT_RESTING : MP__SLOT_LEAVING);
    if (plan->options.finalizer != NULL)
        plan->options.finalizer(plan->options.initializer_arg);
    exit(0);
}
