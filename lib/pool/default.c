/* SPDX-License-Identifier: MIT */
/*
 * The process's own pool. It is made while nothing is locked, since to make one is to fork; of two
 * threads that have made one at the same time the second gives its own up. A forked child finds its
 * parent's, which is no pool of its own. Nobody frees one that was given out, since any thread may
 * use it still; when it has ended it gives its descriptors up.
 */
#include "pool/handle.h"

#include <mproc/error.h>

static mp_pool *current;

/* While the pools are locked. */
static mp_pool *usable(void)
{
    bool good =
        current != NULL && mp__handle_check(current) == 0 && mp__handle_refusal(current) == 0;
    return good ? current : NULL;
}

int mp_pool_default(mp_pool **out)
{
    if (out == NULL)
        return MP_EINVAL;
    mp__handle_lock_pools();
    mp_pool *pool = *out = usable();
    mp__handle_unlock_pools();
    if (pool != NULL)
        return 0;

    int rc = mp_pool_create(&pool, NULL);
    if (rc < 0)
        return rc;
    mp__handle_lock_pools();
    *out = usable();
    mp__handle_strip_standing();
    if (*out == NULL) {
        pool->standing = true;
        pool->earlier = current;
        *out = current = pool;
    }
    mp__handle_unlock_pools();
    if (*out != pool)
        mp_pool_free(pool);
    return 0;
}
