/* SPDX-License-Identifier: MIT */
/*
 * The job's own places are filled by whoever comes first, in whichever thread:
 *
 * | delivery   | means                             | becomes               |
 * | NOT_YET    | they are as they were             | DELIVERING, DELIVERED |
 * | DELIVERING | a thread fills them               | AWAITED, DELIVERED    |
 * | AWAITED    | ... and others sleep until it has | DELIVERED             |
 * | DELIVERED  | they are filled, or will not be   | -                     |
 *
 * mp_result_free() comes first, or waits for who does: afterwards nobody touches them.
 */
#include "pool/outcome.h"

#include "os/clock.h"
#include "os/futex.h"

#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_YET, DELIVERING, AWAITED, DELIVERED };

/* A cancellation that has stopped the work writes its failures under the guard, and a worker may
 * mark it done meanwhile: who has seen that waits for the rest. */
static void let_canceler_finish(const mp_result *r)
{
    if (r->pool != NULL) {
        mp__guard_lock(&r->pool->guard);
        mp__guard_unlock(&r->pool->guard);
    }
}

int mp__result_code(const mp_result *r, uint64_t *index)
{
    let_canceler_finish(r);
    return mp__work_code(r->work, index);
}

static void copy_good(const mp__work *w, void *to)
{
    uint64_t index;
    if (to == NULL || to == w->out || w->out_size * w->count == 0)
        return;
    if (mp__work_code(w, &index) == 0) {
        memcpy(to, w->out, w->out_size * w->count);
        return;
    }
    for (uint64_t i = 0; i < w->count; i++)
        if (!mp__work_item_failed(w, i))
            memcpy((char *)to + i * w->out_size, w->out + i * w->out_size, w->out_size);
}

void mp__result_copy(const mp_result *r, void *to)
{
    copy_good(r->work, to);
}

static void explain_nothing(mp_task_error *e, int code, uint64_t index)
{
    memset(e, 0, sizeof *e);
    e->code = code;
    e->index = (size_t)index;
    snprintf(e->text, sizeof e->text, "failed; there was no memory to say why");
}

static void copy_errors(const mp__work *w, mp_task_error *to)
{
    if (to == NULL)
        return;
    memset(to, 0, w->count * sizeof *to);
    for (const mp__failure *f = mp__load_acquire(&w->failures); f != NULL; f = f->next)
        mp__failure_export(f, &to[f->index]);
    for (uint64_t i = 0; i < w->count; i++)
        if (to[i].code == 0 && mp__work_item_failed(w, i))
            explain_nothing(&to[i], MP_ETASK, i);
}

/* ---- errors ---- */

static bool explain(const mp__work *w, int code, uint64_t index, mp_task_error *error)
{
    explain_nothing(error, code, index);
    for (const mp__failure *f = mp__load_acquire(&w->failures); f != NULL; f = f->next)
        if (f->index == index)
            mp__failure_export(f, error);
    return true;
}

bool mp__result_explain(const mp_result *r, mp_task_error *error)
{
    uint64_t index = 0;
    int code = mp__result_code(r, &index);
    return code != 0 && explain(r->work, code, index, error);
}

bool mp__result_explain_item(const mp_result *r, uint64_t index, mp_task_error *error)
{
    uint64_t lowest = 0;
    int code = mp__result_code(r, &lowest);
    if (code == 0 || !mp__work_item_failed(r->work, index))
        return false;
    return explain(r->work, index == lowest ? code : MP_ETASK, index, error);
}

int mp_result_error(const mp_result *r, mp_task_error *error)
{
    int rc = error == NULL ? MP_EINVAL : mp__result_check(r);
    if (rc < 0)
        return rc;
    if (!mp__work_is_done(r->work))
        return MP_ESTATE;
    return mp__result_explain(r, error) ? 1 : 0;
}

/* ---- results of their own length ---- */

static const mp__returned *find_returned(const mp__work *w, uint64_t index)
{
    const mp__returned *block = mp__load_acquire(&w->returned); /* pairs with the task's push */
    while (block != NULL && block->index != index)
        block = block->next;
    return block;
}

