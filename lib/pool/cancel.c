/* SPDX-License-Identifier: MIT */
/* Ending work early: what has not started, and what runs. */
#include "pool/handle.h"

#include <mproc/error.h>

/* Stops a work and fails what nobody has claimed. Returns whether there was any of it. */
static bool stop(mp_result *r, bool untouched)
{
    mp__work *w = r->work;
    mp__guard_lock(&r->pool->guard);
    bool any = mp__claim_stop(r->pool->control, w, untouched, &mp__work_canceled) > 0;
    mp__guard_unlock(&r->pool->guard);
    return any;
}

void mp__result_wish(mp_result *r, enum mp__work_wish wish)
{
    mp__work *w = r->work;
    uint32_t wanted = (uint32_t)wish;
    uint32_t now = mp__load_relaxed(&w->canceled);
    while (now < wanted && !mp__cas_relaxed(&w->canceled, &now, wanted))
        continue;
}

void mp__result_abandon(mp_result *r)
{
    if (mp__work_is_done(r->work))
        return;
    mp__result_wish(r, MP__WORK_STOPPED);
    stop(r, false);
}

static const char *const before_it_was_started = "canceled before it was started";

int mp_result_cancel(mp_result *r)
{
    int rc = mp__result_check(r);
    if (rc < 0)
        return rc;
    if (mp__load_relaxed(&r->canceled))
        return 0;
    bool open = r->pool != NULL && !mp__work_is_done(r->work);
    if (!open || (!mp__callback_cancel(r, before_it_was_started) && !stop(r, true)))
        return MP_ESTATE;
    mp__store_relaxed(&r->canceled, true);
    mp__callback_ended(r);
    return 0;
}

int mp_result_kill(mp_result *r)
{
    int rc = mp__result_check(r);
    if (rc < 0)
        return rc;
    mp__work *w = r->work;
    if (mp__load_relaxed(&r->canceled) || mp__load_relaxed(&w->killed) != 0)
        return 0;
    if (r->pool == NULL || mp__work_is_done(w))
        return MP_ESTATE;
    if (mp__callback_cancel(r, before_it_was_started)) {
        mp__store_relaxed(&r->canceled, true);
        return 0;
    }
    mp__result_wish(r, MP__WORK_STOPPED);
    mp__store_seq(&w->killed, 1); /* pairs with the supervisor's look after the ring */
    stop(r, false);
    mp__servant_ring(&r->pool->servant);
    mp__callback_ended(r);
    return 0;
}
