/* SPDX-License-Identifier: MIT */
/*
 * Every process has a generation: a number that its forked children, whoever forks them, find
 * raised by one. Objects carry the generation of their creator; so none of a process's ancestors
 * has the same, and an object of another process is told without comparing process ids, which are
 * used again.
 */
#include "proc/registry.h"

#include "chan/wait.h"
#include "os/atfork.h"
#include "os/guard.h"
#include "os/owned.h"
#include "os/thread.h"
#include "proc/exit.h"

#include <mproc/error.h>

mp__link mp__registry_children = MP__LIST(mp__registry_children);

static mp__link inherited = MP__LIST(inherited); /* so that leak checkers find them */
static mp__guard guard = MP__GUARD_INITIALIZER;
static bool ready;
static int owner; /* the process whose memory this is */
uint64_t mp__registry_generations = 1;
static _Atomic unsigned created;
static bool ties_children;
static mp_process *self, *parent;

void mp__registry_lock(void)
{
    mp__guard_lock(&guard);
}

void mp__registry_unlock(void)
{
    mp__guard_unlock(&guard);
}

/* The handles of the parent's children are the program's memory still. */
static void inherit(void)
{
    mp__list_for_each (link, &mp__registry_children) {
        mp__list_remove(link);
        mp__list_append(&inherited, link);
    }
}

/* A child that the library did not start: it has its parent's name, and no parent of its own. If
 * the library did, mp__registry_become() follows. */
static void after_fork(void)
{
    mp__registry_generations++;
    owner = mp__process_id();
    mp__store_relaxed(&created, 0);
    ties_children = false;
    inherit();
    parent = NULL;
    if (self != NULL) {
        self->generation = mp__registry_generations;
        self->daemon = false;
        mp__store_relaxed(&self->pid, owner);
        mp__store_relaxed(&self->parent_pid, 0);
    }
    mp__guard_unlock(&guard);
}

static int descriptor_of(const void *process)
{
    return mp_process_sentinel(process);
}

int mp__registry_init(void)
{
    static mp__atfork part = {
        .prepare = mp__registry_lock, .parent = mp__registry_unlock, .child = after_fork};
    int rc = mp__owned_init(); /* first, since its lock is taken under this one */
    if (rc < 0 || (rc = mp__atfork_add(&part)) < 0)
        return rc;
    mp__registry_lock();
    if (!ready) {
        owner = mp__process_id();
        mp__wait_set_process_descriptor(descriptor_of);
        rc = mp__exit_install();
        ready = rc == 0;
    }
    mp__registry_unlock();
    return rc;
}

mp_process *mp__registry_current(void)
{
    mp__registry_lock();
    mp_process *p = self;
    mp__registry_unlock();
    if (p != NULL || mp__registry_init() < 0)
        return p;

    mp_process *fresh = mp__process_new("_MainProcess", "MainProcess", "");
    if (fresh == NULL)
        return NULL;
    mp__store_relaxed(&fresh->pid, mp__process_id());
    mp__process_set_state(fresh, MP__PROCESS_STARTED);
    mp__registry_lock();
    if (self == NULL) {
        fresh->generation = mp__registry_generations;
        self = fresh;
    }
    p = self;
    mp__registry_unlock();
    if (p != fresh)
        mp__process_discard(fresh);
    return p;
}

mp_process *mp__registry_parent(void)
{
    return parent;
}

void mp__registry_become(mp_process *new_self, mp_process *new_parent)
{
    mp__registry_lock();
    if (self !=
        NULL) { /* what after_fork() has made this process's own is its parent's, after all */
        self->generation = 0;
        mp__store_relaxed(&self->pid, mp__load_relaxed(&new_self->parent_pid));
    }
    self = new_self;
    parent = new_parent;
    self->generation = mp__registry_generations;
    mp__store_relaxed(&self->pid, mp__process_id());
    mp__process_set_state(self, MP__PROCESS_STARTED);
    if (parent != NULL)
        parent->generation = mp__registry_generations;
    mp__registry_unlock();
}

enum mp__role mp__registry_role(const mp_process *p)
{
    mp__registry_lock();
    enum mp__role role = p == self                                   ? MP__ROLE_SELF
                         : p == parent                               ? MP__ROLE_PARENT
                         : p->generation == mp__registry_generations ? MP__ROLE_CHILD
                                                                     : MP__ROLE_FOREIGN;
    mp__registry_unlock();
    return role;
}

unsigned mp__registry_number(void)
{
    return mp__add_relaxed(&created, 1u) + 1;
}

bool mp__registry_is_ours(void)
{
    return owner == mp__process_id();
}

void mp__process_tie_children(void)
{
    ties_children = true;
}

bool mp__registry_ties_children(void)
{
    return ties_children;
}
