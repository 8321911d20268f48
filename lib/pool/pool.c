/* SPDX-License-Identifier: MIT */
/* Pools: made, closed, terminated, joined and freed by the program. */
#include "pool/handle.h"

#include "base/options.h"
#include "os/atfork.h"
#include "os/backtrace.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/limits.h"
#include "os/poller.h"
#include "os/signals.h"
#include "os/stdio.h"
#include "os/thread.h"
#include "pool/collect.h"
#include "pool/insight.h"
#include "pool/supervisor.h"
#include "proc/exit.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <mproc/process.h>
#include <mproc/shared.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAGIC  UINT64_C(0x6d70726f63706f6f)
#define SLOTS_LEAST 32
#define GRACE_NS    (5 * MP__NS_PER_S)

static mp__guard pools_guard = MP__GUARD_INITIALIZER;
static mp__link pools = MP__LIST(pools), ended = MP__LIST(ended);

void mp__handle_lock_pools(void)
{
    mp__guard_lock(&pools_guard);
}

void mp__handle_unlock_pools(void)
{
    mp__guard_unlock(&pools_guard);
}

/* A forked child has none; handles that it inherited are its parent's. */
static void forget_pools(void)
{
    mp__list_init(&pools);
    mp__guard_unlock(&pools_guard);
}

int mp__handle_check(const mp_pool *pool)
{
    if (pool == NULL || pool->magic != POOL_MAGIC)
        return MP_EINVAL;
    return pool->generation == mp__registry_generation() ? 0 : MP_ESTATE;
}

/* ---- options ---- */

static int check_keep(const int *keep)
{
    mp__fd_identity ignored;
    for (; keep != NULL && *keep >= 0; keep++)
        if (!mp__fd_identify(*keep, &ignored))
            return MP_EINVAL;
    return 0;
}

static int read_options(mp_pool_options *o, const mp_pool_options *given)
{
    int rc = mp__options_read(o, sizeof *o, given);
    if (rc < 0)
        return rc;
    bool sound = o->processes >= 0 && o->processes <= MP__WORKERS_MOST &&
                 o->max_tasks_per_child >= 0 && o->idle_timeout >= 0 && o->task_timeout >= 0 &&
                 o->retries >= 0 &&
                 (o->pin_cpus == 0 || o->pin_cpus == MP_YES || o->pin_cpus == MP_NO) &&
                 o->soft_timeout >= 0 && mp__signal_is_one(o->soft_signal) &&
                 (o->start_method == 0 || o->start_method == MP_START_FORK) &&
                 (o->progress != NULL || o->progress_arg == NULL);
    if (!sound) /* a NaN compares as false */
        return MP_EINVAL;
    if (o->processes == 0)
        o->processes = mp_cpu_count();
    return check_keep(o->keep);
}

