/* SPDX-License-Identifier: MIT */
/*
 * The orderly end of a pool, as the program sees it. Workers leave in the phase CLOSED when there
 * is nothing to claim; chained results that wait for others are nothing to claim yet. So a pool
 * that has some enters that phase only when the last of them is in the list of works, or has ended.
 * Its guard is held around each of these steps: a submission, a chain, or the start of a chained
 * work comes before the end, or sees it.
 */
#include "pool/handle.h"

#include <mproc/error.h>

int mp__handle_end(const mp_pool *pool)
{
    enum mp__pool_phase phase = mp__pool_phase_of(pool->control);
    if (phase == MP__POOL_FAILED)
        return MP_ETASK;
    return phase != MP__POOL_RUNNING || mp__handle_is_lost(pool) ? MP_ESTATE : 0;
}

int mp__handle_refusal(const mp_pool *pool)
{
    int rc = mp__handle_end(pool);
    return rc == 0 && mp__load_relaxed(&pool->closing) ? MP_ESTATE : rc;
}

void mp__handle_close(mp_pool *pool)
{
    mp__store_relaxed(&pool->closing, true);
    if (pool->unstarted == 0)
        mp__pool_enter(pool->control, MP__POOL_CLOSED);
}

void mp__result_postpone(mp_result *r)
{
    mp__store_relaxed(&r->callbacks.waiting, true);
    r->unstarted = true;
}

void mp__result_is_begun(mp_result *r)
{
    if (!r->unstarted)
        return;
    r->unstarted = false;
    if (--r->pool->unstarted == 0 && mp__load_relaxed(&r->pool->closing))
        mp__handle_close(r->pool);
}
