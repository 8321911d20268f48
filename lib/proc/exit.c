/* SPDX-License-Identifier: MIT */
/*
 * At exit other threads may still run, and start or free processes. So nothing is remembered from
 * one look to the next: each round takes the first child that still runs, sleeps on its sentinel
 * for at most the time after which sleeps look again, and begins anew. A handle that was freed in
 * between is then gone from the list, and a descriptor number that was used again costs one such
 * sleep.
 */
#include "proc/exit.h"

#include "os/clock.h"
#include "os/guard.h"
#include "os/poller.h"
#include "os/signals.h"
#include "proc/reap.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdlib.h>

#define GRACE_NS (5 * MP__NS_PER_S)

static mp__exit_hook *hooks;

void mp__exit_add(mp__exit_hook *hook)
{
    mp__registry_lock();
    mp__exit_hook *h = hooks;
    while (h != NULL && h != hook)
        h = h->next;
    if (h == NULL) {
        hook->next = hooks;
        hooks = hook;
    }
    mp__registry_unlock();
}

static void signal_tied(int number)
{
    mp__registry_lock();
    mp__list_for_each (link, &mp__registry_children) {
        mp_process *p = mp__container(link, mp_process, link);
        if (p->tied && mp__reap_locked(p))
            mp__child_signal(&p->child, number);
    }
    mp__registry_unlock();
}

/* The first running child of a kind: false if there is none. */
static bool first_running(bool tied, int *sentinel)
{
    bool found = false;
    mp__registry_lock();
    mp__list_for_each (link, &mp__registry_children) {
        mp_process *p = mp__container(link, mp_process, link);
        if (p->tied != tied || !mp__reap_locked(p))
            continue;
        *sentinel = mp__child_sentinel(&p->child);
        found = true;
        break;
    }
    mp__registry_unlock();
    return found;
}

/* Joins all of a kind. Returns false if the deadline came first. */
static bool join_all(bool tied, mp__deadline until)
{
    int fd;
    while (first_running(tied, &fd)) {
        if (mp__deadline_passed(until))
            return false;
        if (fd < 0 || mp__poll_one(fd, POLLIN, mp__deadline_look_again(until)) != 0)
            if (first_running(tied, &fd))
                mp__reap_nap(until);
    }
    return true;
}

/* The shared records would outlive this process, which is perhaps not the family's last. */
static void free_records(void)
{
    for (;;) {
        mp__record *record = NULL;
        mp__registry_lock();
        mp__list_for_each (link, &mp__registry_children) {
            mp_process *p = mp__container(link, mp_process, link);
            if (p->record != NULL && !mp__reap_locked(p)) {
                record = p->record;
                p->record = NULL;
                break;
            }
        }
        mp__registry_unlock();
        if (record == NULL)
            return;
        mp__record_free(record);
    }
}

void mp__exit_run(void)
{
    if (!mp__registry_is_ours())
        return;
    for (mp__exit_hook *h = hooks; h != NULL; h = h->next)
        h->run();
    signal_tied(SIGTERM);
    if (!join_all(true, mp__deadline_in_ns(GRACE_NS))) {
        signal_tied(SIGKILL);
        join_all(true, MP__NEVER);
    }
    join_all(false, MP__NEVER);
    free_records();
}

int mp__exit_install(void)
{
    return atexit(mp__exit_run) == 0 ? 0 : MP_ENOMEM;
}
