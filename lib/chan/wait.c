/* SPDX-License-Identifier: MIT */
/*
 * mp_wait(): one poll() over all descriptors, and, if there are things without one (queues, events,
 * results: chan/item.c), over one more: a socket that is registered with all of their doorbells for
 * as long as the call waits (sync/doorbell.h). A call that finds something at once does not come so
 * far.
 *
 * Each round looks at everything before it polls. Registering and, when the socket was rung,
 * draining it and arming anew, come before the look; so what happens after a look that finds
 * nothing rings. A queue whose put_lock is held at that time is looked at again within a
 * millisecond (chan/ready.c). Everything is looked at at least every 100 ms: for those who died, or
 * could not ring, after the change.
 *
 * Connections are entered for as long as it lasts, so that none of their descriptors is closed
 * under it, and looked at likewise: whether another thread closed one, and whether one has received
 * what poll() does not see.
 */
#include "chan/wait.h"

#include "base/deadline.h"
#include "chan/item.h"
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/poller.h"
#include "sync/ear.h"

#include <mproc/error.h>
#include <stdlib.h>

#define FEW          64 /* so many stand on the stack */
#define PUT_TAKES_NS MP__NS_PER_MS

/* A registration with a doorbell. */
typedef struct seat {
    mp__doorbells *bells;
    mp__doorplate *plate;
} seat;

typedef struct wait {
    mp_waitable *items;
    int count;
    struct pollfd *list; /* one for each, and one for the ear */
    mp__deadline until;
    int unpolled; /* items that want an ear */
    mp__ear *ear; /* NULL: not registered */
    seat *seats;
    int seated;
} wait;

static void end_items(const wait *w, int count)
{
    for (int i = 0; i < count; i++)
        mp__item_end(&w->items[i]);
}

/* Fills the list; on failure nothing is entered. */
static int begin_items(wait *w)
{
    for (int i = 0; i < w->count; i++)
        w->items[i].revents = 0;
    for (int i = 0; i < w->count; i++) {
        int fd;
        int rc = mp__item_begin(&w->items[i], &fd);
        if (rc < 0) {
            end_items(w, i);
            return rc;
        }
        int events = mp__item_wanted(&w->items[i]);
        w->list[i] = (struct pollfd){
            .fd = fd,
            .events = (short)((events & MP_READ ? POLLIN : 0) | (events & MP_WRITE ? POLLOUT : 0))};
        w->unpolled += fd == MP__ITEM_NO_DESCRIPTOR;
    }
    w->list[w->count] = (struct pollfd){.fd = -1, .events = POLLIN};
    return 0;
}

/* ---- Doorbells. */

static void leave_bells(wait *w)
{
    if (w->ear == NULL)
        return;
    for (int i = 0; i < w->seated; i++)
        mp__doorplate_leave(w->seats[i].plate, w->ear->name);
    free(w->seats);
    mp__ear_return(w->ear);
    w->ear = NULL;
}

static void arm_all(const wait *w)
{
    for (int i = 0; i < w->seated; i++)
        mp__doorplate_arm(w->seats[i].bells, w->seats[i].plate);
}

static int join_item(wait *w, const mp_waitable *item)
{
    mp__doorbells *bells[MP__ITEM_BELLS];
    int n = mp__item_bells(item, bells), rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        seat *s = &w->seats[w->seated];
        s->bells = bells[i];
        rc = mp__doorbells_join(s->bells, w->ear->name, false, &s->plate);
        w->seated += rc == 0;
    }
    return rc;
}

static int join_bells(wait *w)
{
    seat *seats = calloc((size_t)w->unpolled * MP__ITEM_BELLS, sizeof *seats);
    if (seats == NULL)
        return MP_ENOMEM;
    int rc = mp__ear_borrow(&w->ear);
    if (rc < 0) {
        free(seats);
        return rc;
    }
    w->seats = seats;
    for (int i = 0; i < w->count && rc == 0; i++)
        rc = join_item(w, &w->items[i]);
    if (rc == 0) {
        arm_all(w);
        w->list[w->count].fd = w->ear->socket.fd;
    }
    return rc;
}

