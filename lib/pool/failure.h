/* SPDX-License-Identifier: MIT */
/* What went wrong, for people; and what the last call left for mp_last_task_error(). */
#ifndef MPROC_POOL_FAILURE_H
#define MPROC_POOL_FAILURE_H

#include "pool/task.h"

/* Whether the task that runs has said something: that it fails, or what it returns. */
#define mp__failure_told (mp__task_said != MP__TASK_RUNNING)

/* In a worker, around an initializer, or an item that returns nothing of its own length. */
void mp__failure_begin(void);
bool mp__failure_end(int *code);
const char *mp__failure_text(void);

/* For mp_last_task_error(): of this thread's last waiting call; NULL: nothing failed. */
void mp__failure_remember(const mp_task_error *error);

/* The public record of a failure. */
void mp__failure_export(const mp__failure *f, mp_task_error *error);

#endif
