/* SPDX-License-Identifier: MIT */
/* Results: waiting for work, and delivering what came of it. */
#include "pool/handle.h"

#include "chan/wait.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/poller.h"
#include "pool/failure.h"
#include "pool/idle.h"
#include "pool/leaving.h"
#include "proc/registry.h"
#include "sync/fileno.h"

#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_MAGIC UINT64_C(0x6d70726f63726573)

static int check(const mp_result *r)
{
    if (r == NULL || r->magic != RESULT_MAGIC)
        return MP_EINVAL;
    return r->generation == mp__registry_generation() ? 0 : MP_ESTATE;
}

/* ---- for mp_wait() ---- */

static int find_bells(const void *result, mp__doorbells **bells)
{
    const mp_result *r = result;
    int rc = check(r);
    if (rc == 0)
        *bells = &r->work->bells;
    return rc;
}

static bool is_ready(void *result)
{
    return mp_result_ready(result);
}

static const mp__wait_results waits = {find_bells, is_ready};

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

static int refusal(const mp_pool *pool)
{
    enum mp__pool_phase phase = mp__pool_phase_of(pool->control);
    if (phase == MP__POOL_FAILED)
        return MP_ETASK;
    return phase != MP__POOL_RUNNING || mp__handle_is_lost(pool) ? MP_ESTATE : 0;
}

/* With the guard held: appends the work to the list. */
static void append(mp_pool *pool, mp_result *r)
{
    mp__work *w = r->work;
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

int mp__result_submit(mp_pool *pool, mp_result **out, const mp_job *job)
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

    mp__guard_lock(&pool->guard);
    rc = refusal(pool);
    if (rc == 0)
        append(pool, r);
    mp__handle_sweep(pool);
    mp__guard_unlock(&pool->guard);
    if (rc < 0) {
        if (rc == MP_ETASK)
            remember_pool_failure(pool);
        mp__work_free(r->work);
        free(r);
        return rc;
    }
    mp__idle_wake(pool->control, r->work->units);
    if (mp__leaving_any_rest(pool->control))
        mp__servant_ring(&pool->servant);
    if (order.limit != 0 && job->count > 0)
        announce_limit(pool, order.limit);
    if (order.soft != 0 && job->count > 0)
        announce_limit(pool, order.soft);
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
    mp__watch watches[] = {{&w->done.word, ticket}, {life, alive}};
    mp__sleep_any(watches, 2, tells_progress(r) ? mp__deadline_look_again(until) : until);
}

int mp__result_await(mp_result *r, mp__deadline until)
{
    if (until.ns != 0 && mp__spin_until(is_done, r->work))
        return 0;
    while (!mp__work_is_done(r->work)) {
        if (until.ns != 0 && mp__interrupted())
            return MP_EINTR;
        if (mp__handle_is_lost(r->pool)) {
            if (mp__handle_settle(r->pool))
                return 0;
            /* The last workers are dying. */
            if (mp__poll(NULL, 0, mp__deadline_in_ns(MP__NS_PER_MS)) == MP_EINTR && until.ns != 0)
                return MP_EINTR;
        }
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        show_progress(r);
        sleep_once(r, until);
    }
    return 0;
}

