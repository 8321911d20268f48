/* SPDX-License-Identifier: MIT */
#include "pool/badge.h"

#include "os/servant.h"
#include "pool/worker.h"
#include "proc/entry.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE     256
#define IDENTITY_SIZE 32

/* The program lives: the supervisor, without which its workers would be killed, watches it. One
 * object serves all workers, and the sentinel goes to each. */
static int need_program(mp__badge *badge, const mp__pool_plan *plan)
{
    int rc = 0;
    if (badge->program == NULL) {
        badge->program = mp__process_new_parent(plan->program_pid, plan->program);
        if (badge->program == NULL)
            return MP_ENOMEM;
        rc = mp__servant_watch_program(&badge->program->child.sentinel, plan->program_pid);
    }
    if (rc == 0) {
        mp__owned_lock();
        mp__owned_bequeath(&badge->program->child.sentinel);
        mp__owned_unlock();
    }
    return rc;
}

/* One object serves all workers, too: its name is written over for each. */
static int need_self(mp__badge *badge, const mp__pool_plan *plan)
{
    char name[NAME_SIZE], identity[IDENTITY_SIZE];
    if (badge->self != NULL)
        return 0;
    memset(name, '-', sizeof name); /* room for any */
    memset(identity, '-', sizeof identity);
    name[NAME_SIZE - 1] = identity[IDENTITY_SIZE - 1] = '\0';
    badge->self = mp__process_new("Process", name, identity);
    if (badge->self == NULL)
        return MP_ENOMEM;
    badge->self->daemon = true;
    badge->self->tied = true;
    mp__store_relaxed(&badge->self->parent_pid, plan->program_pid);
    return 0;
}

int mp__badge_make(mp__badge *badge, const mp__pool_plan *plan, unsigned number)
{
    int rc = need_program(badge, plan);
    if (rc == 0)
        rc = need_self(badge, plan);
    if (rc < 0)
        return rc;
    snprintf(badge->self->name, NAME_SIZE, "%s-%u", plan->name, number);
    snprintf(badge->self->identity, IDENTITY_SIZE, "%u", number);
    return 0;
}

void mp__badge_wear(const mp__badge *badge)
{
    mp__entry_begin_prepared(badge->self, badge->program);
    mp__process_tie_children();
}
