/* SPDX-License-Identifier: MIT */
/* Starting a child: everything that can fail is done before the fork, or while the child still
 * waits at its gate (proc/record.c), so that a failure leaves nothing behind. */
#include "os/probe.h"
#include "os/stdio.h"
#include "os/thread.h"
#include "proc/entry.h"
#include "proc/reap.h"
#include "proc/registry.h"

#include <mproc/error.h>

/* One thread starts it. */
static bool claim(mp_process *p)
{
    if (mp__registry_role(p) != MP__ROLE_CHILD)
        return false;
    mp__registry_lock();
    bool mine = mp__process_get_state(p) == MP__PROCESS_INITIAL;
    if (mine)
        mp__process_set_state(p, MP__PROCESS_STARTING);
    mp__registry_unlock();
    return mine;
}

/* *origin: this process, as the child will see it. */
static int prepare(mp_process *p, mp_process **origin)
{
    const mp_process *self = mp__registry_current();
    *origin = mp__process_new_parent(mp__process_id(), self->name);
    if (*origin == NULL)
        return MP_ENOMEM;
    int rc = mp_init();
    if (rc >= 0)
        rc = mp__record_create(&p->record);
    p->tied = p->daemon || mp__registry_ties_children();
    if (rc >= 0 && p->tied)
        rc = mp__lifeline_prepare(&p->line);
    return rc;
}

/* The child is there and waits. */
static int admit(mp_process *p)
{
    int rc = mp__child_watch(&p->child);
    if (rc < 0) {
        mp__record_open(p->record, false);
        mp__child_abandon(&p->child);
        return rc;
    }
    mp__registry_lock();
    mp__list_append(&mp__registry_children, &p->link);
    mp__store_release(&p->pid, p->child.pid);
    mp__process_set_state(p, MP__PROCESS_STARTED);
    mp__registry_unlock();
    mp__record_open(p->record, true);
    MP_PROBE1(process__start, p->child.pid);
    return 0;
}

static void undo(mp_process *p)
{
    mp__lifeline_drop(&p->line);
    mp__record_free(p->record);
    p->record = NULL;
    mp__process_set_state(p, MP__PROCESS_INITIAL);
}

int mp_process_start(mp_process *p)
{
    if (p == NULL)
        return MP_EINVAL;
    if (!claim(p))
        return MP_ESTATE;
    mp__reap_all(NULL, 0);

    mp_process *origin = NULL;
    int rc = prepare(p, &origin);
    if (rc >= 0) {
        mp__stdio_flush();
        rc = mp__child_fork(&p->child);
        if (rc == 0)
            mp__entry_run(p, origin);
        if (rc > 0)
            rc = admit(p);
        mp__lifeline_sent(&p->line);
    }
    mp__process_discard(origin);
    if (rc < 0)
        undo(p);
    return rc;
}
