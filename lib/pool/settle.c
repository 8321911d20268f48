/* SPDX-License-Identifier: MIT */
/*
 * Works after their use, and works whose pool is gone.
 *
 * Why freeing is safe: a work is freed by the program alone, with the guard held, when it is done,
 * stands behind the first of the list, and is in no slot. A worker that has read it as the first
 * writes it into its slot and then looks whether it still is the first; so after `first` has moved
 * on no slot gets it any more (pool/claim.c, find()).
 *
 * Why settling here is safe: it happens when the supervisor's life word is over and all the
 * workers' are; a worker that starts so late that its word was missed sees the supervisor's and
 * leaves (pool/worker.c). So no other process touches the pool any more.
 */
#include "pool/handle.h"

#include <mproc/error.h>

/* Looked at per call, so that no call pays for many: more than a call adds. */
#define SWEEP_MOST 16
#define USED_MOST  4

void mp__handle_retire(mp_pool *pool, mp__work *w)
{
    w->retired_next = NULL;
    *pool->retired_end = w;
    pool->retired_end = &w->retired_next;
}

static mp__work *oldest_retired(mp_pool *pool)
{
    mp__work *w = pool->retired;
    pool->retired = w->retired_next;
    if (pool->retired == NULL)
        pool->retired_end = &pool->retired;
    return w;
}

static bool is_unused(const mp_pool *pool, const mp__work *w)
{
    const mp__pool_control *c = pool->control;
    if (!mp__work_is_done(w) || w->order >= mp__load_seq(&c->first)->order)
        return false;
    uint32_t used = mp__load_seq(&c->used); /* a later slot finds only what is first by now */
    for (uint32_t i = 0; i < used; i++)
        if (mp__load_seq(&c->slot[i].work) == w)
            return false;
    return mp__load_seq(&c->slot[c->slots].work) != w;
}

/* Those that are in use go to the end: a few that run for long do not hide the others. */
void mp__handle_sweep(mp_pool *pool)
{
    int used = 0;
    for (int i = 0; i < SWEEP_MOST && used < USED_MOST && pool->retired != NULL; i++) {
        mp__work *w = oldest_retired(pool);
        if (is_unused(pool, w)) {
            mp__work_free(w);
        } else {
            mp__handle_retire(pool, w);
            used++;
        }
    }
}

bool mp__handle_is_lost(const mp_pool *pool)
{
    return mp__life_word_is_over(&pool->control->supervisor);
}

/* What no worker will settle any more. */
static void settle_work(mp_pool *pool, mp__work *w, const mp__verdict *why)
{
    mp__pool_control *c = pool->control;
    if (mp__work_is_done(w))
        return;
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        mp__slot *s = &c->slot[i];
        mp__range range;
        if (!mp__claim_get(s, &range) || mp__load_relaxed(&s->work) != w)
            continue;
        for (uint64_t item = mp__load_acquire(&s->item) >> 1; item < range.end; item++)
            mp__work_fail(w, item, why->code, mp__failure_of(why, mp__load_relaxed(&s->pid)));
    }
    mp__claim_stop(c, w, false, why);
    mp__claim_finish_now(w);
}

mp__verdict mp__handle_verdict(const mp_pool *pool)
{
    const mp__failure *why = mp__load_acquire(&pool->control->failure);
    enum mp__pool_phase phase = mp__pool_phase_of(pool->control);
    mp__verdict verdict = {.code = MP_ETASK, .text = "the pool failed"};
    if (phase == MP__POOL_TERMINATED)
        return (mp__verdict){.code = MP_ECANCELED, .text = "the pool was terminated"};
    if (phase != MP__POOL_FAILED)
        return (mp__verdict){.code = MP_ECRASHED, .text = "the pool's supervisor died"};
    if (why != NULL) {
        verdict.text = why->text;
        verdict.task_code = why->task_code;
        verdict.signal = why->signal;
        verdict.exit_status = why->exit_status;
    }
    return verdict;
}

static void settle_everything(mp_pool *pool)
{
    mp__pool_control *c = pool->control;
    mp__verdict why = mp__handle_verdict(pool);
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++)
        mp__claim_resolve(c, i);
    mp__list_for_each (link, &pool->results)
        settle_work(pool, mp__container(link, mp_result, link)->work, &why);
    for (mp__work *w = pool->retired; w != NULL; w = w->retired_next)
        settle_work(pool, w, &why);
}

bool mp__handle_settle(mp_pool *pool)
{
    mp__pool_control *c = pool->control;
    mp__guard_lock(&pool->guard);
    bool over = mp__load_relaxed(&pool->over), quiet = over || mp__handle_is_lost(pool);
    mp__fence_seq(); /* pairs with mp__worker_run() */
    for (uint32_t i = 0; i < mp__load_acquire(&c->used) && quiet && !over; i++)
        quiet = mp__life_word_is_over(&c->slot[i].life);
    if (quiet && !over) {
        settle_everything(pool);
        mp__store_release(&pool->over, true); /* pairs with its reader */
    }
    mp__guard_unlock(&pool->guard);
    return quiet;
}
