/* SPDX-License-Identifier: MIT */
#include "pool/failure.h"

#include "os/thread.h"
#include "pool/crash.h"

#include <mproc/error.h>
#include <string.h>

static _Thread_local bool is_set; /* whether the thread's room holds its last error */

void mp__failure_remember(const mp_task_error *error)
{
    mp_task_error *last = error != NULL ? mp__thread_room(sizeof *last) : NULL;
    is_set = last != NULL;
    if (last != NULL)
        *last = *error;
}

int mp_last_task_error(mp_task_error *error)
{
    if (error == NULL)
        return MP_EINVAL;
    const mp_task_error *last = is_set ? mp__thread_room(sizeof *last) : NULL;
    if (last != NULL)
        *error = *last;
    return last != NULL ? 1 : 0;
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
