/* SPDX-License-Identifier: MIT */
/*
 * A chained result has its work from the beginning, with room for its input unless that lies in
 * memory that the program shares. It stands among the pool's results, so that the pool's end
 * settles it as it does all others; only the list of works does not have it before it is started.
 */
#include "pool/then.h"

#include "base/options.h"
#include "pool/outcome.h"
#include "pool/submit.h"

#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mp__then_end(mp_result *r, const mp__verdict *why)
{
    mp_pool *pool = r->pool;
    if (pool == NULL) /* all its work is done */
        return;
    mp__guard_lock(&pool->guard);
    if (!mp__work_is_done(r->work)) {
        mp__claim_stop(pool->control, r->work, false, why);
        mp__claim_finish_now(r->work); /* also one without items */
    }
    mp__result_is_begun(r);
    mp__guard_unlock(&pool->guard);
}

/* Where the output of `r` is used in place: the program's own shared memory. */
static bool is_in_place(const mp_result *r)
{
    return r->work->out == r->job.out;
}

static void start(mp_result *r, mp_result *out)
{
    size_t bytes = out->work->in_size * out->work->count;
    if (is_in_place(r))
        mp__result_place(r);
    if (bytes > 0 && !is_in_place(r)) /* nobody else sees it yet */
        memcpy((char *)(uintptr_t)out->work->in, r->work->out, bytes);
    if (mp__result_launch(out) < 0) {
        mp__verdict why = mp__handle_verdict(out->pool);
        mp__then_end(out, &why);
    } else if (out->work->count == 0) {
        mp__claim_finish_now(out->work); /* wakes who has waited since before */
    }
}

/* However long the chain is, its cause is told once. */
static void inherit(mp_result *r, mp_result *out, const mp_task_error *error)
{
    char text[sizeof error->text];
    if (r->inherits)
        memcpy(text, error->text, sizeof text);
    else
        snprintf(text, sizeof text, "not run: %.246s", error->text);
    mp__verdict why = {.code = error->code,
                       .text = text,
                       .task_code = error->task_code,
                       .signal = error->signal,
                       .exit_status = error->exit_status};
    out->inherits = true;
    mp__then_end(out, &why);
}

void mp__then_start(mp_result *r, mp_result *out)
{
    mp_task_error error;
    if (mp__work_is_done(out->work))
        return;
    if (mp__result_explain(r, &error))
        inherit(r, out, &error);
    else
        start(r, out);
}

/* What the job takes from the output. */
static int read_job(const mp_result *r, mp_job *whole, const mp_job *job)
{
    if (job == NULL || mp__options_read(whole, sizeof *whole, job) < 0 || whole->in != NULL)
        return MP_EINVAL;
    const mp__work *w = r->work;
    bool as_one = whole->count == 1 && w->count != 1;
    if (whole->count != 0 && whole->count != w->count && !as_one)
        return MP_EINVAL;
    size_t in_size = as_one ? w->out_size * w->count : w->out_size;
    if (whole->in_size != 0 && whole->in_size != in_size)
        return MP_EINVAL;
    if (w->count == 0 && as_one)
        return MP_EINVAL;
    whole->count = as_one ? 1 : w->count;
    whole->in_size = in_size;
    return 0;
}

/* Its work takes a copy of an input that is not there yet: of zeroes, that is. */
static int make(mp_pool *pool, const mp_result *r, mp_result **out, mp_job *job)
{
    void *zeroes = NULL;
    if (is_in_place(r)) {
        job->in = r->work->out;
    } else if (job->in_size * job->count > 0) {
        job->in = zeroes = calloc(job->count, job->in_size);
        if (zeroes == NULL)
            return MP_ENOMEM;
    }
    int rc = mp__job_check(pool, job);
    if (rc == 0)
        rc = mp__result_make(pool, out, job);
    free(zeroes);
    return rc;
}

int mp_result_then(mp_result *r, mp_result **out, const mp_job *job)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_job whole = {0};
    int rc = mp__result_check(r);
    if (rc == 0)
        rc = read_job(r, &whole, job);
    if (rc < 0)
        return rc;
    mp_pool *pool = r->pool;
    if (pool == NULL)
        return MP_ESTATE;
    rc = mp__callback_init();
    if (rc == 0)
        rc = make(pool, r, out, &whole);
    if (rc < 0)
        return rc;
    mp__result_postpone(*out);
    rc = mp__result_enlist(*out);
    if (rc < 0) {
        *out = NULL;
        return rc;
    }
    mp__job_attach(*out, &whole);
    mp__callback_chain(r, *out);
    return 0;
}
