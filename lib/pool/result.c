/* SPDX-License-Identifier: MIT */
/*
 * Results: submitting work, waiting for it, and their end.
 *
 * A result is held by the program until that frees it, and by whoever uses it beside: a call that
 * waits, a callback that runs, an iterator, a result that is chained to it. The last one destroys
 * it. So a callback may free its result, whatever other threads do with it at that moment.
 */
#include "pool/handle.h"

#include "chan/wait.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/poller.h"
#include "pool/collect.h"
#include "pool/idle.h"
#include "pool/leaving.h"
#include "pool/outcome.h"
#include "proc/registry.h"
#include "sync/fileno.h"

#include <mproc/error.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_MAGIC UINT64_C(0x6d70726f63726573)
#define FREED_MAGIC  UINT64_C(0x6d70726f63667265) /* by the program; held by others */

int mp__result_check(const mp_result *r)
{
    if (r == NULL || r->magic != RESULT_MAGIC)
        return MP_EINVAL;
    return r->generation == mp__registry_generation() ? 0 : MP_ESTATE;
}

/* ---- for mp_wait() ---- */

static int find_bells(const void *result, mp__doorbells **bells)
{
    const mp_result *r = result;
    int rc = r->magic == FREED_MAGIC ? 0 : mp__result_check(r);
    if (rc == 0)
        *bells = &r->work->bells;
    return rc;
}

static bool look(mp_result *r)
{
    if (!mp__work_is_done(r->work) && mp__handle_is_lost(r->pool))
        mp__handle_settle(r->pool);
    if (mp__work_is_done(r->work))
        return true;
    mp__fileno_settle(&r->work->bells);
    return false;
}

static bool is_ready(void *result)
{
    return look(result);
}

static int hold_what_follows(void **held, int room)
{
    return mp__callback_hold((mp_result **)held, room);
}

static void hold(void *result)
{
    mp__result_hold(result);
}

static void let_go(void *result)
{
    mp__result_let_go(result);
}

static const mp__wait_results waits = {.find = find_bells,
                                       .ready = is_ready,
                                       .hold = hold,
                                       .let_go = let_go,
                                       .hold_awaited = hold_what_follows,
                                       .run = mp__callback_run,
                                       .following = &mp__callback_count};

/* ---- submission ---- */

static int64_t limit_of(double job, double pool)
{
    double limit = job > 0 ? job : pool;
    if (limit > 0 && limit < 1e-9)
        return 1; /* 0 would be none at all */
    return limit > 9e8 ? 0 : (int64_t)(limit * 1e9);
}

static uint32_t retries_of(const mp_pool *pool, const mp_job *job)
{
    int retries = job->retries != 0 ? job->retries : pool->plan.options.retries;
    return retries > 0 ? (uint32_t)retries : 0;
}

/* With the guard held: appends the work to the list. */
static void append(mp_pool *pool, mp_result *r)
{
    mp__work *w = r->work;
    mp__list_remove(&r->link); /* a chained one is there already */
    mp__list_append(&pool->results, &r->link);
    if (w->count == 0) {
        mp__store_release(&w->state, MP__WORK_DONE);
        return;
    }
    w->order = ++pool->orders;
    mp__store_seq(&pool->last->following, w); /* publishes it; pairs with find() in pool/claim.c */
    pool->last = w;
}

static void announce_limit(mp_pool *pool, int64_t limit)
{
    _Atomic int64_t *shortest = &pool->control->limit;
    int64_t now = mp__load_relaxed(shortest);
    while ((now == 0 || limit < now) && !mp__cas_relaxed(shortest, &now, limit))
        continue;
    mp__servant_ring(&pool->servant);
}

/* The failure of the pool itself, told like that of an item. */
static void remember_pool_failure(const mp_pool *pool)
{
    const mp__failure *f = mp__load_acquire(&pool->control->failure);
    mp_task_error error;
    if (f != NULL) {
        mp__failure_export(f, &error);
        mp__failure_remember(&error);
    }
}

int mp__result_make(mp_pool *pool, mp_result **out, const mp_job *job)
{
    mp__work_order order = {.job = job,
                            .limit = limit_of(job->time_limit, pool->plan.options.task_timeout),
                            .soft = limit_of(job->soft_limit, pool->plan.options.soft_timeout),
                            .retries = retries_of(pool, job),
                            .workers = mp__load_relaxed(&pool->control->target)};
    mp_result *r = calloc(1, sizeof *r);
    if (r == NULL)
        return MP_ENOMEM;
    int rc = mp__work_create(&r->work, &order);
    if (rc < 0) {
        free(r);
        return rc;
    }
    mp__wait_set_results(&waits);
    r->magic = RESULT_MAGIC;
    r->generation = pool->generation;
    r->pool = pool;
    r->job = *job;
    mp__list_init(&r->link);
    *out = r;
    return 0;
}

/* One that is in no list. */
static void discard(mp_result *r)
{
    mp__work_free(r->work);
    free(r);
}

