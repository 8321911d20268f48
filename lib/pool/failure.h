/* SPDX-License-Identifier: MIT */
/* What went wrong, for people; and what the last call left for mp_last_task_error(). */
#ifndef MPROC_POOL_FAILURE_H
#define MPROC_POOL_FAILURE_H

#include "pool/control.h"

/* For mp_last_task_error(): of this thread's last waiting call; NULL: nothing failed. */
void mp__failure_remember(const mp_task_error *error);

/* The public record of a failure. */
void mp__failure_export(const mp__failure *f, mp_task_error *error);

#endif