/* It is ready, too, when the supervisor is gone: who then asks settles what that has left. */
int mp_result_fileno(mp_result *r)
{
    int rc = check(r);
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

/* ---- outcome ---- */

/* A cancellation that has stopped the work writes its failures under the guard, and a worker may
 * mark it done meanwhile: who has seen that waits for the rest. */
static void let_canceler_finish(const mp_result *r)
{
    if (r->pool != NULL) {
        mp__guard_lock(&r->pool->guard);
        mp__guard_unlock(&r->pool->guard);
    }
}

int mp__result_code(const mp_result *r, uint64_t *index)
{
    let_canceler_finish(r);
    return mp__work_code(r->work, index);
}

static void copy_out(const mp_result *r, void *to)
{
    const mp__work *w = r->work;
    uint64_t index;
    if (to == NULL || to == w->out || w->out_size == 0)
        return;
    if (mp__work_code(w, &index) == 0) {
        memcpy(to, w->out, w->out_size * w->count);
        return;
    }
    for (uint64_t i = 0; i < w->count; i++)
        if (!mp__work_item_failed(w, i))
            memcpy((char *)to + i * w->out_size, w->out + i * w->out_size, w->out_size);
}

static void copy_errors(const mp_result *r, mp_task_error *to)
{
    const mp__work *w = r->work;
    if (to == NULL)
        return;
    memset(to, 0, w->count * sizeof *to);
    for (const mp__failure *f = mp__load_acquire(&w->failures); f != NULL; f = f->next)
        mp__failure_export(f, &to[f->index]);
    for (uint64_t i = 0; i < w->count; i++)
        if (to[i].code == 0 && mp__work_item_failed(w, i)) {
            to[i].code = MP_ETASK;
            to[i].index = i;
            snprintf(to[i].text, sizeof to[i].text, "failed; there was no memory to say why");
        }
}

static void deliver(mp_result *r)
{
    if (r->delivered)
        return;
    r->delivered = true;
    let_canceler_finish(r);
    show_progress(r);
    copy_out(r, r->job.out);
    copy_errors(r, r->job.errors);
}

/* Waits in a public call. */
static int wait_in(mp_result *r, double timeout)
{
    mp__deadline until;
    int rc = check(r);
    if (rc == 0)
        rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    if (!mp__work_is_done(r->work))
        rc = mp__result_await(r, until);
    if (rc == 0)
        deliver(r);
    if (rc == MP_ETIMEDOUT)
        mp__fileno_settle(&r->work->bells);
    return rc;
}

int mp_result_wait(mp_result *r, double timeout)
{
    return wait_in(r, timeout);
}

int mp_result_get(mp_result *r, void *out, size_t capacity, double timeout)
{
    int rc = wait_in(r, timeout);
    if (rc < 0)
        return rc;
    uint64_t index;
    rc = mp__result_code(r, &index);
    if (out == NULL)
        return rc;
    if (r->work->out_size * r->work->count > capacity)
        return MP_EMSGSIZE;
    copy_out(r, out);
    return rc;
}

bool mp_result_ready(mp_result *r)
{
    if (check(r) < 0)
        return false;
    if (!mp__work_is_done(r->work) && mp__handle_is_lost(r->pool))
        mp__handle_settle(r->pool);
    if (mp__work_is_done(r->work))
        return true;
    mp__fileno_settle(&r->work->bells);
    return false;
}

bool mp_result_successful(mp_result *r)
{
    uint64_t index;
    return mp_result_ready(r) && mp__result_code(r, &index) == 0;
}

/* ---- cancellation, errors, release ---- */

/* Stops a work and fails what nobody has claimed. Returns whether there was any of it. */
static bool stop(mp_result *r, bool untouched)
{
    mp__work *w = r->work;
    mp__guard_lock(&r->pool->guard);
    bool any =
        mp__claim_stop(r->pool->control, w, untouched, MP_ECANCELED, "canceled before it ran") > 0;
    mp__guard_unlock(&r->pool->guard);
    return any;
}

/* What runs may ask, and end early. */
static void unwant(mp__work *w)
{
    uint32_t wanted = MP__WORK_WANTED;
    mp__cas_relaxed(&w->canceled, &wanted, MP__WORK_UNWANTED);
}

void mp__result_abandon(mp_result *r)
{
    if (mp__work_is_done(r->work))
        return;
    unwant(r->work);
    stop(r, false);
}

int mp_result_cancel(mp_result *r)
{
    int rc = check(r);
    if (rc < 0)
        return rc;
    if (r->canceled)
        return 0;
    if (r->pool == NULL || mp__work_is_done(r->work) || !stop(r, true))
        return MP_ESTATE;
    r->canceled = true;
    return 0;
}

int mp_result_error(const mp_result *r, mp_task_error *error)
{
    int rc = error == NULL ? MP_EINVAL : check(r);
    if (rc < 0)
        return rc;
    if (!mp__work_is_done(r->work))
        return MP_ESTATE;
    uint64_t index = 0;
    int code = mp__result_code(r, &index);
    if (code == 0)
        return 0;
    memset(error, 0, sizeof *error);
    error->code = code;
    error->index = (size_t)index;
    for (const mp__failure *f = mp__load_acquire(&r->work->failures); f != NULL; f = f->next)
        if (f->index == index)
            mp__failure_export(f, error);
    return 1;
}

void mp_result_free(mp_result *r)
{
    if (r == NULL || r->magic != RESULT_MAGIC)
        return;
    mp_pool *pool = r->pool;
    r->magic = 0;
    if (r->generation == mp__registry_generation())
        mp__fileno_forget(&r->work->bells);
    if (r->generation == mp__registry_generation()) { /* else it is a copy of another process's */
        if (pool == NULL) {
            mp__work_free(r->work);
        } else {
            unwant(r->work);
            mp__guard_lock(&pool->guard);
            mp__list_remove(&r->link);
            mp__handle_retire(pool, r->work);
            mp__handle_sweep(pool);
            mp__guard_unlock(&pool->guard);
        }
    }
    free(r);
}
