/* SPDX-License-Identifier: MIT */
/* How many workers a pool has, and who they are. The supervisor and the workers themselves do the
 * rest: pool/supervisor.c, pool/leaving.h. */
#include "pool/handle.h"
#include "pool/idle.h"

#include <mproc/error.h>

int mp_pool_resize(mp_pool *pool, int processes)
{
    int rc = mp__handle_check(pool);
    if (rc < 0)
        return rc;
    mp__pool_control *c = pool->control;
    if (processes < 1 || (uint32_t)processes > c->slots)
        return MP_EINVAL;
    mp__guard_lock(&pool->guard); /* it is before the end of the pool, or sees it */
    bool runs = mp__handle_refusal(pool) == 0;
    if (runs)
        mp__store_seq(&c->target, (uint32_t)processes);
    mp__guard_unlock(&pool->guard);
    if (!runs)
        return MP_ESTATE;
    mp__servant_ring(&pool->servant);
    mp__idle_wake(c, UINT64_MAX); /* who is too many finds that */
    return 0;
}

int mp_pool_processes(const mp_pool *pool)
{
    int rc = mp__handle_check(pool);
    return rc < 0 ? rc : (int)mp__load_relaxed(&pool->control->target);
}

/* A process that was forked and has not run yet holds nothing. */
static bool is_manned(const mp__slot *s, bool lost)
{
    bool starting = !lost && mp__load_acquire(&s->state) == MP__SLOT_STARTING;
    return starting || !mp__life_word_is_over(&s->life);
}

int mp_pool_worker_pids(const mp_pool *pool, pid_t *pids, int capacity)
{
    int rc = capacity < 0 || (pids == NULL && capacity > 0) ? MP_EINVAL : mp__handle_check(pool);
    if (rc < 0)
        return rc;
    const mp__pool_control *c = pool->control;
    uint32_t used = mp__load_acquire(&c->used);
    bool lost = mp__handle_is_lost(pool);
    int count = 0;
    for (uint32_t i = 0; i < used; i++) {
        int pid = mp__load_relaxed(&c->slot[i].pid);
        if (pid == 0 || !is_manned(&c->slot[i], lost))
            continue;
        if (count < capacity)
            pids[count] = pid;
        count++;
    }
    return count;
}
