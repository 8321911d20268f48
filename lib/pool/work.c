/* SPDX-License-Identifier: MIT */
#include "pool/claim.h"
#include "pool/returned.h"
#include "shm/shared_block.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdio.h>
#include <string.h>

#define ITEMS_MOST  (UINT64_C(1) << 40)
#define NONE_FAILED UINT64_MAX
#define DATA_ALIGN  ((size_t)16)

const mp__verdict mp__work_canceled = {.code = MP_ECANCELED, .text = "canceled before it ran"};

static const int causes[] = {0, MP_ETASK, MP_ECRASHED, MP_ETASKTIMEOUT, MP_ECANCELED};

static uint64_t cause_of(int code)
{
    uint64_t cause = 1;
    while (cause < sizeof causes / sizeof *causes - 1 && causes[cause] != code)
        cause++;
    return cause;
}

/* Where the parts of a work's one block are. */
typedef struct plan {
    size_t lanes, failed, in, out, end;
    size_t in_bytes, out_bytes;
    uint64_t unit, units, lane_count;
    bool copy_in, stage_out;
} plan;

static bool add_part(size_t *at, size_t *end, size_t bytes)
{
    *at = mp__align_up(*end, bytes > MP__CACHE_LINE ? MP__CACHE_LINE : DATA_ALIGN);
    return !__builtin_add_overflow(*at, bytes, end) && *end <= SIZE_MAX / 2;
}

/* Which items are claimed together, and how many lanes they lie in. */
static void plan_units(plan *p, const mp_job *job, uint32_t workers)
{
    uint64_t least = (job->count + MP__UNITS_MOST - 1) / MP__UNITS_MOST;
    p->unit = job->chunksize > least ? job->chunksize : least;
    if (p->unit == 0)
        p->unit = 1;
    p->units = job->count / p->unit + (job->count % p->unit != 0);
    p->lane_count = p->units < workers ? p->units : workers;
}

static int make_plan(plan *p, const mp_job *job, uint32_t workers)
{
    if (job->count > ITEMS_MOST || !mp__multiply(job->in_size, job->count, &p->in_bytes) ||
        !mp__multiply(job->out_size, job->count, &p->out_bytes))
        return MP_EINVAL;
    plan_units(p, job, workers);
    p->copy_in = p->in_bytes > 0 && !mp__arena_contains(job->in, p->in_bytes);
    p->stage_out = p->out_bytes > 0 && !mp__arena_contains(job->out, p->out_bytes);
    size_t lane_bytes = p->lane_count > 1 ? p->lane_count * MP__CACHE_LINE : 0;
    size_t failed_bytes = job->count > 1 ? (job->count + 63) / 64 * 8 : 0;
    p->end = sizeof(mp__work);
    if (!add_part(&p->lanes, &p->end, lane_bytes) || !add_part(&p->failed, &p->end, failed_bytes) ||
        !add_part(&p->in, &p->end, p->copy_in ? p->in_bytes : 0) ||
        !add_part(&p->out, &p->end, p->stage_out ? p->out_bytes : 0))
        return MP_EINVAL;
    return 0;
}

/* Each lane gets its share of the units. */
static void fill_lanes(mp__work *w, const plan *p, char *block)
{
    w->unit = p->unit;
    w->units = (uint32_t)p->units;
    w->lanes = (uint32_t)p->lane_count;
    w->lane = w->lanes > 1 ? (_Atomic uint64_t *)(void *)(block + p->lanes) : &w->only;
    for (uint64_t i = 0; i < w->lanes; i++) {
        uint64_t start = p->units * i / w->lanes, end = p->units * (i + 1) / w->lanes;
        mp__store_relaxed(&w->lane[i * MP__LANE_STRIDE], mp__lane_pack(start, end, 0));
    }
}

