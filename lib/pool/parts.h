/* SPDX-License-Identifier: MIT */
/* A map over arrays that lie in the program's own memory: copied in and out by parts, while the
 * workers run others. */
#ifndef MPROC_POOL_PARTS_H
#define MPROC_POOL_PARTS_H

#include "pool/handle.h"

/* Whether a job that is waited for without a deadline is better run by parts. */
bool mp__parts_suits(const mp_pool *pool, const mp_job *job);

/* Runs it so. Returns 0; the code of the lowest item that failed, and then *error tells of it; or
 * why it was not all run: then nothing of it runs any more that had not begun. */
int mp__parts_run(mp_pool *pool, const mp_job *job, mp_task_error *error);

#endif
