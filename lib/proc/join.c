/* SPDX-License-Identifier: MIT */
/* Waiting for processes and asking for their state: children, and the parent. */
#include "os/clock.h"
#include "os/interrupt.h"
#include "os/poller.h"
#include "os/signals.h"
#include "proc/reap.h"
#include "proc/registry.h"

#include <mproc/error.h>

/* The object of the parent: its sentinel is opened when somebody asks. MP_ESYS(ENOSYS) without
 * pidfds. */
static int parent_sentinel(mp_process *p)
{
    mp__registry_lock();
    int rc = 0;
    if (mp__owned_fd(&p->child.sentinel) < 0) {
        mp__owned_close(&p->child.sentinel);
        if (mp__process_get_state(p) == MP__PROCESS_STARTED)
            rc = mp__child_watch_parent(&p->child.sentinel, mp__load_relaxed(&p->pid));
        if (rc == MP_ESYS(ESRCH))
            mp__process_set_state(p, MP__PROCESS_ENDED);
        if (mp__process_get_state(p) == MP__PROCESS_ENDED)
            rc = mp__child_watch_nobody(&p->child.sentinel);
    }
    if (rc == 0)
        rc = mp__owned_fd(&p->child.sentinel);
    mp__registry_unlock();
    return rc;
}

static int parent_wait(mp_process *p, mp__deadline until)
{
    while (mp__process_get_state(p) != MP__PROCESS_ENDED) {
        int fd = parent_sentinel(p);
        int ready = fd >= 0 ? mp__poll_one(fd, POLLIN, until) : 0;
        if (ready > 0)
            mp__process_set_state(p, MP__PROCESS_ENDED);
        else if (fd < 0 && mp__child_parent_id() != mp__load_relaxed(&p->pid))
            mp__process_set_state(p, MP__PROCESS_ENDED);
        else if (ready < 0 && ready != MP_EINVAL)
            return ready;
        else if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        else if (fd < 0)
            mp__reap_nap(until);
    }
    return 0;
}

int mp_process_join(mp_process *p, double timeout)
{
    mp__deadline until;
    if (p == NULL || mp__deadline_in(timeout, &until) < 0)
        return MP_EINVAL;
    enum mp__role role = mp__registry_role(p);
    if (role == MP__ROLE_SELF || role == MP__ROLE_FOREIGN)
        return MP_ESTATE;
    if (mp__process_get_state(p) < MP__PROCESS_STARTED)
        return MP_ESTATE;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    return role == MP__ROLE_PARENT ? parent_wait(p, until) : mp__reap_wait(p, until);
}

bool mp_process_is_alive(const mp_process *process)
{
    mp_process *p = (mp_process *)process; /* looking reaps */
    if (p == NULL)
        return false;
    switch (mp__registry_role(p)) {
    case MP__ROLE_SELF:
        return true;
    case MP__ROLE_PARENT:
        return parent_wait(p, MP__AT_ONCE) == MP_ETIMEDOUT;
    case MP__ROLE_CHILD:
        return mp__reap_look(p);
    case MP__ROLE_FOREIGN:
        break;
    }
    return false;
}

int mp_process_exitcode(const mp_process *process)
{
    mp_process *p = (mp_process *)process; /* looking reaps */
    if (p == NULL || mp__registry_role(p) != MP__ROLE_CHILD || mp__reap_look(p))
        return MP_NO_EXITCODE;
    return mp__load_relaxed(&p->exitcode);
}

int mp_process_sentinel(const mp_process *process)
{
    mp_process *p = (mp_process *)process; /* a lost descriptor is made anew */
    if (p == NULL)
        return MP_EINVAL;
    enum mp__role role = mp__registry_role(p);
    if (role == MP__ROLE_SELF || role == MP__ROLE_FOREIGN)
        return MP_ESTATE;
    if (mp__process_get_state(p) < MP__PROCESS_STARTED)
        return MP_ESTATE;
    return role == MP__ROLE_PARENT ? parent_sentinel(p) : mp__reap_sentinel(p);
}

int mp_active_children(mp_process **children, int capacity)
{
    if (capacity < 0 || (children == NULL && capacity > 0))
        return MP_EINVAL;
    return mp__reap_all(children, capacity);
}

static int send(mp_process *p, int number)
{
    if (p == NULL)
        return MP_EINVAL;
    enum mp__role role = mp__registry_role(p);
    if (role == MP__ROLE_SELF)
        return mp__signal_self(number);
    if (role != MP__ROLE_CHILD || mp__process_get_state(p) < MP__PROCESS_STARTED)
        return MP_ESTATE;
    mp__registry_lock();
    int rc = mp__reap_locked(p) ? mp__child_signal(&p->child, number) : 0;
    mp__registry_unlock();
    return rc;
}

int mp_process_terminate(mp_process *p)
{
    return send(p, SIGTERM);
}

int mp_process_kill(mp_process *p)
{
    return send(p, SIGKILL);
}

int mp_process_interrupt(mp_process *p)
{
    return send(p, SIGINT);
}
