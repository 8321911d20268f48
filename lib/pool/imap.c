/* SPDX-License-Identifier: MIT */
/*
 * imap: a stream of inputs, worked on a window at a time.
 *
 * Inputs are taken in the caller's thread, a chunk of them becomes a work, and the works wait in a
 * list in the order of their submission until their items have been returned. An input counts
 * against the window from when it is taken until its item is returned, so no more than that is ever
 * in memory; chunks, their works and their results are used again or freed as the stream goes on.
 *
 * An end of the input, whatever its kind, shows when everything before it was returned.
 */
#include "base/options.h"
#include "pool/collect.h"
#include "pool/iterator.h"
#include "pool/outcome.h"
#include "pool/submit.h"

#include <mproc/error.h>
#include <stdlib.h>

#define CHUNKS_EACH 16 /* of a worker, in a window that is not given */
#define SLACK       4  /* works that a slot is just about to leave */

typedef struct chunk {
    mp__link link;
    mp_result *result;
    uint64_t first, count;
} chunk;

typedef struct imap {
    mp_iterator base;
    mp_pool *pool;
    mp__link link; /* among the pool's iterators; alone if that is freed */
    mp_imap how;
    bool unordered;
    mp__link waiting; /* chunks of which nothing was returned */
    mp__link spare;
    chunk *current; /* being returned */
    uint64_t at;    /* of its items */
    uint64_t taken, returned;
    int end;         /* 0: there may be more input; MP_EEOF; or an error */
    mp_task_error e; /* tells works to remember all errors; never filled */
    char *inputs;    /* of the chunk that is being made */
} imap;

static imap *imap_of(mp_iterator *base)
{
    return mp__container(base, imap, base);
}

static chunk *chunk_of(mp__link *link)
{
    return mp__container(link, chunk, link);
}

/* ---- the input ---- */

static chunk *new_chunk(imap *it)
{
    if (mp__list_empty(&it->spare)) {
        chunk *c = calloc(1, sizeof *c);
        if (c != NULL)
            mp__list_init(&c->link);
        return c;
    }
    chunk *c = chunk_of(it->spare.next);
    mp__list_remove(&c->link);
    return c;
}

/* Returns how many, at most `most`. */
static uint64_t take_inputs(imap *it, uint64_t most)
{
    uint64_t n = 0;
    while (n < most && it->end == 0) {
        int rc = it->how.next(it->how.arg, it->inputs + n * it->how.in_size);
        if (rc < 0)
            it->end = rc;
        else
            n++;
    }
    return n;
}

/* A chunk's progress is nobody's. */
static void keep_quiet(size_t done, size_t total, void *arg)
{
    (void)done, (void)total, (void)arg;
}

static int submit_chunk(imap *it, chunk *c)
{
    mp_job job = {.size = sizeof job,
                  .task = it->how.task,
                  .context = it->how.context,
                  .in = it->inputs,
                  .in_size = it->how.in_size,
                  .out_size = it->how.out_size,
                  .count = c->count,
                  .chunksize = c->count,
                  .errors = c->count > 1 ? &it->e : NULL,
                  .progress = keep_quiet};
    if (mp__list_empty(&it->link))
        return MP_ESTATE; /* the pool is gone */
    return mp__result_submit(it->pool, &c->result, &job);
}

/* Takes a chunk of input and gives it to the pool. What cannot be given away is lost. */
static void add_chunk(imap *it, uint64_t most)
{
    chunk *c = new_chunk(it);
    if (c == NULL) {
        it->end = MP_ENOMEM;
        return;
    }
    c->first = it->taken;
    c->count = take_inputs(it, most);
    int rc = c->count > 0 ? submit_chunk(it, c) : MP_EEOF;
    if (rc < 0) {
        it->end = c->count > 0 ? rc : it->end;
        mp__list_append(&it->spare, &c->link);
        return;
    }
    it->taken += c->count;
    mp__list_append(&it->waiting, &c->link);
}

static void fill_window(imap *it)
{
    while (it->end == 0 && it->how.window - (it->taken - it->returned) >= it->how.chunksize)
        add_chunk(it, it->how.chunksize);
}

/* ---- the output ---- */

static void release_chunk(imap *it, chunk *c)
{
    mp_result_free(c->result);
    c->result = NULL;
    mp__list_append(&it->spare, &c->link);
}

static void begin_chunk(imap *it, chunk *c)
{
    mp__list_remove(&c->link);
    it->current = c;
    it->at = 0;
}

/* How many chunks can be done or running. They are the oldest: pool/callback.c tells why. */
static int most_open(const imap *it)
{
    if (mp__list_empty(&it->link))
        return MP__COLLECT_MOST; /* the pool is gone, and all are done */
    uint32_t used = mp__load_acquire(&it->pool->control->used);
    return used + SLACK < MP__COLLECT_MOST ? (int)used + SLACK : MP__COLLECT_MOST;
}

static int look_for_done(void *arg, mp_result **open)
{
    imap *it = arg;
    int n = 0, most = most_open(it);
    mp__list_for_each (link, &it->waiting) {
        if (mp__work_is_done(chunk_of(link)->result->work)) {
            begin_chunk(it, chunk_of(link));
            return -1;
        }
        if (n == most)
            break;
        open[n++] = chunk_of(link)->result;
    }
    return n;
}

