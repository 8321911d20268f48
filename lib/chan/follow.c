/* SPDX-License-Identifier: MIT */
/*
 * mp_wait() while callbacks of results, or chained work, may become due: those run in it. So it
 * waits for a few results besides, those that can be ready next.
 *
 * A callback may free the results that the caller waits for. So they are held; and when one is
 * found ready nothing looks at it any more after the callbacks have run.
 */
#include "chan/wait.h"

#include "os/clock.h"
#include "os/interrupt.h"

#include <mproc/error.h>
#include <stdlib.h>
#include <string.h>

#define AWAITED_MOST 32

/* Marks those in our copy of the list. */
static void hold_results(const mp__wait_results *r, mp_waitable *all, int count)
{
    mp__doorbells *bells;
    for (int i = 0; i < count; i++) {
        all[i].reserved[0] = all[i].kind == MP_WAIT_RESULT && all[i].object != NULL &&
                             r->find(all[i].object, &bells) == 0;
        if (all[i].reserved[0])
            r->hold(all[i].object);
    }
}

/* One round, together with what makes something due. Returns how many of the items are ready, 0:
 * nothing, or one of the others; or a code. `all` has room for those. */
static int wait_beside(const mp__wait_results *r, mp_waitable *all, int count, mp__deadline until)
{
    void *awaited[AWAITED_MOST];
    int n = r->hold_awaited(awaited, AWAITED_MOST);
    if (n < 0) /* something is due */
        return mp__wait_for(all, count, MP__AT_ONCE);
    for (int i = 0; i < n; i++)
        all[count + i] = (mp_waitable){.kind = MP_WAIT_RESULT, .object = awaited[i]};
    int rc = mp__wait_for(all, count + n, mp__deadline_look_again(until));
    for (int i = 0; i < n; i++) {
        rc -= rc > 0 && all[count + i].revents != 0;
        r->let_go(awaited[i]);
    }
    return rc;
}

/* Looks at least once. */
static int wait_held(const mp__wait_results *r, mp_waitable *all, int count, mp__deadline until)
{
    int rc = mp__wait_for(all, count, MP__AT_ONCE);
    while (rc == 0) {
        int ran = r->run();
        if (mp__deadline_passed(until))
            return mp__wait_for(all, count, MP__AT_ONCE);
        rc = ran > 0 ? mp__wait_for(all, count, MP__AT_ONCE) : wait_beside(r, all, count, until);
    }
    return rc;
}

int mp__wait_and_follow(const mp__wait_results *r, mp_waitable *items, int count,
                        mp__deadline until)
{
    if (until.ns != 0 && mp__interrupted())
        return MP_EINTR;
    mp_waitable *all = calloc((size_t)count + AWAITED_MOST, sizeof *all);
    if (all == NULL)
        return MP_ENOMEM;
    if (count > 0)
        memcpy(all, items, (size_t)count * sizeof *all);
    hold_results(r, all, count);
    int rc = wait_held(r, all, count, until);
    if (rc >= 0)
        r->run();
    for (int i = 0; i < count; i++) {
        items[i].revents = all[i].revents;
        if (all[i].reserved[0])
            r->let_go(all[i].object);
    }
    free(all);
    return rc;
}
