/* SPDX-License-Identifier: MIT */
#include "pool/failure.h"

#include "pool/crash.h"

#include <mproc/error.h>
#include <string.h>

static _Thread_local struct {
    bool set;
    mp_task_error error;
} last;

void mp__failure_remember(const mp_task_error *error)
{
    last.set = error != NULL;
    if (error != NULL)
        last.error = *error;
}

int mp_last_task_error(mp_task_error *error)
{
    if (error == NULL)
        return MP_EINVAL;
    if (last.set)
        *error = last.error;
    return last.set ? 1 : 0;
}

void mp__failure_export(const mp__failure *f, mp_task_error *error)
{
    memset(error, 0, sizeof *error);
    error->code = f->code;
    error->task_code = f->task_code;
    error->index = (size_t)f->index;
    error->worker = f->worker;
    error->signal = f->signal;
    error->exit_status = f->exit_status;
    memcpy(error->text, f->text, sizeof error->text);
    mp__crash_print(f, error->backtrace, sizeof error->backtrace);
}
