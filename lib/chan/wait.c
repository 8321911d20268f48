/* SPDX-License-Identifier: MIT */
/*
 * mp_wait(): one poll() over all descriptors. Connections are entered for as long as it lasts, so
 * that none of their descriptors is closed under it, and looked at at least every 100 ms: whether
 * another thread closed one, and whether one has received what poll() does not see.
 */
#include "chan/wait.h"

#include "base/atomic.h"
#include "base/deadline.h"
#include "chan/connection.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/poller.h"

#include <mproc/error.h>
#include <stdlib.h>

#define FEW 64 /* so many stand on the stack */

typedef int descriptor_of(const void *process);
static _Atomic(descriptor_of *) process_descriptor;

void mp__wait_set_process_descriptor(int (*descriptor)(const void *process))
{
    mp__store_release(&process_descriptor,
                      descriptor); /* pairs with the load in prepare_process() */
}

static int wanted(const mp_waitable *item)
{
    return item->events == 0 ? MP_READ : item->events;
}

static int prepare_process(const mp_waitable *item)
{
    if (wanted(item) & MP_WRITE)
        return MP_EINVAL;
    descriptor_of *descriptor = mp__load_acquire(&process_descriptor);
    return descriptor == NULL ? MP_EINVAL : descriptor(item->object);
}

static int prepare_connection(const mp_waitable *item)
{
    mp_connection *c = item->object;
    int rc = mp__connection_enter(c, wanted(item) & MP_READ, wanted(item) & MP_WRITE);
    return rc < 0 ? rc : c->fd;
}

/* Returns the descriptor to poll, or a code. */
static int prepare(const mp_waitable *item)
{
    if (item->events & ~(MP_READ | MP_WRITE))
        return MP_EINVAL;
    switch (item->kind) {
    case MP_WAIT_FD:
        return item->fd < 0 ? MP_EINVAL : item->fd;
    case MP_WAIT_CONNECTION:
        return item->object == NULL ? MP_EINVAL : prepare_connection(item);
    case MP_WAIT_PROCESS:
        return item->object == NULL ? MP_EINVAL : prepare_process(item);
    default:
        return MP_EINVAL;
    }
}

static void leave_all(const mp_waitable *items, int count)
{
    for (int i = 0; i < count; i++)
        if (items[i].kind == MP_WAIT_CONNECTION)
            mp__connection_leave(items[i].object);
}

/* Fills the list; on failure nothing is entered. */
static int prepare_all(mp_waitable *items, int count, struct pollfd *list)
{
    for (int i = 0; i < count; i++)
        items[i].revents = 0;
    for (int i = 0; i < count; i++) {
        int fd = prepare(&items[i]);
        if (fd < 0) {
            leave_all(items, i);
            return fd;
        }
        int events = wanted(&items[i]);
        list[i] = (struct pollfd){
            .fd = fd,
            .events = (short)((events & MP_READ ? POLLIN : 0) | (events & MP_WRITE ? POLLOUT : 0))};
    }
    return 0;
}

/* What poll() does not see. Returns 1 if something is ready that way, 0, or MP_ECLOSED. */
static int look(const mp_waitable *items, int count, bool *ready)
{
    *ready = false;
    for (int i = 0; i < count; i++) {
        if (items[i].kind != MP_WAIT_CONNECTION)
            continue;
        mp_connection *c = items[i].object;
        if (mp__connection_is_closed(c))
            return MP_ECLOSED;
        if ((wanted(&items[i]) & MP_READ) && c->transport->pending(c))
            *ready = true;
    }
    return 0;
}

static int found(const mp_waitable *item, short revents)
{
    int events = 0;
    if (revents & (POLLIN | POLLHUP | POLLERR))
        events |= MP_READ;
    if (revents & (POLLOUT | POLLHUP | POLLERR))
        events |= MP_WRITE;
    if (item->kind == MP_WAIT_CONNECTION) {
        mp_connection *c = item->object;
        if ((wanted(item) & MP_READ) && c->transport->pending(c))
            events |= MP_READ;
    }
    return events & wanted(item);
}

/* Returns how many are ready, or a code. */
static int mark(mp_waitable *items, int count, const struct pollfd *list)
{
    int ready = 0;
    for (int i = 0; i < count; i++)
        if (list[i].revents & POLLNVAL)
            return items[i].kind == MP_WAIT_CONNECTION ? MP_ESYS(EBADF) : MP_EINVAL;
    for (int i = 0; i < count; i++) {
        items[i].revents = found(&items[i], list[i].revents);
        ready += items[i].revents != 0;
    }
    return ready;
}

static int wait_prepared(mp_waitable *items, int count, struct pollfd *list, mp__deadline until)
{
    for (;;) {
        bool ready;
        int rc = look(items, count, &ready);
        if (rc == 0)
            rc = mp__poll(list, count, ready ? MP__AT_ONCE : mp__deadline_look_again(until));
        if (rc < 0)
            return rc;
        rc = mark(items, count, list);
        if (rc == 0 && mp__deadline_passed(until))
            return look(items, count, &ready); /* closed at the last moment, or 0 */
        if (rc != 0)
            return rc;
    }
}

int mp_wait(mp_waitable *items, int count, double timeout)
{
    mp__deadline until;
    if (count < 0 || (items == NULL && count > 0) || mp__deadline_in(timeout, &until) < 0)
        return MP_EINVAL;

    struct pollfd few[FEW];
    struct pollfd *list = count <= FEW ? few : malloc((size_t)count * sizeof *list);
    if (list == NULL)
        return MP_ENOMEM;
    int rc = prepare_all(items, count, list);
    if (rc == 0) {
        if (until.ns != 0 && mp__interrupted())
            rc = MP_EINTR;
        else
            rc = wait_prepared(items, count, list, until);
        leave_all(items, count);
    }
    if (list != few)
        free(list);
    return rc;
}
