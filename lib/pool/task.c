/* SPDX-License-Identifier: MIT */
/*
 * Who may use what: `here` is written by the worker's main thread, and read by any of its threads
 * and in signal handlers; all else is the main thread's. A work that stands in `here` is in the
 * slot, too, so nobody frees it.
 *
 * A result of its own length is pushed when its item has succeeded. If the worker dies between that
 * and the item's end, the item fails, and nobody asks for the result; or it runs again, in the same
 * slot, whose worker looks first whether the slot's last result is of that item: then it does not
 * count any more.
 */
#include "pool/task.h"

#include "os/clock.h"
#include "os/step.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <mproc/task.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Thread_local uint32_t mp__task_said;

static struct {
    mp__pool_control *control; /* NULL: no worker */
    uint32_t number;
    uint64_t generation;            /* of the process: a forked child inherits all this */
    _Atomic(const mp__work *) work; /* whose items run; NULL: none does */
    _Atomic(void *) data;
} here;

static mp__returned *returned; /* by the running item; it is not in the work's list yet */

static struct {
    int code;
    char text[sizeof((mp_task_error *)NULL)->text];
} failed;

/* ---- around the task ---- */

void mp__task_enter(mp__pool_control *c, uint32_t slot)
{
    here.control = c;
    here.number = slot;
    here.generation = mp__registry_generation();
    mp__store_relaxed(&here.work, NULL);
    mp__store_relaxed(&here.data, NULL);
    returned = NULL; /* a task has made this pool */
    mp__task_said = 0;
}

void mp__task_begin(const mp__work *w)
{
    mp__task_said = MP__TASK_RUNNING;
    mp__store_release(&here.work, w); /* pairs with work_here() */
}

void mp__task_end(void)
{
    mp__store_release(&here.work, NULL);
    mp__task_said = 0;
}

static void publish(mp__work *w, uint64_t index)
{
    mp__returned *r = returned;
    r->index = index;
    r->slot = here.number;
    r->next = mp__load_relaxed(&w->returned);
    while (!mp__cas_release(&w->returned, &r->next, r)) /* pairs with the program's load */
        continue;
    MP_STEP("task.settle.published");
}

void mp__task_inherit(const mp__work *w, uint64_t index)
{
    mp__returned *r = mp__load_acquire(&w->returned); /* pairs with publish() */
    while (r != NULL && r->slot != here.number)
        r = r->next;
    if (r != NULL && r->index == index)
        r->index = UINT64_MAX; /* read when the work is done */
}

bool mp__task_settle(mp__work *w, uint64_t index, int *code)
{
    uint32_t said = mp__task_said;
    bool has_failed = *code < 0 || (said & MP__TASK_FAILED) != 0;
    if (!(said & MP__TASK_FAILED))
        failed.text[0] = '\0';
    else if (*code >= 0)
        *code = failed.code;
    if (said & MP__TASK_RETURNED) {
        if (has_failed || w == NULL) /* an initializer's: it has no result */
            mp_shared_free(returned);
        else
            publish(w, index);
        returned = NULL;
    }
    mp__task_said = MP__TASK_RUNNING;
    return has_failed;
}

const char *mp__task_text(void)
{
    return failed.text;
}

/* ---- in the task's thread ---- */

int mp_task_fail(int code, const char *format, ...)
{
    if (code >= 0)
        code = -1;
    if (!(mp__task_said & MP__TASK_RUNNING))
        return code;
    mp__task_said |= MP__TASK_FAILED;
    failed.code = code;
    failed.text[0] = '\0';
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(failed.text, sizeof failed.text, format, arguments);
        va_end(arguments);
    }
    return code;
}

static bool is_worker(void)
{
    return here.control != NULL && here.generation == mp__registry_generation();
}

/* The work whose item runs; NULL: none does, or not in this process. */
static const mp__work *work_here(void)
{
    return is_worker() ? mp__load_acquire(&here.work) : NULL;
}

int mp_task_return(const void *data, size_t length)
{
    if (data == NULL && length > 0)
        return MP_EINVAL;
    if (!(mp__task_said & MP__TASK_RUNNING) || work_here() == NULL)
        return MP_ESTATE;
    if (length > SIZE_MAX - sizeof(mp__returned))
        return MP_ENOMEM;
    mp__returned *r = mp_shared_alloc(sizeof *r + length);
    if (r == NULL)
        return mp_shared_error();
    r->length = length;
    if (length > 0)
        memcpy(r->data, data, length);
    mp_shared_free(returned);
    MP_STEP("task.return.replaced");
    returned = r;
    mp__task_said |= MP__TASK_RETURNED;
    return 0;
}

/* ---- in any of its threads ---- */

size_t mp_task_index(void)
{
    if (work_here() == NULL)
        return SIZE_MAX;
    return (size_t)(mp__load_relaxed(&here.control->slot[here.number].item) >> 1);
}

double mp_task_time_left(void)
{
    if (work_here() == NULL)
        return MP_FOREVER;
    int64_t deadline = mp__load_relaxed(&here.control->slot[here.number].deadline);
    if (deadline == 0)
        return MP_FOREVER;
    int64_t left = deadline - mp__now();
    return left > 0 ? (double)left / (double)MP__NS_PER_S : 0;
}

bool mp_task_overdue(void)
{
    if (work_here() == NULL)
        return false;
    int64_t soft = mp__load_relaxed(&here.control->slot[here.number].soft);
    return soft != 0 && mp__now() >= soft;
}

bool mp_task_canceled(void)
{
    const mp__work *w = work_here();
    return w != NULL && (mp__load_relaxed(&w->canceled) != 0 || mp__load_relaxed(&w->killed) != 0 ||
                         mp__pool_phase_of(here.control) >= MP__POOL_TERMINATED);
}

/* ---- in a worker ---- */

int mp_worker_index(void)
{
    return is_worker() ? (int)here.number : MP_ESTATE;
}

void *mp_worker_data(void)
{
    return is_worker() ? mp__load_acquire(&here.data) : NULL;
}

void mp_worker_set_data(void *data)
{
    if (is_worker())
        mp__store_release(&here.data, data); /* pairs with the load in another thread */
}
