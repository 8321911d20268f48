/* SPDX-License-Identifier: MIT */
/*
 * What a worker owes to those who settle its death: before it runs an item it says so in
 * slot->item; when it has run it, the next item's word says that. So at any moment all items of its
 * range before slot->item are done, that one is running if its mark is set, and the rest is
 * untouched.
 */
#include "pool/worker.h"

#include "os/clock.h"
#include "os/dispositions.h"
#include "os/limits.h"
#include "os/servant.h"
#include "os/thread.h"
#include "pool/claim.h"
#include "pool/failure.h"
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
    mp__range range;     /* that it has to run */
    uint64_t generation; /* of this process */
} worker;

/* The process objects that tasks see. */
static void introduce(const worker *me, unsigned number)
{
    char name[256], identity[32];
    snprintf(name, sizeof name, "%s-%u", me->plan->name, number);
    snprintf(identity, sizeof identity, "%u", number);
    mp_process *self = mp__process_new("Process", name, identity);
    mp_process *parent = mp__process_new_parent(me->plan->program_pid, me->plan->program);
    if (self == NULL)
        mp__child_leave(EXIT_FAILURE);
    self->daemon = true;
    self->tied = true;
    mp__store_relaxed(&self->parent_pid, me->plan->program_pid);
    mp__entry_begin(self, parent, NULL);
    /* The program lives: the supervisor, without which this process would be killed, watches it. */
    if (parent != NULL)
        mp__servant_watch_program(&parent->child.sentinel, me->plan->program_pid);
    mp__process_tie_children();
}

static void fail_item(mp__work *w, uint64_t index, int code)
{
    uint64_t lowest;
    bool wanted = w->all_failures || mp__work_code(w, &lowest) == 0 || index < lowest;
    mp__failure *f =
        wanted ? mp__failure_create(MP_ETASK, mp__process_id(), mp__failure_text()) : NULL;
    if (f != NULL) {
        f->task_code = code;
        if (f->text[0] == '\0')
            snprintf(f->text, sizeof f->text, "the task returned %d", code);
    }
    mp__work_fail(w, index, MP_ETASK, f);
}

static void run_item(worker *me, mp__work *w, uint64_t index)
{
    mp__slot *s = me->slot;
    if (w->limit != 0) { /* a deadline is never beside another item that is marked */
        mp__store_release(&s->item, index << 1);
        mp__store_relaxed(&s->deadline, mp__now() + w->limit);
    }
    mp__store_release(&s->item, index << 1 | 1); /* after the output of the item before */
    mp__failure_begin();
    const void *in = w->in_size != 0 ? w->in + index * w->in_size : NULL;
    void *out = w->out_size != 0 ? w->out + index * w->out_size : NULL;
    int code = w->task(in, out, w->context);
    if (mp__registry_generation() != me->generation)
        mp__child_leave(
            EXIT_FAILURE); /* a child that the task has forked, and that came back here */
    if (mp__failure_end(&code))
        fail_item(w, index, code);
    me->ran++;
}

static bool is_used_up(const worker *me)
{
    return me->items != 0 && me->ran >= me->items;
}

/* Runs a range, or as much of it as this worker may; the rest stays the slot's. */
static void run_range(worker *me)
{
    mp__work *w = mp__load_relaxed(&me->slot->work);
    mp__range range = me->range;
    uint64_t index = range.start;
    while (index < range.end && !is_used_up(me)) {
        if (mp__pool_phase_of(me->control) >= MP__POOL_TERMINATED)
            mp__child_leave(0);
        run_item(me, w, index++);
        mp__store_relaxed(&me->slot->attempts, 0);
    }
    mp__claim_set(me->control, me->slot, (mp__range){index, range.end});
}

/* Whether the worker has a range now. */
static bool find_work(void *arg)
{
    worker *me = arg;
    return mp__claim_get(me->slot, &me->range) ||
           mp__claim_take(me->control, me->number, &me->range);
}

/* Waits for work. False: there will be none. */
static bool wait_for_work(worker *me)
{
    while (!find_work(me) && !mp__spin_until(find_work, me)) {
        uint32_t ticket = mp__waitword_arm(&me->control->idle);
        enum mp__pool_phase phase = mp__pool_phase_of(me->control); /* before the last look */
        if (find_work(me))
            return true;
        mp__claim_forget(me->slot);
        if (phase >= MP__POOL_CLOSED)
            return false;
        mp__waitword_sleep(&me->control->idle, ticket, MP__NEVER);
    }
    return true;
}

static void fail_pool(worker *me, int code)
{
    mp__failure *f = mp__failure_create(MP_ETASK, mp__process_id(), "the initializer failed");
    if (f != NULL) {
        f->task_code = code;
        if (mp__failure_text()[0] != '\0')
            snprintf(f->text, sizeof f->text, "the initializer failed: %.200s", mp__failure_text());
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
    mp__failure_begin();
    int code = o->initializer(o->initializer_arg);
    if (mp__failure_end(&code))
        fail_pool(me, code);
}

_Noreturn void mp__worker_run(const mp__pool_plan *plan, uint32_t slot, unsigned number)
{
    worker me = {.plan = plan,
                 .control = plan->control,
                 .slot = &plan->control->slot[slot],
                 .number = slot,
                 .generation = mp__registry_generation(),
                 .items = (uint64_t)plan->options.max_tasks_per_child};
    mp__life_hold(&me.slot->life);
    mp__fence_seq(); /* pairs with mp__handle_settle(): it sees this life, or we see that end */
    if (mp__life_word_is_over(&me.control->supervisor))
        mp__child_leave(EXIT_FAILURE);
    mp__dispositions_of_worker();
    if (plan->options.pin_cpus > 0)
        mp__limits_pin(slot);
    introduce(&me, number);
    initialize(&me);
    mp__store_release(&me.slot->state, MP__SLOT_READY);
    while (!is_used_up(&me) && wait_for_work(&me))
        run_range(&me);
    mp__store_release(&me.slot->state, MP__SLOT_LEAVING);
    if (plan->options.finalizer != NULL)
        plan->options.finalizer(plan->options.initializer_arg);
    exit(0);
}