static int *copy_keep(const int *keep)
{
    size_t count = 1;
    while (keep != NULL && keep[count - 1] >= 0)
        count++;
    int *copy = malloc(count * sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        copy[i] = i + 1 < count ? keep[i] : -1;
    return copy;
}

static int make_plan(mp_pool *pool, const mp_pool_options *o)
{
    mp__pool_plan *plan = &pool->plan;
    mp_process *self = mp_current_process();
    if (self == NULL)
        return MP_ENOMEM;
    plan->control = pool->control;
    plan->options = *o;
    plan->options.keep = copy_keep(o->keep);
    plan->name = strdup(o->name != NULL ? o->name : "PoolWorker");
    plan->program = strdup(mp_process_name(self));
    plan->program_pid = mp__process_id();
    plan->options.name = plan->name;
    pool->loaded = mp__loaded_now();
    bool whole = plan->options.keep != NULL && plan->name != NULL && plan->program != NULL &&
                 pool->loaded != NULL;
    return whole ? 0 : MP_ENOMEM;
}

/* ---- making ---- */

/* What mp_pool_resize() may come to. */
static uint32_t slots_for(uint32_t processes)
{
    uint32_t cpus = (uint32_t)mp__limits_cpus_at_first();
    uint32_t slots = 4 * (processes > cpus ? processes : cpus);
    slots = slots > SLOTS_LEAST ? slots : SLOTS_LEAST;
    return slots < MP__WORKERS_MOST ? slots : MP__WORKERS_MOST;
}

/* The list of works begins with one that has no items. */
static int make_control(mp_pool *pool, uint32_t target)
{
    uint32_t slots = slots_for(target);
    pool->control =
        mp_shared_calloc(1, sizeof(mp__pool_control) + (slots + (size_t)1) * sizeof(mp__slot));
    if (pool->control == NULL)
        return mp_shared_error();
    int cpus = mp__limits_cpus_at_first();
    pool->control->slots = slots;
    mp__store_relaxed(&pool->control->target, target);
    pool->control->lookers = cpus > 3 ? (uint32_t)cpus / 2 : 1;
    mp_job none = {.size = sizeof none};
    mp__work_order order = {.job = &none, .workers = target};
    int rc = mp__work_create(&pool->last, &order);
    if (rc < 0)
        return rc;
    mp__store_relaxed(&pool->last->state, MP__WORK_DONE);
    mp__store_relaxed(&pool->control->first, pool->last);
    mp__handle_retire(pool, pool->last);
    return 0;
}

static void discard(mp_pool *pool)
{
    mp__servant_drop(&pool->servant);
    free((void *)(uintptr_t)pool->plan.options.keep);
    free(pool->plan.name);
    free(pool->plan.program);
    free(pool->loaded);
    mp__trace_free(pool->trace);
    pool->magic = 0;
    free(pool);
}

static void discard_shared(mp_pool *pool)
{
    for (mp__work *w = pool->retired; w != NULL;) {
        mp__work *next = w->retired_next;
        mp__work_free(w);
        w = next;
    }
    if (pool->control != NULL) {
        mp_shared_free(mp__load_relaxed(&pool->control->failure));
        mp__insight_free(pool->control);
    }
    mp_shared_free(pool->control);
}

/* Waits until the supervisor has forked its workers, or has failed to. */
static int wait_for_start(mp_pool *pool)
{
    mp__pool_control *c = pool->control;
    for (;;) {
        uint32_t ticket = mp__waitword_arm(&c->changed);
        if (mp__pool_phase_of(c) != MP__POOL_STARTING) /* the code was stored before that */
            return mp__load_relaxed(&c->start_code);
        if (mp__servant_wait(&pool->servant, MP__AT_ONCE) == 0)
            return mp__pool_phase_of(c) != MP__POOL_STARTING ? mp__load_relaxed(&c->start_code)
                                                             : MP_ECRASHED;
        mp__futex_wait(&c->changed.word, ticket, mp__deadline_look_again(MP__NEVER));
    }
}

/* A supervisor that is stopped, by a debugger or SIGSTOP, is waited for so long; then it is killed,
 * and the kernel kills its workers. An interrupt has nothing half-done to come back to: the next
 * call gets it. */
static void wait_until_gone(mp_pool *pool)
{
    bool interrupted = false;
    mp__deadline grace = mp__deadline_in_ns(GRACE_NS);
    for (int rc; (rc = mp__servant_wait(&pool->servant, grace)) < 0;) {
        interrupted |= rc == MP_EINTR;
        if (rc == MP_ETIMEDOUT) {
            mp__servant_kill(&pool->servant);
            grace = MP__NEVER;
        }
    }
    if (interrupted)
        mp_interrupt();
}

/* Waits for the last worker of a supervisor that is gone, and settles. */
static void settle_all(mp_pool *pool)
{
    bool interrupted = false;
    while (!mp__handle_settle(pool))
        interrupted |= mp__poll(NULL, 0, mp__deadline_in_ns(MP__NS_PER_MS)) == MP_EINTR;
    if (interrupted) /* the next call gets it */
        mp_interrupt();
}

static int start(mp_pool *pool)
{
    mp__stdio_flush();
    mp__backtrace_prepare();
    mp__servant_duty duty = {mp__supervisor_prepare, mp__supervisor_run, &pool->plan};
    int rc = mp__servant_start(&pool->servant, &pool->control->supervisor_pid, &duty);
    if (rc < 0)
        return rc;
    rc = wait_for_start(pool);
    if (rc < 0) {
        wait_until_gone(pool);
        settle_all(pool); /* workers of a supervisor that was killed */
    }
    return rc;
}

/* At exit() the program's pools end with it. */
static void terminate_all(void)
{
    for (;;) {
        mp_pool *pool = NULL;
        mp__handle_lock_pools();
        mp__list_for_each (link, &pools) {
            pool = mp__container(link, mp_pool, link);
            mp__list_remove(link);
            if (pool->standing) /* so that no tool thinks it lost */
                mp__list_append(&ended, link);
            break;
        }
        mp__handle_unlock_pools();
        if (pool == NULL)
            return;
        mp_pool_terminate(pool);
    }
}

static int register_parts(void)
{
    static mp__atfork part = {
        .prepare = mp__handle_lock_pools, .parent = mp__handle_unlock_pools, .child = forget_pools};
    static mp__exit_hook hook = {.run = terminate_all};
    int rc = mp_init();
    if (rc >= 0)
        rc = mp__registry_init();
    if (rc >= 0)
        rc = mp__atfork_add(&part);
    if (rc >= 0)
        rc = mp__callback_init();
    if (rc >= 0)
        mp__exit_add(&hook);
    return rc;
}

int mp_pool_create(mp_pool **out, const mp_pool_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_pool_options o;
    int rc = read_options(&o, options);
    if (rc >= 0)
        rc = register_parts();
    if (rc < 0)
        return rc;
    mp_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return MP_ENOMEM;
    pool->servant =
        (mp__servant){.bell = MP__OWNED_NONE, .other = MP__OWNED_NONE, .pidfd = MP__OWNED_NONE};
    pool->generation = mp__registry_generation();
    mp__guard_init(&pool->guard);
    mp__list_init(&pool->results);
    mp__callback_init_pool(&pool->callbacks);
    pool->retired_end = &pool->retired;
    rc = make_control(pool, (uint32_t)o.processes);
    if (rc >= 0)
        rc = make_plan(pool, &o);
    if (rc >= 0)
        rc = mp__insight_create(pool, &o);
    if (rc >= 0)
        rc = start(pool);
    if (rc < 0) {
        discard_shared(pool);
        discard(pool);
        return rc;
    }
    pool->magic = POOL_MAGIC;
    mp__handle_lock_pools();
    mp__list_append(&pools, &pool->link);
    mp__handle_unlock_pools();
    *out = pool;
    return 0;
}

/* ---- ending ---- */

int mp_pool_close(mp_pool *pool)
{
    int rc = mp__handle_check(pool);
    if (rc < 0)
        return rc;
    mp__guard_lock(&pool->guard); /* a submission is before it, or sees it */
    mp__handle_close(pool);
    mp__guard_unlock(&pool->guard);
    /* No ring: the workers leave by themselves, which wakes the supervisor. If there is none just
     * now, it is about to look again. */
    return 0;
}

void mp__handle_strip_standing(void)
{
    mp__list_for_each (link, &pools) {
        mp_pool *pool = mp__container(link, mp_pool, link);
        if (!pool->standing || !mp__load_acquire(&pool->over) ||
            mp__load_relaxed(&pool->stripped) || mp__servant_wait(&pool->servant, MP__AT_ONCE) < 0)
            continue;
        mp__store_release(&pool->stripped, true); /* pairs with mp_pool_terminate(), join() */
        mp__servant_drop(&pool->servant);
    }
}

int mp_pool_terminate(mp_pool *pool)
{
    int rc = mp__handle_check(pool);
    if (rc < 0 || mp__load_acquire(&pool->stripped))
        return rc;
    if (mp__pool_enter(pool->control, MP__POOL_TERMINATED))
        mp__servant_ring(&pool->servant);
    wait_until_gone(pool);
    settle_all(pool);
    mp__insight_finish(pool);
    return 0;
}

int mp_pool_join(mp_pool *pool, double timeout)
{
    mp__deadline until;
    int rc = mp__handle_check(pool);
    if (rc == 0)
        rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (mp__pool_phase_of(pool->control) < MP__POOL_CLOSED && !mp__load_relaxed(&pool->closing) &&
        !mp__handle_is_lost(pool))
        return MP_ESTATE;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    rc = mp__collect_until_gone(pool, until);
    if (rc == 0 && !mp__load_acquire(&pool->stripped))
        rc = mp__servant_wait(&pool->servant, until);
    if (rc == 0) {
        settle_all(pool);
        mp__insight_finish(pool);
    }
    mp__callback_run();
    return rc;
}

void mp_pool_free(mp_pool *pool)
{
    if (pool == NULL || pool->magic != POOL_MAGIC || pool->standing)
        return;
    if (pool->generation != mp__registry_generation()) {
        discard(pool);
        return;
    }
    mp_pool_terminate(pool);
    mp__handle_lock_pools();
    mp__list_remove(&pool->link);
    mp__handle_unlock_pools();
    mp__callback_forget_pool(pool);
    discard_shared(pool);
    discard(pool);
}
