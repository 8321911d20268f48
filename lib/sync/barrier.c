/* SPDX-License-Identifier: MIT */
/* mp_barrier: its making and its public calls. How it works is in barrier_round.c. */
#include <mproc/barrier.h>

#include "base/options.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/limits.h"
#include "sync/barrier_round.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define BARRIER_MAGIC 0x62617272u

static mp__barrier *body_of(const mp_barrier *barrier)
{
    mp__barrier *body = (mp__barrier *)(void *)(uintptr_t)barrier;
    if (barrier == NULL || mp__load_acquire(&body->magic) != BARRIER_MAGIC)
        return NULL;
    return body;
}

int mp_barrier_wait(mp_barrier *barrier, double timeout)
{
    mp__barrier *b = body_of(barrier);
    if (b == NULL || timeout != timeout)
        return MP_EINVAL;
    if (timeout == MP_DEFAULT_TIMEOUT)
        timeout = b->timeout > 0 ? b->timeout : MP_FOREVER;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__deadline until = MP__NEVER; /* without a look at the clock, which costs part of a round */
    if (timeout != MP_FOREVER)
        mp__deadline_in(timeout, &until);
    return mp__barrier_meet(b, until);
}

int mp_barrier_abort(mp_barrier *barrier)
{
    mp__barrier *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    mp__barrier_break(b);
    return 0;
}

int mp_barrier_reset(mp_barrier *barrier)
{
    mp__barrier *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    mp__barrier_mend(b);
    return 0;
}

int mp_barrier_parties(const mp_barrier *barrier)
{
    const mp__barrier *b = body_of(barrier);
    return b == NULL ? MP_EINVAL : (int)b->parties;
}

int mp_barrier_waiting(const mp_barrier *barrier)
{
    const mp__barrier *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    uint32_t arrived = mp__barrier_arrived(b);
    return arrived < b->parties ? (int)arrived : 0; /* the last one does not wait */
}

bool mp_barrier_broken(const mp_barrier *barrier)
{
    const mp__barrier *b = body_of(barrier);
    return b != NULL && mp__barrier_is_broken(b);
}

static int read_options(mp_barrier_options *o, int parties, const mp_barrier_options *options)
{
    int rc = mp__options_read(o, sizeof *o, options);
    if (rc < 0)
        return rc;
    if (parties < 1 || o->timeout != o->timeout || o->timeout < 0)
        return MP_EINVAL;
    return o->action == NULL && o->action_arg != NULL ? MP_EINVAL : 0;
}

int mp_barrier_init(mp_barrier *barrier, int parties, const mp_barrier_options *options)
{
    mp_barrier_options o;
    if (barrier == NULL || !mp__is_aligned(barrier, _Alignof(mp_barrier)))
        return MP_EINVAL;
    int rc = read_options(&o, parties, options);
    if (rc < 0)
        return rc;
    rc = mp_init();
    if (rc < 0)
        return rc;
    mp__place *many = NULL;
    if (parties > MP__BARRIER_FEW) {
        many = mp_shared_calloc(2 * (size_t)parties, sizeof *many);
        if (many == NULL)
            return mp_shared_error();
    }
    memset(barrier, 0, sizeof *barrier);
    mp__barrier *b = (mp__barrier *)(void *)barrier;
    b->parties = (uint32_t)parties;
    b->many = many;
    b->spins = parties <= mp__limits_cpus();
    b->action = o.action;
    b->action_arg = o.action_arg;
    b->timeout = o.timeout;
    mp__store_relaxed(&mp__barrier_rounds(b)->state, MP__BARRIER_FIRST);
    mp__store_release(&b->magic, BARRIER_MAGIC); /* pairs with body_of() */
    return 0;
}

int mp_barrier_fini(mp_barrier *barrier)
{
    mp__barrier *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    mp__store_relaxed(&b->magic, 0);
    mp_shared_free(b->many);
    return 0;
}

int mp_barrier_create(mp_barrier **out, int parties, const mp_barrier_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_barrier_options o;
    int rc = read_options(&o, parties, options);
    if (rc < 0)
        return rc;
    mp_barrier *barrier = mp_shared_alloc(sizeof *barrier);
    if (barrier == NULL)
        return mp_shared_error();
    rc = mp_barrier_init(barrier, parties, options);
    if (rc < 0) {
        mp_shared_free(barrier);
        return rc;
    }
    *out = barrier;
    return 0;
}

void mp_barrier_free(mp_barrier *barrier)
{
    if (mp_barrier_fini(barrier) == 0)
        mp_shared_free(barrier);
}