static int await_chunk(imap *it, mp__deadline until)
{
    if (it->unordered)
        return mp__collect_await(&(mp__collection){look_for_done, it}, until);
    chunk *first = chunk_of(it->waiting.next);
    mp__work *w = first->result->work;
    int rc = mp__work_is_done(w) ? 0 : mp__result_await(first->result, until);
    if (rc == 0)
        begin_chunk(it, first);
    return rc;
}

/* Everything was returned. An error is told once. */
static int tell_end(imap *it, mp__item *item)
{
    int rc = it->end;
    it->end = MP_EEOF;
    if (rc != MP_EEOF)
        item->index = (size_t)it->taken;
    return rc;
}

static int next_item(mp_iterator *base, mp__item *item, mp__deadline until)
{
    imap *it = imap_of(base);
    if (it->current != NULL && it->at == it->current->count) {
        release_chunk(it, it->current);
        it->current = NULL;
    }
    fill_window(it);
    if (it->current == NULL) {
        if (mp__list_empty(&it->waiting))
            return tell_end(it, item);
        int rc = await_chunk(it, until);
        if (rc < 0 || it->current == NULL)
            return rc;
    }
    chunk *c = it->current;
    *item = (mp__item){.index = (size_t)(c->first + it->at), .result = c->result, .place = it->at};
    it->at++;
    it->returned++;
    return 0;
}

/* ---- its life ---- */

static void free_chunks(mp__link *head)
{
    mp__list_for_each (link, head)
        free(chunk_of(link));
}

static void drop(mp_iterator *base)
{
    imap *it = imap_of(base);
    free_chunks(&it->waiting);
    free_chunks(&it->spare);
    free(it->current);
    free(it->inputs);
    free(it);
}

static void free_imap(mp_iterator *base)
{
    imap *it = imap_of(base);
    mp__callback_lock();
    bool gone = mp__list_empty(&it->link);
    mp__list_remove(&it->link);
    mp__callback_unlock();
    mp__list_for_each (link, &it->waiting) {
        if (!gone)
            mp__result_abandon(chunk_of(link)->result);
        mp_result_free(chunk_of(link)->result);
    }
    if (it->current != NULL)
        mp_result_free(it->current->result);
    drop(base);
}

static const mp__iterator_kind kind = {.next = next_item, .free = free_imap, .drop = drop};

static void choose_sizes(imap *it)
{
    mp_imap *how = &it->how;
    size_t workers = (size_t)mp_pool_processes(it->pool);
    if (how->chunksize == 0)
        how->chunksize = 1;
    if (how->window == 0 &&
        __builtin_mul_overflow(how->chunksize, workers * CHUNKS_EACH, &how->window))
        how->window = SIZE_MAX;
    if (how->chunksize > how->window)
        how->chunksize = how->window;
}

static int check_how(mp_pool *pool, mp_imap *whole, const mp_imap *how)
{
    if (how == NULL || mp__options_read(whole, sizeof *whole, how) < 0 || whole->next == NULL)
        return MP_EINVAL;
    return mp__job_check_task(pool, whole->task);
}

static int make(mp_pool *pool, imap **out, const mp_imap *how)
{
    imap *it = calloc(1, sizeof *it);
    if (it == NULL)
        return MP_ENOMEM;
    it->pool = pool;
    it->how = *how;
    mp__list_init(&it->link);
    mp__list_init(&it->waiting);
    mp__list_init(&it->spare);
    choose_sizes(it);
    size_t bytes;
    if (__builtin_mul_overflow(it->how.chunksize, it->how.in_size, &bytes) ||
        bytes > PTRDIFF_MAX / 2) {
        free(it);
        return MP_EINVAL;
    }
    it->inputs = calloc(1, bytes + 1);
    if (it->inputs == NULL) {
        free(it);
        return MP_ENOMEM;
    }
    mp__iterator_init(&it->base, &kind);
    *out = it;
    return 0;
}

static int create(mp_pool *pool, mp_iterator **out, const mp_imap *how, bool unordered)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_imap whole;
    imap *it = NULL;
    int rc = mp__handle_check(pool);
    if (rc == 0)
        rc = check_how(pool, &whole, how);
    if (rc == 0)
        rc = mp__callback_init();
    if (rc == 0)
        rc = mp__handle_refusal(pool);
    if (rc == 0)
        rc = make(pool, &it, &whole);
    if (rc < 0 || it == NULL)
        return rc;
    it->unordered = unordered;
    mp__callback_lock();
    mp__list_append(&pool->callbacks.iterators, &it->link);
    mp__callback_unlock();
    fill_window(it);
    *out = &it->base;
    return 0;
}

int mp_pool_imap(mp_pool *pool, mp_iterator **out, const mp_imap *how)
{
    return create(pool, out, how, false);
}

int mp_pool_imap_unordered(mp_pool *pool, mp_iterator **out, const mp_imap *how)
{
    return create(pool, out, how, true);
}