/* If it was rung, what comes after this rings again. */
static void heed(wait *w)
{
    struct pollfd *p = &w->list[w->count];
    if (p->fd < 0 || p->revents == 0)
        return;
    if (mp__datagram_drain(p->fd))
        arm_all(w);
    else if (p->revents &
             POLLNVAL) /* somebody has closed it: there is still the look every 100 ms */
        p->fd = -1;
}

/* ---- Looking and polling. */

/* What poll() does not see. Returns 1 if something is ready that way, 0, or MP_ECLOSED. */
static int look(const wait *w, mp__deadline *next)
{
    int ready = 0;
    *next = mp__deadline_look_again(w->until);
    for (int i = 0; i < w->count; i++) {
        if (mp__item_is_polled(&w->items[i]))
            continue;
        /* Before the look: a put that has ended by then is seen. */
        if (w->ear != NULL && mp__item_is_urgent(&w->items[i]))
            *next = mp__deadline_min(*next, mp__deadline_in_ns(PUT_TAKES_NS));
        int found = mp__item_look(&w->items[i]);
        if (found < 0)
            return found;
        w->items[i].revents = found;
        ready |= found != 0;
    }
    return ready;
}

static int polled(const mp_waitable *item, short revents)
{
    int events = 0;
    if (revents & (POLLIN | POLLHUP | POLLERR))
        events |= MP_READ;
    if (revents & (POLLOUT | POLLHUP | POLLERR))
        events |= MP_WRITE;
    return events & mp__item_wanted(item);
}

/* Returns how many are ready, or a code. */
static int mark(const wait *w)
{
    int ready = 0;
    for (int i = 0; i < w->count; i++)
        if (w->list[i].revents & POLLNVAL)
            return w->items[i].kind == MP_WAIT_CONNECTION ? MP_ESYS(EBADF) : MP_EINVAL;
    for (int i = 0; i < w->count; i++) {
        int unpolled = mp__item_is_polled(&w->items[i]) ? 0 : w->items[i].revents;
        w->items[i].revents = unpolled | polled(&w->items[i], w->list[i].revents);
        ready += w->items[i].revents != 0;
    }
    return ready;
}

/* One round. Returns how many are ready, or a code. */
static int look_and_poll(const wait *w, bool at_once)
{
    mp__deadline next;
    int ready = look(w, &next);
    if (ready < 0)
        return ready;
    int rc = mp__poll(w->list, w->count + 1, ready || at_once ? MP__AT_ONCE : next);
    return rc < 0 ? rc : mark(w);
}

static int wait_begun(wait *w)
{
    /* Who has to be registered tries at first without. */
    int rc = look_and_poll(w, w->unpolled > 0);
    if (rc == 0 && w->unpolled > 0 && !mp__deadline_passed(w->until))
        rc = join_bells(w);
    while (rc == 0 && !mp__deadline_passed(w->until)) {
        rc = look_and_poll(w, false);
        if (rc == 0)
            heed(w);
    }
    if (rc == 0 && w->until.ns != 0)
        rc = look_and_poll(w, true); /* what has come at the last moment */
    leave_bells(w);
    return rc;
}

int mp__wait_for(mp_waitable *items, int count, mp__deadline until)
{
    wait w = {.items = items, .count = count, .until = until};
    struct pollfd few[FEW];
    w.list = count < FEW ? few : malloc(((size_t)count + 1) * sizeof *w.list);
    if (w.list == NULL)
        return MP_ENOMEM;
    int rc = begin_items(&w);
    if (rc == 0) {
        rc = w.until.ns != 0 && mp__interrupted() ? MP_EINTR : wait_begun(&w);
        end_items(&w, count);
    }
    if (w.list != few)
        free(w.list);
    return rc;
}

int mp_wait(mp_waitable *items, int count, double timeout)
{
    mp__deadline until;
    if (count < 0 || (items == NULL && count > 0) || mp__deadline_in(timeout, &until) < 0)
        return MP_EINVAL;
    const mp__wait_results *r = mp__wait_get_results();
    if (r != NULL && mp__load_relaxed(r->following) != 0)
        return mp__wait_and_follow(r, items, count, until);
    return mp__wait_for(items, count, until);
}
