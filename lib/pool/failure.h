/* SPDX-License-Identifier: MIT */
/* mp_task_fail(): what the running task says about its failure, and what the last call left. */
#ifndef MPROC_POOL_FAILURE_H
#define MPROC_POOL_FAILURE_H

#include "pool/control.h"

/* Whether the task that runs in this thread has said that it fails. */
extern _Thread_local bool mp__failure_told;

/* In a worker, around a task or initializer. end() returns whether it has failed, and with what. */
void mp__failure_begin(void);
bool mp__failure_end(int *code);

/* The text of the one that has just ended; "" if it gave none. */
const char *mp__failure_text(void);

/* For mp_last_task_error(): of this thread's last waiting call; NULL: nothing failed. */
void mp__failure_remember(const mp_task_error *error);

/* The public record of a failure. */
void mp__failure_export(const mp__failure *f, mp_task_error *error);

#endif