int mp__result_enlist(mp_result *r)
{
    mp__guard_lock(&r->pool->guard);
    int rc = mp__handle_refusal(r->pool);
    if (rc == 0) {
        mp__list_append(&r->pool->results, &r->link);
        r->pool->unstarted += r->unstarted;
    }
    mp__guard_unlock(&r->pool->guard);
    if (rc < 0) {
        if (rc == MP_ETASK)
            remember_pool_failure(r->pool);
        discard(r);
    }
    return rc;
}

int mp__result_launch(mp_result *r)
{
    mp_pool *pool = r->pool;
    mp__guard_lock(&pool->guard);
    int rc = r->unstarted ? mp__handle_end(pool) : mp__handle_refusal(pool);
    if (rc == 0) {
        append(pool, r);
        mp__result_is_begun(r); /* afterwards: the pool may be closed by it */
    }
    mp__handle_sweep(pool);
    mp__guard_unlock(&pool->guard);
    if (rc < 0)
        return rc;
    const mp__work *w = r->work;
    mp__idle_wake(pool->control, w->units);
    if (mp__leaving_any_rest(pool->control))
        mp__servant_ring(&pool->servant);
    if (w->limit != 0 && w->count > 0)
        announce_limit(pool, w->limit);
    if (w->soft != 0 && w->count > 0)
        announce_limit(pool, w->soft);
    return 0;
}

