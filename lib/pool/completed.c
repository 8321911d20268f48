/* SPDX-License-Identifier: MIT */
/* Many results: waiting for some or all of them, and taking them as they come. */
#include "os/clock.h"
#include "os/interrupt.h"
#include "pool/collect.h"
#include "pool/iterator.h"
#include "pool/outcome.h"

#include <mproc/error.h>
#include <stdlib.h>

/* Results that are held. */
typedef struct batch {
    mp__collected *open;  /* of which nobody knows that they are done */
    mp__collected *ready; /* in the order in which they were found done */
    size_t opens, readies, taken;
    size_t failed; /* of the ready ones */
} batch;

static void free_batch(batch *b)
{
    for (size_t i = 0; i < b->opens; i++)
        mp__result_let_go(b->open[i].result);
    for (size_t i = b->taken; i < b->readies; i++)
        mp__result_let_go(b->ready[i].result);
    free(b->open);
    free(b->ready);
}

static int check_all(mp_result *const *rs, int count)
{
    int rc = count < 0 || (rs == NULL && count > 0) ? MP_EINVAL : 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = mp__result_check(rs[i]);
    return rc;
}

static int make_batch(batch *b, mp_result *const *rs, size_t count)
{
    *b = (batch){.open = calloc(count + 1, sizeof *b->open),
                 .ready = calloc(count + 1, sizeof *b->ready)};
    if (b->open == NULL || b->ready == NULL) {
        free_batch(b);
        return MP_ENOMEM;
    }
    b->opens = count;
    for (size_t i = 0; i < count; i++) {
        mp__result_hold(rs[i]);
        b->open[i] = (mp__collected){rs[i], i};
    }
    if (count > MP__COLLECT_MOST)
        mp__collect_sort(b->open, count);
    return 0;
}

static void sort_out(batch *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->opens; i++) {
        mp__collected one = b->open[i];
        uint64_t index;
        if (mp__work_is_done(one.result->work)) {
            b->ready[b->readies++] = one;
            b->failed += mp__result_code(one.result, &index) < 0;
        } else {
            b->open[kept++] = one;
        }
    }
    b->opens = kept;
}

static int list_open(const batch *b, mp_result **open)
{
    int n = 0;
    for (size_t i = 0; i < b->opens && n < MP__COLLECT_MOST; i++)
        open[n++] = b->open[i].result;
    return n;
}

/* ---- mp_results_wait() ---- */

static int look_for_first(void *arg, mp_result **open)
{
    batch *b = arg;
    sort_out(b);
    return b->readies > 0 || b->opens == 0 ? -1 : list_open(b, open);
}

static int look_for_error(void *arg, mp_result **open)
{
    batch *b = arg;
    sort_out(b);
    return b->failed > 0 || b->opens == 0 ? -1 : list_open(b, open);
}

static int await_all(batch *b, mp__deadline until)
{
    int rc = 0;
    for (size_t i = 0; i < b->opens && rc == 0; i++)
        if (!mp__work_is_done(b->open[i].result->work))
            rc = mp__result_await(b->open[i].result, until);
    sort_out(b);
    return rc;
}

static int await_batch(batch *b, int when, mp__deadline until)
{
    if (when == MP_ALL)
        return await_all(b, until);
    mp__collection c = {.look = when == MP_FIRST_DONE ? look_for_first : look_for_error, .arg = b};
    return mp__collect_await(&c, until);
}

int mp_results_wait(mp_result **rs, int count, int when, double timeout)
{
    mp__deadline until = MP__NEVER;
    batch b;
    int rc = when < MP_ALL || when > MP_FIRST_ERROR ? MP_EINVAL : check_all(rs, count);
    if (rc == 0)
        rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    rc = make_batch(&b, rs, (size_t)count);
    if (rc < 0)
        return rc;
    rc = await_batch(&b, when, until);
    for (size_t i = 0; i < b.readies && rc == 0; i++)
        mp__result_finish(b.ready[i].result);
    int done = (int)b.readies;
    mp__callback_run(); /* last: they may free results */
    free_batch(&b);
    return rc < 0 ? rc : done;
}

/* ---- mp_as_completed() ---- */

typedef struct completed {
    mp_iterator base;
    batch batch;
    mp_result *last; /* the one that next returned last */
} completed;

static void let_last_go(completed *it)
{
    if (it->last != NULL)
        mp__result_let_go(it->last);
    it->last = NULL;
}

static int next_completed(mp_iterator *base, mp__item *item, mp__deadline until)
{
    completed *it = mp__container(base, completed, base);
    batch *b = &it->batch;
    let_last_go(it);
    if (b->taken == b->readies) {
        if (b->opens == 0)
            return MP_EEOF;
        b->taken = b->readies = 0;
        int rc = mp__collect_await(&(mp__collection){look_for_first, b}, until);
        if (rc < 0)
            return rc;
    }
    mp__collected one = b->ready[b->taken++];
    it->last = one.result;
    mp__result_finish(one.result);
    *item = (mp__item){.index = one.place, .result = one.result, .whole = true};
    return 0;
}

static void free_completed(mp_iterator *base)
{
    completed *it = mp__container(base, completed, base);
    let_last_go(it);
    free_batch(&it->batch);
    free(it);
}

static void drop_completed(mp_iterator *base)
{
    completed *it = mp__container(base, completed, base);
    free(it->batch.open);
    free(it->batch.ready);
    free(it);
}

static const mp__iterator_kind as_completed = {
    .next = next_completed, .free = free_completed, .drop = drop_completed};

int mp_as_completed(mp_iterator **out, mp_result **rs, int count)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    int rc = check_all(rs, count);
    if (rc < 0)
        return rc;
    completed *it = calloc(1, sizeof *it);
    rc = it == NULL ? MP_ENOMEM : make_batch(&it->batch, rs, (size_t)count);
    if (rc < 0) {
        free(it);
        return rc;
    }
    mp__iterator_init(&it->base, &as_completed);
    *out = &it->base;
    return 0;
}

/* ---- mp_pool_dispatch() ---- */

int mp_pool_dispatch(mp_pool *pool, double timeout)
{
    mp__deadline until = MP__NEVER;
    int rc = mp__handle_check(pool);
    if (rc == 0)
        rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (mp__callback_is_suspended())
        return MP_ESTATE;
    for (;;) {
        if (timeout > 0 && mp__interrupted())
            return MP_EINTR;
        int ran = mp__callback_run();
        if (ran > 0 || mp__callback_pending(pool) == 0)
            return ran;
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        mp__collect_sleep(NULL, 0, until);
    }
}
