/* SPDX-License-Identifier: MIT */
#include "pool/badge.h"

#include "os/servant.h"
#include "pool/worker.h"
#include "proc/entry.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdio.h>

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

int mp__badge_make(mp__badge *badge, const mp__pool_plan *plan, unsigned number)
{
    char name[256], identity[32];
    snprintf(name, sizeof name, "%s-%u", plan->name, number);
    snprintf(identity, sizeof identity, "%u", number);
    int rc = need_program(badge, plan);
    if (rc < 0)
        return rc;
    badge->self = mp__process_new("Process", name, identity);
    if (badge->self == NULL)
        return MP_ENOMEM;
    badge->self->daemon = true;
    badge->self->tied = true;
    mp__store_relaxed(&badge->self->parent_pid, plan->program_pid);
    return 0;
}

void mp__badge_discard(mp__badge *badge)
{
    mp__process_discard(badge->self);
    badge->self = NULL;
}

void mp__badge_wear(const mp__badge *badge)
{
    mp__entry_begin_prepared(badge->self, badge->program);
    mp__process_tie_children();
}