/* By index, so that who asks for all of them does not search the list for each. */
static const mp__returned **make_table(mp_result *r)
{
    const mp__returned **table = mp__load_acquire(&r->returned); /* pairs with the swap below */
    if (table != NULL)
        return table;
    const mp__returned **mine = calloc(r->work->count, sizeof *mine);
    if (mine == NULL)
        return NULL;
    const mp__returned *block = mp__load_acquire(&r->work->returned);
    for (; block != NULL; block = block->next)
        if (block->index < r->work->count &&
            mine[block->index] == NULL) /* the last that was pushed comes first */
            mine[block->index] = block;
    if (mp__cas_seq(&r->returned, &table, mine))
        return mine;
    free((void *)mine);
    return table; /* another thread's */
}

const mp__returned *mp__result_returned(mp_result *r, uint64_t index, int *rc)
{
    *rc = 0;
    if (mp__load_acquire(&r->work->returned) == NULL)
        return NULL;
    if (r->work->count == 1)
        return find_returned(r->work, index);
    const mp__returned **table = make_table(r);
    *rc = table == NULL ? MP_ENOMEM : 0;
    return table != NULL ? table[index] : NULL;
}

int mp__result_bytes(mp_result *r, uint64_t index, const void **data, size_t *length)
{
    const mp__work *w = r->work;
    int rc;
    const mp__returned *block = mp__result_returned(r, index, &rc);
    *data = block != NULL ? block->data : w->out_size > 0 ? w->out + index * w->out_size : NULL;
    *length = block != NULL ? block->length : w->out_size;
    return rc;
}

int mp_result_data(mp_result *r, size_t index, const void **data, size_t *length)
{
    int rc = data == NULL || length == NULL ? MP_EINVAL : mp__result_check(r);
    if (rc < 0)
        return rc;
    *data = NULL;
    *length = 0;
    if (index >= r->work->count)
        return MP_EINVAL;
    if (!mp__work_is_done(r->work))
        return MP_ESTATE;
    mp_task_error error;
    if (mp__result_explain_item(r, index, &error))
        return error.code;
    return mp__result_bytes(r, index, data, length);
}

/* ---- the job's own places ---- */

/* What the only item's task has returned, if that is the job's output. */
static const mp__returned *only_returned(const mp_result *r)
{
    const mp__work *w = r->work;
    uint64_t index;
    bool is_it = w->count == 1 && !r->part && mp__work_code(w, &index) == 0;
    return is_it ? find_returned(w, 0) : NULL;
}

bool mp__result_overflows(const mp_result *r)
{
    bool wanted = r->job.out != NULL && r->work->out_size > 0;
    const mp__returned *block = wanted ? only_returned(r) : NULL;
    return block != NULL && block->length > r->work->out_size;
}

void mp__result_place(const mp_result *r)
{
    const mp__returned *block = only_returned(r);
    if (block == NULL)
        copy_good(r->work, r->job.out);
    else if (r->job.out != NULL && block->length > 0 && block->length <= r->work->out_size)
        memcpy(r->job.out, block->data, block->length);
}

static void await_delivery(mp_result *r)
{
    uint32_t now = mp__load_acquire(&r->delivery); /* pairs with the exchange below */
    while (now != DELIVERED) {
        if (now == AWAITED || mp__cas_acquire(&r->delivery, &now, AWAITED))
            mp__futex_wait(&r->delivery, AWAITED, MP__NEVER);
        now = mp__load_acquire(&r->delivery);
    }
}

void mp__result_deliver(mp_result *r)
{
    uint32_t seen = NOT_YET;
    if (mp__load_acquire(&r->delivery) == DELIVERED)
        return;
    if (!mp__cas_acquire(&r->delivery, &seen, DELIVERING)) {
        await_delivery(r);
        return;
    }
    let_canceler_finish(r);
    mp__result_place(r);
    copy_errors(r->work, r->job.errors);
    if (mp__exchange_seq(&r->delivery, DELIVERED) == AWAITED)
        mp__futex_wake(&r->delivery, INT32_MAX);
}

void mp__result_deliver_no_more(mp_result *r)
{
    uint32_t seen = NOT_YET;
    if (!mp__cas_acquire(&r->delivery, &seen, DELIVERED))
        await_delivery(r);
    mp__store_relaxed(&r->told, true);
}

void mp__result_forget_outcome(mp_result *r)
{
    free((void *)mp__load_relaxed(&r->returned));
}
