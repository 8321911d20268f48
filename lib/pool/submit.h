/* SPDX-License-Identifier: MIT */
/* What all ways to give work to a pool check and add. */
#ifndef MPROC_POOL_SUBMIT_H
#define MPROC_POOL_SUBMIT_H

#include "pool/handle.h"

/* Whether the pool can take the job: 0 or a code. What its callback needs is there then. */
int mp__job_check(mp_pool *pool, const mp_job *job);

/* Whether the pool's workers know the task: 0 or a code. */
int mp__job_check_task(mp_pool *pool, mp_task task);

/* The job's callback becomes the result's first. */
void mp__job_attach(mp_result *r, const mp_job *job);

#endif
