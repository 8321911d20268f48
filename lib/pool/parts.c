/* SPDX-License-Identifier: MIT */
/*
 * Arrays of the program must be copied where the workers see them, and back: as a whole that would
 * cost twice their memory, and nobody would work meanwhile. So the job becomes a row of small ones,
 * of which WINDOW are under way. Their memory comes from the same few blocks again and again, so it
 * stays in the processors' caches. With 1e6 items of 8 bytes, which a worker squares in 1.6 ns
 * each, this takes 1.6 times what threads take that need not copy; copied as a whole 2 times.
 */
#include "pool/parts.h"

#include "os/interrupt.h"
#include "shm/arena.h"

#include <mproc/error.h>

#define PART_BYTES ((size_t)128 << 10) /* of inputs or outputs, whichever are larger */
#define WINDOW     32

typedef struct parts {
    mp_pool *pool;
    const mp_job *job;
    mp_task_error *error; /* of the lowest item that failed */
    size_t part;          /* items in one */
    size_t begun, ended;  /* items */
    int code;             /* of the lowest item that failed, or 0 */
    mp_result *under_way[WINDOW];
} parts;

/* The larger of what an item takes in private memory. */
static size_t private_bytes(const mp_job *job)
{
    size_t in = mp__arena_contains(job->in, 1) ? 0 : job->in_size;
    size_t out = mp__arena_contains(job->out, 1) ? 0 : job->out_size;
    return in > out ? in : out;
}

/* Items in a part: whole chunks. */
static size_t part_of(const mp_job *job, size_t bytes)
{
    size_t part = bytes > 0 ? PART_BYTES / bytes : PART_BYTES,
           chunk = job->chunksize != 0 ? job->chunksize : 1;
    return part > chunk ? part - part % chunk : chunk;
}

bool mp__parts_suits(const mp_pool *pool, const mp_job *job)
{
    size_t bytes = private_bytes(job), all;
    if (bytes == 0 || job->callback != NULL || job->progress != NULL ||
        pool->plan.options.progress != NULL)
        return false;
    size_t part = part_of(job, bytes);
    /* Long items keep the workers busy all the same, and a part has some for each. */
    return part >= (size_t)mp__load_relaxed(&pool->control->target) * 16 &&
           job->count / part >= 4 && mp__multiply(job->in_size, job->count, &all) &&
           mp__multiply(job->out_size, job->count, &all);
}

static mp_result **place_of(parts *s, size_t item)
{
    return &s->under_way[item / s->part % WINDOW];
}

static size_t length_of(const parts *s, size_t item)
{
    size_t left = s->job->count - item;
    return left < s->part ? left : s->part;
}

/* Copies the next part in, and submits it. */
static int begin_part(parts *s)
{
    const mp_job *all = s->job;
    mp_job job = *all;
    job.count = length_of(s, s->begun);
    job.in = all->in == NULL ? NULL : (const char *)all->in + s->begun * all->in_size;
    job.out = all->out == NULL ? NULL : (char *)all->out + s->begun * all->out_size;
    job.errors = all->errors == NULL ? NULL : all->errors + s->begun;
    int rc = mp__result_submit(s->pool, place_of(s, s->begun), &job);
    if (rc < 0)
        return rc;
    (*place_of(s, s->begun))->part = true;
    s->begun += job.count;
    return 0;
}

/* What the part knows as item 0 is the whole's item `ended`. */
static void note_errors(parts *s, const mp_result *r)
{
    mp_task_error first;
    size_t length = length_of(s, s->ended);
    for (size_t i = 0; s->job->errors != NULL && i < length; i++)
        if (s->job->errors[s->ended + i].code != 0)
            s->job->errors[s->ended + i].index += s->ended;
    if (s->code != 0 || mp_result_error(r, &first) != 1)
        return;
    first.index += s->ended;
    s->code = first.code;
    *s->error = first;
}

/* Waits for the oldest part, and copies it out. */
static int end_part(parts *s)
{
    mp_result **place = place_of(s, s->ended);
    int rc = mp_result_wait(*place, MP_FOREVER);
    if (rc < 0)
        return rc;
    note_errors(s, *place);
    mp_result_free(*place);
    s->ended += length_of(s, s->ended);
    return 0;
}

/* The window is full: waits until half of it is done, while the workers have the other half, and
 * copies that out at once. The processors are for those who work. */
static int end_half(parts *s)
{
    size_t upto = s->ended + s->part * (WINDOW / 2);
    int rc = mp_result_wait(*place_of(s, upto - 1), MP_FOREVER);
    while (rc == 0 && s->ended < upto)
        rc = end_part(s);
    return rc;
}

static void give_up(parts *s)
{
    for (size_t item = s->ended; item < s->begun; item += s->part) {
        mp_result **place = place_of(s, item);
        mp__result_abandon(*place);
        mp_result_free(*place);
    }
}

int mp__parts_run(mp_pool *pool, const mp_job *job, mp_task_error *error)
{
    parts s = {.pool = pool, .job = job, .error = error, .part = part_of(job, private_bytes(job))};
    int rc = 0;
    while (rc == 0 && s.ended < job->count) {
        bool room = s.begun - s.ended < s.part * WINDOW;
        if (s.begun == job->count)
            rc = end_part(&s);
        else
            rc = room ? begin_part(&s) : end_half(&s);
    }
    if (rc < 0)
        give_up(&s);
    return rc < 0 ? rc : s.code;
}
