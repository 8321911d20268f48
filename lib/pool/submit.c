/* SPDX-License-Identifier: MIT */
/* Giving work to a pool: every way of saying it becomes a job. */
#include "pool/handle.h"

#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "pool/failure.h"
#include "pool/stream.h"

#include <mproc/error.h>

static int check_task(mp_pool *pool, mp_task task)
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

/* `into`: the output must have a place to go to already. */
static int check_job(mp_pool *pool, const mp_job *job, bool into)
{
    if (job->time_limit != job->time_limit || job->time_limit < 0 ||
        job->soft_limit != job->soft_limit || job->soft_limit < 0 || job->retries < MP_NO ||
        job->callback != NULL || job->callback_arg != NULL ||
        (job->progress == NULL && job->progress_arg != NULL))
        return MP_EINVAL;
    if (job->count > 0 &&
        ((job->in == NULL && job->in_size > 0) || (into && job->out == NULL && job->out_size > 0)))
        return MP_EINVAL;
    return check_task(pool, job->task);
}

static int check(mp_pool *pool, const mp_job *job, bool into)
{
    int rc = mp__handle_check(pool);
    return rc < 0 ? rc : check_job(pool, job, into);
}

static int submit(mp_pool *pool, mp_result **out, const mp_job *job)
{
    *out = NULL;
    int rc = check(pool, job, false);
    return rc < 0 ? rc : mp__result_submit(pool, out, job);
}

/* Leaves what the calling thread can ask for by mp_last_task_error(). */
static void remember(const mp_result *r)
{
    mp_task_error error;
    mp__failure_remember(mp_result_error(r, &error) == 1 ? &error : NULL);
}

static int run_stream(mp_pool *pool, const mp_job *job)
{
    mp_task_error error = {0};
    int rc = mp__stream_run(pool, job, &error);
    mp__failure_remember(error.code != 0 ? &error : NULL);
    return rc;
}

static int run(mp_pool *pool, const mp_job *job, double timeout)
{
    mp_result *r;
    if (timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__failure_remember(NULL);
    int rc = check(pool, job, true);
    if (rc < 0)
        return rc;
    if (timeout == MP_FOREVER && mp__stream_suits(pool, job))
        return run_stream(pool, job);
    rc = mp__result_submit(pool, &r, job);
    if (rc < 0)
        return rc;
    rc = mp_result_wait(r, timeout);
    if (rc < 0) {
        mp__result_abandon(r);
    } else {
        uint64_t index;
        rc = mp__result_code(r, &index);
        remember(r);
    }
    mp_result_free(r);
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
    return submit(pool, out, &whole);
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
