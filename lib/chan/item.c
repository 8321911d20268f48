/* SPDX-License-Identifier: MIT */
#include "chan/item.h"

#include "chan/connection.h"
#include "chan/ready.h"
#include "chan/wait.h"
#include "sync/event.h"
#include "sync/fileno.h"

#include <mproc/error.h>

typedef int descriptor_of(const void *process);
static _Atomic(descriptor_of *) process_descriptor;
static _Atomic(const mp__wait_results *) results;

void mp__wait_set_process_descriptor(int (*descriptor)(const void *process))
{
    mp__store_release(&process_descriptor, descriptor); /* pairs with the load in begin_process() */
}

void mp__wait_set_results(const mp__wait_results *r)
{
    mp__store_release(&results, r); /* pairs with the load below */
}

const mp__wait_results *mp__wait_get_results(void)
{
    return mp__load_acquire(&results);
}

int mp__item_wanted(const mp_waitable *item)
{
    return item->events == 0 ? MP_READ : item->events;
}

static int begin_process(const mp_waitable *item)
{
    descriptor_of *descriptor = mp__load_acquire(&process_descriptor);
    return descriptor == NULL ? MP_EINVAL : descriptor(item->object);
}

static int begin_connection(const mp_waitable *item)
{
    mp_connection *c = item->object;
    int wanted = mp__item_wanted(item);
    int rc = mp__connection_enter(c, wanted & MP_READ, wanted & MP_WRITE);
    return rc < 0 ? rc : c->fd;
}

static int begin_queue(const mp_waitable *item)
{
    const mp_queue *q = item->object;
    if (!mp__queue_is(q))
        return MP_EINVAL;
    return (mp__item_wanted(item) & MP_WRITE) && q->ring.capacity != 0 ? MP_EINVAL : 0;
}

static int find_result(const mp_waitable *item, mp__doorbells **bells)
{
    const mp__wait_results *r = mp__load_acquire(&results);
    return r == NULL ? MP_EINVAL : r->find(item->object, bells);
}

int mp__item_begin(const mp_waitable *item, int *fd)
{
    mp__doorbells *bells;
    int rc = MP_EINVAL;
    *fd = MP__ITEM_NO_DESCRIPTOR;
    if (item->events & ~(MP_READ | MP_WRITE))
        return MP_EINVAL;
    if (item->kind != MP_WAIT_FD && item->object == NULL)
        return MP_EINVAL;
    bool only_read = mp__item_wanted(item) == MP_READ;
    switch (item->kind) {
    case MP_WAIT_FD:
        rc = *fd = item->fd < 0 ? MP_EINVAL : item->fd;
        break;
    case MP_WAIT_CONNECTION:
        rc = *fd = begin_connection(item);
        break;
    case MP_WAIT_PROCESS:
        rc = *fd = only_read ? begin_process(item) : MP_EINVAL;
        break;
    case MP_WAIT_QUEUE:
        rc = begin_queue(item);
        break;
    case MP_WAIT_EVENT:
        rc = only_read && mp__event_doorbells(item->object) != NULL ? 0 : MP_EINVAL;
        break;
    case MP_WAIT_RESULT:
        rc = only_read ? find_result(item, &bells) : MP_EINVAL;
        break;
    default:
        break;
    }
    return rc < 0 ? rc : 0;
}

void mp__item_end(const mp_waitable *item)
{
    if (item->kind == MP_WAIT_CONNECTION)
        mp__connection_leave(item->object);
}

bool mp__item_is_polled(const mp_waitable *item)
{
    return item->kind == MP_WAIT_FD || item->kind == MP_WAIT_PROCESS;
}

static int look_at_connection(const mp_waitable *item)
{
    mp_connection *c = item->object;
    if (mp__connection_is_closed(c))
        return MP_ECLOSED;
    return (mp__item_wanted(item) & MP_READ) && c->transport->pending(c) ? MP_READ : 0;
}

static int look_at_queue(const mp_waitable *item)
{
    const mp_queue *q = item->object;
    int wanted = mp__item_wanted(item), found = 0;
    if ((wanted & MP_READ) && mp__queue_is_readable(q))
        found = MP_READ;
    else if (wanted & MP_READ)
        mp__fileno_settle(&q->arrivals);
    if ((wanted & MP_WRITE) && mp__queue_is_writable(q))
        found |= MP_WRITE;
    return found;
}

int mp__item_look(const mp_waitable *item)
{
    switch (item->kind) {
    case MP_WAIT_CONNECTION:
        return look_at_connection(item);
    case MP_WAIT_QUEUE:
        return look_at_queue(item);
    case MP_WAIT_EVENT:
        return mp_event_is_set(item->object) ? MP_READ : 0;
    case MP_WAIT_RESULT:
        return mp__load_acquire(&results)->ready(item->object) ? MP_READ : 0;
    default:
        return 0;
    }
}

bool mp__item_is_urgent(const mp_waitable *item)
{
    return item->kind == MP_WAIT_QUEUE && (mp__item_wanted(item) & MP_READ) &&
           mp__queue_is_being_put(item->object) &&
           !mp__robust_reclaim(&((mp_queue *)item->object)->ring.put_lock.word);
}

int mp__item_bells(const mp_waitable *item, mp__doorbells *bells[MP__ITEM_BELLS])
{
    mp_queue *q = item->object;
    int n = 0;
    switch (item->kind) {
    case MP_WAIT_QUEUE:
        if (mp__item_wanted(item) & MP_READ)
            bells[n++] = &q->arrivals;
        if (mp__item_wanted(item) & MP_WRITE)
            bells[n++] = &q->departures;
        return n;
    case MP_WAIT_EVENT:
        bells[0] = mp__event_doorbells(item->object);
        return bells[0] != NULL;
    case MP_WAIT_RESULT:
        return find_result(item, &bells[0]) == 0;
    default:
        return 0;
    }
}
