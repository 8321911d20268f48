/* SPDX-License-Identifier: MIT */
#include "pool/failure.h"

#include <mproc/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Thread_local bool mp__failure_told;

static _Thread_local struct {
    bool running, failed;
    int code;
    char text[sizeof((mp_task_error *)NULL)->text];
} task;

static _Thread_local struct {
    bool set;
    mp_task_error error;
} last;

void mp__failure_begin(void)
{
    task.running = true;
    task.failed = mp__failure_told = false;
    task.code = 0;
    task.text[0] = '\0';
}

bool mp__failure_end(int *code)
{
    task.running = false;
    if (*code < 0)
        return true;
    if (task.failed)
        *code = task.code;
    return task.failed;
}

const char *mp__failure_text(void)
{
    return task.text;
}

int mp_task_fail(int code, const char *format, ...)
{
    if (code >= 0)
        code = -1;
    if (!task.running)
        return code;
    task.failed = mp__failure_told = true;
    task.code = code;
    task.text[0] = '\0';
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(task.text, sizeof task.text, format, arguments);
        va_end(arguments);
    }
    return code;
}

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
}
