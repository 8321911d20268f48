/* SPDX-License-Identifier: MIT */
/*
 * Why it is right: every slot with a descriptor is in the list, and both change under the guard,
 * which the atfork part holds over each fork. So a child finds the list whole, and closes all
 * that is not bequeathed to it. (In a helper process there is nothing else, so that ranges are
 * closed: a call for each worker that is there already would make many workers slow to start.) The
 * heir is told by the address of its thread's storage: the
 * child's only thread is the copy of the one that forked, at the same address. Nothing here asks
 * os/thread.h for more than the address, since that may register atfork parts, which must not
 * happen during a fork.
 */
#include "os/owned.h"

#include "os/atfork.h"
#include "os/guard.h"
#include "os/thread.h"

#include <errno.h>
#include <limits.h>
#include <mproc/error.h>
#include <unistd.h>

#define KEPT_MOST 64

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

/* Whether there is nothing else, and what that does not include. */
static bool are_all;
static const int *others;

void mp__owned_are_all_but(const int *list)
{
    others = list;
    are_all = true;
}

/* The descriptors that a child keeps, in order. */
typedef struct kept {
    int count, fd[KEPT_MOST];
} kept;

static void keep(kept *k, int fd)
{
    int at = k->count++;
    for (; at > 0 && k->fd[at - 1] > fd; at--)
        k->fd[at] = k->fd[at - 1];
    k->fd[at] = fd;
}

/* Closes what is not kept by ranges, and empties its slots. False, and nothing was done, if too
 * much is kept for that. */
static bool close_ranges(void)
{
    kept k = {.count = 0};
    for (const int *fd = others; fd != NULL && *fd >= 0; fd++)
        if (k.count == KEPT_MOST)
            return false;
        else
            keep(&k, *fd);
    mp__list_for_each (link, &all) {
        const mp__owned *slot = mp__container(link, mp__owned, link);
        if (slot->heir == &mp__thread_this && k.count == KEPT_MOST)
            return false;
        if (slot->heir == &mp__thread_this)
            keep(&k, slot->fd);
    }
    mp__list_for_each (link, &all) {
        mp__owned *slot = mp__container(link, mp__owned, link);
        if (slot->heir == &mp__thread_this)
            continue;
        mp__list_remove(&slot->link);
        *slot = MP__OWNED_NONE;
    }
    int next = STDERR_FILENO + 1;
    for (int i = 0; i < k.count; i++) {
        mp__fd_close_between(next, k.fd[i] - 1);
        next = k.fd[i] >= next ? k.fd[i] + 1 : next;
    }
    mp__fd_close_between(next, INT_MAX);
    return true;
}

static void after_fork(void)
{
    bool by_ranges = are_all && close_ranges();
    are_all = false; /* the child may have others */
    mp__list_for_each (link, &all) {
        mp__owned *slot = mp__container(link, mp__owned, link);
        if (slot->heir == &mp__thread_this)
            slot->heir = NULL;
        else if (!by_ranges)
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