int mp__result_submit(mp_pool *pool, mp_result **out, const mp_job *job)
{
    mp_result *r;
    int rc = mp__result_make(pool, &r, job);
    if (rc < 0)
        return rc;
    rc = mp__result_launch(r);
    if (rc < 0) {
        if (rc == MP_ETASK)
            remember_pool_failure(pool);
        discard(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* ---- waiting ---- */

static void show_progress(const mp_result *r)
{
    const mp_pool *pool = r->pool;
    size_t total = r->work->count;
    size_t done = total;
    if (!mp__work_is_done(r->work)) {
        done = pool != NULL ? total - mp__claim_left(pool->control, r->work) : 0;
        done -= done == total; /* that all is done is told once */
    }
    if (r->job.progress != NULL)
        r->job.progress(done, total, r->job.progress_arg);
    else if (pool != NULL && pool->plan.options.progress != NULL)
        pool->plan.options.progress(done, total, pool->plan.options.progress_arg);
}

static bool is_done(void *w)
{
    return mp__work_is_done(w);
}

static bool tells_progress(const mp_result *r)
{
    return r->job.progress != NULL || (r->pool != NULL && r->pool->plan.options.progress != NULL);
}

/* Sleeps until the work is done, the supervisor is gone, or it is time to show progress. Whoever
 * dies between the end of a work and its wake is buried by the supervisor, which wakes again. */
static void sleep_once(mp_result *r, mp__deadline until)
{
    mp__work *w = r->work;
    _Atomic uint32_t *life = &r->pool->control->supervisor.word;
    uint32_t alive = mp__load_acquire(life);
    uint32_t ticket = mp__waitword_arm(&w->done);
    if (mp__work_is_done(w) || mp__robust_abandoned(alive))
        return;
    mp__watch watches[] = {{&w->done.word, ticket}, {life, alive}, {NULL, 0}};
    if (!mp__callback_watch_first(&watches[2]))
        return;
    mp__sleep_any(watches, 3, tells_progress(r) ? mp__deadline_look_again(until) : until);
}

bool mp__result_settle_lost(mp_result *r, mp__deadline until)
{
    if (mp__work_is_done(r->work) || !mp__handle_is_lost(r->pool) || mp__handle_settle(r->pool))
        return true;
    /* The last workers are dying. */
    if (until.ns != 0 && mp__poll(NULL, 0, mp__deadline_in_ns(MP__NS_PER_MS)) == MP_EINTR)
        mp_interrupt(); /* whoever waits looks for it next */
    return false;
}

/* Whether something has followed meanwhile; else it has slept. */
static void follow_or_sleep(mp_result *r, mp__deadline until)
{
    if (!mp__callback_any())
        sleep_once(r, until);
    else if (mp__callback_run() == 0)
        mp__collect_sleep(&r, 1, until);
}

int mp__result_await(mp_result *r, mp__deadline until)
{
    if (until.ns != 0 && mp__spin_until(is_done, r->work))
        return 0;
    while (!mp__work_is_done(r->work)) {
        if (until.ns != 0 && mp__interrupted())
            return MP_EINTR;
        bool passed = mp__deadline_passed(until);
        if (mp__result_settle_lost(r, until) && !mp__work_is_done(r->work) && !passed) {
            show_progress(r);
            follow_or_sleep(r, until);
        }
        if (passed && !mp__work_is_done(r->work))
            return MP_ETIMEDOUT;
    }
    return 0;
}

/* It is ready, too, when the supervisor is gone: who then asks settles what that has left. */
int mp_result_fileno(mp_result *r)
{
    int rc = mp__result_check(r);
    if (rc < 0)
        return rc;
    mp__fileno_source source = {&r->work->bells, is_done, r->work, -1};
    if (!mp__work_is_done(r->work)) {
        source.also = mp__owned_fd(&r->pool->servant.pidfd);
        if (source.also < 0)
            source.also = mp__owned_fd(&r->pool->servant.bell);
    }
    return mp__fileno_create(&source);
}

/* ---- the public calls ---- */

void mp__result_finish(mp_result *r)
{
    mp__result_deliver(r);
    if (!mp__exchange_seq(&r->told, true))
        show_progress(r);
}

/* Waits in a public call, for a result that is held. */
static int wait_in(mp_result *r, double timeout)
{
    mp__deadline until;
    int rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    if (!mp__work_is_done(r->work))
        rc = mp__result_await(r, until);
    if (rc == 0)
        mp__result_finish(r);
    if (rc == MP_ETIMEDOUT)
        mp__fileno_settle(&r->work->bells);
    return rc;
}

int mp_result_wait(mp_result *r, double timeout)
{
    int rc = mp__result_check(r);
    if (rc < 0)
        return rc;
    mp__result_hold(r);
    rc = wait_in(r, timeout);
    mp__callback_run();
    mp__result_let_go(r);
    return rc;
}

/* What mp_task_return() gave to the only item. */
static int get_returned(const mp__returned *block, void *out, size_t capacity)
{
    if (block->length > capacity)
        return MP_EMSGSIZE;
    if (block->length > 0)
        memcpy(out, block->data, block->length);
    return 0;
}

static int get_done(mp_result *r, void *out, size_t capacity)
{
    const mp__work *w = r->work;
    uint64_t index;
    int code = mp__result_code(r, &index), rc = 0;
    if (out == NULL)
        return code == 0 && mp__result_overflows(r) ? MP_EMSGSIZE : code;
    const mp__returned *block = w->count == 1 ? mp__result_returned(r, 0, &rc) : NULL;
    if (block != NULL && code == 0)
        return get_returned(block, out, capacity);
    if (w->out_size * w->count > capacity)
        return MP_EMSGSIZE;
    mp__result_copy(r, out);
    return code;
}

int mp_result_get(mp_result *r, void *out, size_t capacity, double timeout)
{
    int rc = mp__result_check(r);
    if (rc < 0)
        return rc;
    mp__result_hold(r);
    rc = wait_in(r, timeout);
    if (rc == 0)
        rc = get_done(r, out, capacity);
    mp__callback_run(); /* last: it may free the result */
    mp__result_let_go(r);
    return rc;
}

bool mp_result_ready(mp_result *r)
{
    return mp__result_check(r) == 0 && look(r);
}

bool mp_result_successful(mp_result *r)
{
    uint64_t index;
    return mp_result_ready(r) && mp__result_code(r, &index) == 0;
}

int mp_result_add_done_callback(mp_result *r, void (*f)(mp_result *r, void *arg), void *arg)
{
    int rc = f == NULL ? MP_EINVAL : mp__result_check(r);
    if (rc == 0)
        rc = mp__callback_init();
    if (rc < 0)
        return rc;
    mp__callback *c = malloc(sizeof *c);
    if (c == NULL)
        return MP_ENOMEM;
    c->run = f;
    c->arg = arg;
    mp__callback_add(r, c);
    return 0;
}

/* ---- the end ---- */

void mp__result_hold(mp_result *r)
{
    mp__add_relaxed(&r->users, 1);
}

static void destroy(mp_result *r)
{
    mp_pool *pool = r->pool;
    r->magic = 0;
    mp__fileno_forget(&r->work->bells);
    if (!mp__work_is_done(r->work))
        mp__result_wish(r, MP__WORK_UNWANTED);
    if (pool == NULL) {
        mp__work_free(r->work);
    } else {
        if (mp__work_is_done(r->work)) /* the work itself may be the list's last for long */
            mp__work_free_returned(r->work);
        mp__guard_lock(&pool->guard);
        mp__list_remove(&r->link);
        mp__handle_retire(pool, r->work);
        mp__handle_sweep(pool);
        mp__guard_unlock(&pool->guard);
    }
    mp__result_forget_outcome(r);
    free(r);
}

void mp__result_let_go(mp_result *r)
{
    if (mp__add_seq(&r->users, UINT32_MAX) == 0) /* the last one */
        destroy(r);
}

void mp_result_free(mp_result *r)
{
    if (r == NULL || r->magic != RESULT_MAGIC)
        return;
    if (r->generation != mp__registry_generation()) { /* a copy of another process's */
        r->magic = 0;
        free(r);
        return;
    }
    r->magic = FREED_MAGIC;
    mp__result_deliver_no_more(r);
    mp__callback_drop(r);
    mp__result_let_go(r);
}
