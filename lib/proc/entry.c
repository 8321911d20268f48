/* SPDX-License-Identifier: MIT */
/*
 * The fence: exit() calls handlers in the reverse order of their registration, so an on_exit
 * handler that is registered first in the child is called after all that the child registers and
 * before any that its parent did; and it never returns.
 */
#include "proc/entry.h"

#include "os/fd.h"
#include "os/probe.h"
#include "os/stdio.h"
#include "os/thread.h"
#include "proc/exit.h"
#include "proc/registry.h"

#include <stdlib.h>

/* Whose exit status goes where: a plainly forked child inherits the fence, but not the record. */
static struct {
    int pid;
    pid_t parent;
    mp__record *record;
} entered;

static void fence(int status, void *arg)
{
    (void)arg;
    mp__exit_run();
    mp__stdio_finish();
    if (entered.record != NULL && entered.pid == mp__process_id())
        mp__record_settle(entered.record, entered.parent, status);
    MP_PROBE1(process__exit, status);
    mp__child_leave(status);
}

static void become(mp_process *self, mp_process *parent, mp__record *record)
{
    entered.pid = mp__process_id();
    entered.parent = mp__child_parent_id();
    entered.record = record;
    mp__registry_become(self, parent);
}

int mp__entry_prepare(void)
{
    mp__fd_stdin_null();
    return mp__child_at_exit(fence);
}

void mp__entry_begin_prepared(mp_process *self, mp_process *parent)
{
    become(self, parent, NULL);
}

void mp__entry_begin(mp_process *self, mp_process *parent, mp__record *record)
{
    become(self, parent, record);
    if (mp__entry_prepare() < 0)
        fence(EXIT_FAILURE, NULL); /* better not to run than to run the parent's handlers */
}

static int result_of(mp_process *self)
{
    if (self->run != NULL)
        return self->run(self);
    return self->target != NULL ? self->target(self->arg) : 0;
}

_Noreturn void mp__entry_run(mp_process *self, mp_process *parent)
{
    pid_t parent_pid = mp__load_relaxed(&self->parent_pid);
    mp__stdio_disown();
    if (self->tied)
        mp__lifeline_arm(&self->line, parent_pid);
    if (!mp__record_wait(self->record, parent_pid))
        mp__child_leave(EXIT_FAILURE);
    mp__entry_begin(self, parent, self->record);
    exit(result_of(self));
}