int mp__work_create(mp__work **out, const mp__work_order *order)
{
    const mp_job *job = order->job;
    plan p;
    int rc = make_plan(&p, job, order->workers);
    if (rc < 0)
        return rc;
    char *block = mp__block_alloc(p.end, MP__CACHE_LINE, __builtin_return_address(0));
    if (block == NULL)
        return mp_shared_error();
    memset(block, 0, p.in); /* the structure and the bits */
    mp__work *w = (mp__work *)(void *)block;
    w->task = job->task;
    w->context = job->context;
    w->in = p.copy_in ? block + p.in : job->in;
    w->out = p.stage_out ? block + p.out : job->out;
    w->in_size = job->in_size;
    w->out_size = job->out_size;
    w->count = job->count;
    w->fixed = job->chunksize != 0;
    w->retries = order->retries;
    w->limit = order->limit;
    w->soft = order->soft;
    w->all_failures = job->errors != NULL;
    fill_lanes(w, &p, block);
    mp__store_relaxed(&w->lowest, NONE_FAILED);
    if (job->count > 1)
        w->failed = (_Atomic uint64_t *)(void *)(block + p.failed);
    if (p.copy_in)
        memcpy(block + p.in, job->in, p.in_bytes);
    *out = w;
    return 0;
}

void mp__work_free_returned(mp__work *w)
{
    mp__returned *r = mp__exchange_seq(&w->returned, NULL);
    while (r != NULL) {
        mp__returned *next = r->next;
        mp_shared_free(r);
        r = next;
    }
}

void mp__work_free(mp__work *w)
{
    mp__failure *f = mp__load_acquire(&w->failures);
    while (f != NULL) {
        mp__failure *next = f->next;
        mp_shared_free(f);
        f = next;
    }
    mp__work_free_returned(w);
    mp__doorbells_fini(&w->bells);
    mp_shared_free(w);
}

mp__failure *mp__failure_create(int code, int worker, const char *text)
{
    mp__failure *f = mp_shared_calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->code = code;
    f->worker = worker;
    snprintf(f->text, sizeof f->text, "%s", text);
    return f;
}

mp__failure *mp__failure_of(const mp__verdict *why, int worker)
{
    mp__failure *f = mp__failure_create(why->code, worker, why->text);
    if (f != NULL) {
        f->task_code = why->task_code;
        f->signal = why->signal;
        f->exit_status = why->exit_status;
    }
    return f;
}

void mp__work_fail(mp__work *w, uint64_t index, int code, mp__failure *failure)
{
    if (w->failed != NULL)
        mp__or_relaxed(&w->failed[index / 64], UINT64_C(1) << index % 64);
    uint64_t mine = index << 8 | cause_of(code);
    uint64_t lowest = mp__load_relaxed(&w->lowest);
    while (mine < lowest && !mp__cas_relaxed(&w->lowest, &lowest, mine))
        continue;
    if (failure == NULL)
        return;
    failure->index = index;
    failure->next = mp__load_relaxed(&w->failures);
    while (!mp__cas_release(&w->failures, &failure->next, failure)) /* pairs with its readers */
        continue;
}

void mp__work_fail_range(mp__work *w, uint64_t start, uint64_t end, const mp__verdict *why)
{
    for (uint64_t i = start; i < end; i++) {
        uint64_t lowest;
        bool tell =
            w->all_failures || (i == start && (mp__work_code(w, &lowest) == 0 || i < lowest));
        mp__work_fail(w, i, why->code, tell ? mp__failure_of(why, 0) : NULL);
    }
}

bool mp__work_item_failed(const mp__work *w, uint64_t index)
{
    if (w->failed == NULL)
        return mp__load_relaxed(&w->lowest) != NONE_FAILED;
    return (mp__load_relaxed(&w->failed[index / 64]) >> index % 64 & 1) != 0;
}

int mp__work_code(const mp__work *w, uint64_t *index)
{
    uint64_t lowest = mp__load_relaxed(&w->lowest);
    if (lowest == NONE_FAILED)
        return 0;
    *index = lowest >> 8;
    return causes[lowest & 0xff];
}
