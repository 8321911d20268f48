/* SPDX-License-Identifier: MIT */
/*
 * Why it is right: a child's state goes from started to ended once, under the registry's lock, by
 * the thread that gets the status from the kernel; the exit code is stored before the state. So
 * several threads may join the same child, and look at it meanwhile. Nobody sleeps under the
 * lock: a joiner sleeps on the pidfd, which lives until the handle is freed, and looks again. The
 * pidfd may be ready a little before the status is (a child under a debugger, one that the kernel
 * is still reaping by itself): then the joiner naps and looks again.
 */
#include "proc/reap.h"

#include "os/clock.h"
#include "os/poller.h"
#include "os/probe.h"
#include "proc/registry.h"

#include <mproc/error.h>

#define NAP_NS MP__NS_PER_MS

bool mp__reap_locked(mp_process *p)
{
    if (mp__process_get_state(p) != MP__PROCESS_STARTED)
        return false;
    int code = mp__child_reap(&p->child);
    if (code == MP_NO_EXITCODE)
        return true;
    mp__store_relaxed(&p->exitcode, mp__record_exitcode(p->record, code));
    mp__process_set_state(p, MP__PROCESS_ENDED);
    MP_PROBE2(process__end, p->child.pid, p->exitcode);
    mp__lifeline_drop(&p->line);
    return false;
}

bool mp__reap_look(mp_process *p)
{
    mp__registry_lock();
    bool runs = mp__reap_locked(p);
    mp__registry_unlock();
    return runs;
}

int mp__reap_all(mp_process **running, int capacity)
{
    int count = 0;
    mp__registry_lock();
    mp__list_for_each (link, &mp__registry_children) {
        mp_process *p = mp__container(link, mp_process, link);
        if (!mp__reap_locked(p))
            continue;
        if (count < capacity)
            running[count] = p;
        count++;
    }
    mp__registry_unlock();
    return count;
}

int mp__reap_sentinel(mp_process *p)
{
    mp__registry_lock();
    int fd = mp__owned_fd(&p->child.sentinel);
    if (fd < 0 && mp__reap_locked(p))
        fd = mp__child_sentinel(&p->child);
    if (fd < 0 && mp__process_get_state(p) == MP__PROCESS_ENDED) {
        mp__child_drop(&p->child); /* somebody has closed it, and there is no process any more */
        fd = mp__child_watch_nobody(&p->child.sentinel);
        if (fd == 0)
            fd = mp__owned_fd(&p->child.sentinel);
    }
    mp__registry_unlock();
    return fd;
}

void mp__reap_nap(mp__deadline until)
{
    mp__poll(NULL, 0, mp__deadline_min(until, mp__deadline_in_ns(NAP_NS)));
}

int mp__reap_wait(mp_process *p, mp__deadline until)
{
    while (mp__reap_look(p)) {
        int fd = mp__reap_sentinel(p);
        int ready = fd < 0 ? 1 : mp__poll_one(fd, POLLIN, until);
        if (ready < 0 && ready != MP_EINVAL) /* that is: closed meanwhile */
            return ready;
        if (ready == 0)
            return mp__reap_look(p) ? MP_ETIMEDOUT : 0;
        if (!mp__reap_look(p))
            return 0;
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        mp__reap_nap(until);
    }
    return 0;
}

bool mp__reap_forget(mp_process *p)
{
    mp__registry_lock();
    bool runs = mp__process_get_state(p) == MP__PROCESS_STARTING || mp__reap_locked(p);
    if (!runs)
        mp__list_remove(&p->link);
    mp__registry_unlock();
    if (runs)
        return false;
    mp__child_drop(&p->child);
    mp__lifeline_drop(&p->line);
    mp__record_free(p->record);
    p->record = NULL;
    return true;
}
