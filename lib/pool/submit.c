/* SPDX-License-Identifier: MIT */
/* Giving work to a pool: every way of saying it becomes a job. */
#include "pool/submit.h"

#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "pool/outcome.h"
#include "pool/parts.h"

#include <mproc/error.h>

int mp__job_check_task(mp_pool *pool, mp_task task)
{
    const void *code = (const void *)(uintptr_t)task;
    if (task == NULL)
        return MP_EINVAL;
    if (mp__load_relaxed(&pool->known_task) == code)
        return 0;
    if (!mp__loaded_knows(pool->loaded, code))
        return MP_EINVAL;
    mp__store_relaxed(&pool->known_task, code);
    return 0;
}

int mp__job_check(mp_pool *pool, const mp_job *job)
{
    if (job->time_limit != job->time_limit || job->time_limit < 0 ||
        job->soft_limit != job->soft_limit || job->soft_limit < 0 || job->retries < MP_NO ||
        (job->callback == NULL && job->callback_arg != NULL) ||
        (job->progress == NULL && job->progress_arg != NULL))
        return MP_EINVAL;
    if (job->count > 0 && job->in == NULL && job->in_size > 0)
        return MP_EINVAL;
    int rc = mp__job_check_task(pool, job->task);
    return rc == 0 && job->callback != NULL ? mp__callback_init() : rc;
}

void mp__job_attach(mp_result *r, const mp_job *job)
{
    if (job->callback == NULL)
        return;
    r->callbacks.own.run = job->callback;
    r->callbacks.own.arg = job->callback_arg;
    mp__callback_add(r, &r->callbacks.own);
}

static int check(mp_pool *pool, const mp_job *job)
{
    int rc = mp__handle_check(pool);
    return rc < 0 ? rc : mp__job_check(pool, job);
}

static int submit(mp_pool *pool, mp_result **out, const mp_job *job)
{
    *out = NULL;
    int rc = check(pool, job);
    return rc < 0 ? rc : mp__result_submit(pool, out, job);
}

/* Leaves what the calling thread can ask for by mp_last_task_error(). */
static void remember(const mp_result *r)
{
    mp_task_error error;
    mp__failure_remember(mp_result_error(r, &error) == 1 ? &error : NULL);
}

static int run_in_parts(mp_pool *pool, const mp_job *job)
{
    mp_task_error error = {0};
    int rc = mp__parts_run(pool, job, &error);
    mp__failure_remember(error.code != 0 ? &error : NULL);
    return rc;
}

static int run_whole(mp_pool *pool, const mp_job *job, double timeout)
{
    mp_result *r;
    int rc = mp__result_submit(pool, &r, job);
    if (rc < 0)
        return rc;
    mp__result_hold(r);
    rc = mp_result_wait(r, timeout);
    if (rc < 0) {
        mp__result_abandon(r);
    } else {
        uint64_t index;
        rc = mp__result_code(r, &index);
        if (rc == 0 && mp__result_overflows(r))
            rc = MP_EMSGSIZE;
        if (job->callback != NULL)
            job->callback(r, job->callback_arg);
        remember(r); /* last: the callback may have called the like */
    }
    mp_result_free(r); /* the callback may have done that */
    mp__result_let_go(r);
    return rc;
}

static int run(mp_pool *pool, const mp_job *job, double timeout)
{
    if (timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__failure_remember(NULL);
    int rc = check(pool, job);
    if (rc == 0 && job->count > 0 && job->out == NULL && job->out_size > 0)
        rc = MP_EINVAL; /* nowhere to go */
    if (rc < 0)
        return rc;
    int before = mp__callback_suspend(); /* these calls do not say that they run any */
    rc = timeout == MP_FOREVER && mp__parts_suits(pool, job) ? run_in_parts(pool, job)
                                                             : run_whole(pool, job, timeout);
    mp__callback_resume(before);
    return rc;
}

int mp_pool_run(mp_pool *pool, const mp_job *job, double timeout)
{
    mp_job whole;
    if (job == NULL || mp__options_read(&whole, sizeof whole, job) < 0)
        return MP_EINVAL;
    return run(pool, &whole, timeout);
}

int mp_pool_submit(mp_pool *pool, mp_result **out, const mp_job *job)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_job whole;
    if (job == NULL || mp__options_read(&whole, sizeof whole, job) < 0)
        return MP_EINVAL;
    int rc = submit(pool, out, &whole);
    if (rc == 0)
        mp__job_attach(*out, &whole);
    return rc;
}

int mp_pool_map(mp_pool *pool, mp_task task, const void *in, size_t in_size, void *out,
                size_t out_size, size_t count)
{
    mp_job job = {.size = sizeof job,
                  .task = task,
                  .in = in,
                  .in_size = in_size,
                  .out = out,
                  .out_size = out_size,
                  .count = count};
    return run(pool, &job, MP_FOREVER);
}

int mp_pool_map_async(mp_pool *pool, mp_result **out, mp_task task, const void *in, size_t in_size,
                      size_t out_size, size_t count)
{
    if (out == NULL)
        return MP_EINVAL;
    mp_job job = {.size = sizeof job,
                  .task = task,
                  .in = in,
                  .in_size = in_size,
                  .out_size = out_size,
                  .count = count};
    return submit(pool, out, &job);
}

int mp_pool_apply(mp_pool *pool, mp_task task, const void *in, size_t in_size, void *out,
                  size_t out_size, double timeout)
{
    mp_job job = {.size = sizeof job,
                  .task = task,
                  .in = in,
                  .in_size = in_size,
                  .out = out,
                  .out_size = out_size,
                  .count = 1};
    return run(pool, &job, timeout);
}

int mp_pool_apply_async(mp_pool *pool, mp_result **out, mp_task task, const void *in,
                        size_t in_size, size_t out_size)
{
    return mp_pool_map_async(pool, out, task, in, in_size, out_size, 1);
}
