/* SPDX-License-Identifier: MIT */
/*
 * Why it is right: every slot with a descriptor is in the list, and both change under the guard,
 * which the atfork part holds over each fork. So a child finds the list whole, and closes all
 * that is not bequeathed to it. The heir is told by the address of its thread's storage: the
 * child's only thread is the copy of the one that forked, at the same address. Nothing here asks
 * os/thread.h for more than the address, since that may register atfork parts, which must not
 * happen during a fork.
 */
#include "os/owned.h"

#include "os/atfork.h"
#include "os/guard.h"
#include "os/thread.h"

#include <errno.h>
#include <mproc/error.h>

static mp__guard guard = MP__GUARD_INITIALIZER;
static mp__link all = MP__LIST(all);

void mp__owned_lock(void)
{
    mp__guard_lock(&guard);
}

void mp__owned_unlock(void)
{
    mp__guard_unlock(&guard);
}

static void after_fork(void)
{
    mp__list_for_each (link, &all) {
        mp__owned *slot = mp__container(link, mp__owned, link);
        if (slot->heir == &mp__thread_this)
            slot->heir = NULL;
        else
            mp__owned_close_locked(slot);
    }
    mp__guard_unlock(&guard);
}

int mp__owned_init(void)
{
    static mp__atfork part = {
        .prepare = mp__owned_lock, .parent = mp__owned_unlock, .child = after_fork};
    return mp__atfork_add(&part);
}

int mp__owned_adopt(mp__owned *slot, int fd)
{
    *slot = MP__OWNED_NONE;
    fd = mp__fd_above_stdio(fd);
    if (fd < 0)
        return fd;
    if (!mp__fd_identify(fd, &slot->identity)) {
        mp__fd_close(fd);
        return MP_ESYS(EBADF);
    }
    slot->fd = fd;
    mp__list_append(&all, &slot->link);
    return 0;
}

void mp__owned_bequeath(mp__owned *slot)
{
    slot->heir = &mp__thread_this;
}

int mp__owned_fd(const mp__owned *slot)
{
    return slot->fd >= 0 && mp__fd_is(slot->fd, &slot->identity) ? slot->fd : -1;
}

void mp__owned_close_locked(mp__owned *slot)
{
    if (slot->fd < 0)
        return;
    mp__list_remove(&slot->link);
    mp__fd_close_own(slot->fd, &slot->identity);
    *slot = MP__OWNED_NONE;
}

void mp__owned_close(mp__owned *slot)
{
    mp__owned_lock();
    mp__owned_close_locked(slot);
    mp__owned_unlock();
}
