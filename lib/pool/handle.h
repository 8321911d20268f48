/* SPDX-License-Identifier: MIT */
/* The program's side of a pool: its handle, its results, and the end. */
#ifndef MPROC_POOL_HANDLE_H
#define MPROC_POOL_HANDLE_H

#include "base/list.h"
#include "os/guard.h"
#include "os/loaded.h"
#include "os/servant.h"
#include "pool/claim.h"
#include "pool/worker.h"

struct mp_pool {
    uint64_t magic;
    uint64_t generation; /* of the process whose handle it is, see proc/registry.h */
    mp__pool_control *control;
    mp__pool_plan plan;
    mp__servant servant;
    mp__loaded *loaded;               /* what the workers know */
    mp__link link;                    /* among this process's pools */
    mp__guard guard;                  /* guards what follows, and the outcome of works */
    _Atomic(const void *) known_task; /* the last task that was looked up */
    mp__work *last;                   /* of the list */
    uint64_t orders;                  /* works submitted */
    mp__link results;                 /* that were not freed */
    mp__work *retired;                /* works whose results were freed, by `retired_next` */
    mp__work **retired_end;           /* where the next one goes */
    bool over;                        /* no process is left, and everything is settled */
    struct mp__trace *trace;          /* pool/insight.h; NULL: no insights are kept */
};

struct mp_result {
    uint64_t magic;
    uint64_t generation;
    mp_pool *pool; /* NULL once that is freed */
    mp__work *work;
    mp_job job;     /* what is still needed of it */
    bool delivered; /* job.out and job.errors are filled */
    bool canceled;
    mp__link link;
};

/* Whether it is a pool of the calling process: 0, MP_EINVAL or MP_ESTATE. */
int mp__handle_check(const mp_pool *pool);

/* Whether the supervisor is gone. Then what it has left unsettled is settled here, as soon as all
 * workers are gone, too: returns whether that is so. */
bool mp__handle_settle(mp_pool *pool);
bool mp__handle_is_lost(const mp_pool *pool);

/* The work is not needed any more; it is freed when nobody can be using it. With the guard held. */
void mp__handle_retire(mp_pool *pool, mp__work *w);
/* Frees some of those. With the guard held. */
void mp__handle_sweep(mp_pool *pool);

/* Makes a result of a job that was checked, and submits its work. */
int mp__result_submit(mp_pool *pool, mp_result **out, const mp_job *job);

/* Waits for it; then delivers to the job's own places. Returns 0 or why it does not wait any
 * more. */
int mp__result_await(mp_result *r, mp__deadline until);

/* Cancels what has not started. */
void mp__result_abandon(mp_result *r);

/* The code of the lowest failed item. */
int mp__result_code(const mp_result *r, uint64_t *index);

#endif
