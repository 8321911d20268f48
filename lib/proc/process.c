/* SPDX-License-Identifier: MIT */
#include "proc/process.h"

#include "base/options.h"
#include "os/thread.h"
#include "proc/reap.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_string(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = malloc(size);
    return copy != NULL ? memcpy(copy, s, size) : NULL;
}

mp_process *mp__process_new(const char *kind, const char *name, const char *identity)
{
    mp_process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->generation = mp__registry_generation();
    p->child = MP__CHILD_NONE;
    p->line = MP__LIFELINE_NONE;
    mp__list_init(&p->link);
    mp__store_relaxed(&p->exitcode, MP_NO_EXITCODE);
    p->kind = copy_string(kind);
    p->name = copy_string(name);
    p->identity = copy_string(identity);
    if (p->kind != NULL && p->name != NULL && p->identity != NULL)
        return p;
    mp__process_discard(p);
    return NULL;
}

mp_process *mp__process_new_parent(pid_t pid, const char *name)
{
    mp_process *p = mp__process_new("_ParentProcess", name, "");
    if (p == NULL)
        return NULL;
    mp__store_relaxed(&p->pid, pid);
    mp__process_set_state(p, MP__PROCESS_STARTED);
    return p;
}

void mp__process_discard(mp_process *p)
{
    if (p == NULL)
        return;
    free(p->kind);
    free(p->name);
    free(p->identity);
    free(p->copy);
    free(p->data);
    free(p);
}

static int check(const mp_process_options *o)
{
    const mp_process_class *c = o->subclass;
    if (o->daemon != 0 && o->daemon != MP_YES && o->daemon != MP_NO)
        return MP_EINVAL;
    if (o->start_method != 0 && o->start_method != MP_START_FORK)
        return MP_EINVAL;
    if (c != NULL && (c->run == NULL || c->name == NULL || o->target != NULL))
        return MP_EINVAL;
    if (c == NULL && o->init != NULL)
        return MP_EINVAL;
    /* An argument that nobody would get, and bytes from nowhere. */
    if (o->target == NULL && (o->arg != NULL || o->arg_size > 0))
        return MP_EINVAL;
    return o->arg == NULL && o->arg_size > 0 ? MP_EINVAL : 0;
}

/* Copies what the options point to. False if memory is out. */
static bool fill(mp_process *p, const mp_process_options *o)
{
    p->target = o->target;
    p->arg = o->arg;
    if (o->arg_size > 0) {
        p->arg = p->copy = malloc(o->arg_size);
        if (p->copy == NULL)
            return false;
        memcpy(p->copy, o->arg, o->arg_size);
    }
    if (o->subclass == NULL)
        return true;

    p->run = o->subclass->run;
    if (o->subclass->data_size == 0)
        return true;
    p->data = calloc(1, o->subclass->data_size);
    if (p->data == NULL)
        return false;
    if (o->init != NULL)
        memcpy(p->data, o->init, o->subclass->data_size);
    return true;
}

/* An object with its number; the name is "<kind>-<identity>" unless the user gave one. */
static mp_process *new_numbered(const char *kind, const char *name, const char *ancestry)
{
    size_t size = strlen(kind) + strlen(ancestry) + 16;
    char *full = malloc(size);
    if (full == NULL)
        return NULL;
    const char *identity = full + strlen(kind) + 1;
    snprintf(full, size, "%s-%s%s%u", kind, ancestry, ancestry[0] != '\0' ? ":" : "",
             mp__registry_number());
    mp_process *p = mp__process_new(kind, name != NULL ? name : full, identity);
    free(full);
    return p;
}

int mp_process_create(mp_process **out, const mp_process_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_process_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0 || (rc = check(&o)) < 0 || (rc = mp__registry_init()) < 0)
        return rc;
    mp_process *creator = mp__registry_current();
    if (creator == NULL)
        return MP_ENOMEM;

    const char *kind = o.subclass != NULL ? o.subclass->name : "Process";
    mp_process *p = new_numbered(kind, o.name, creator->identity);
    if (p == NULL || !fill(p, &o)) {
        mp__process_discard(p);
        return MP_ENOMEM;
    }
    mp__store_relaxed(&p->parent_pid, mp__process_id());
    p->daemon = o.daemon == 0 ? creator->daemon : o.daemon == MP_YES;
    *out = p;
    return 0;
}

int mp_process_free(mp_process *p)
{
    if (p == NULL)
        return 0;
    switch (mp__registry_role(p)) {
    case MP__ROLE_SELF:
    case MP__ROLE_PARENT:
        return MP_ESTATE;
    case MP__ROLE_CHILD:
        if (!mp__reap_forget(p))
            return MP_ESTATE;
        break;
    case MP__ROLE_FOREIGN:
        mp__registry_lock();
        mp__list_remove(&p->link);
        mp__registry_unlock();
        break;
    }
    mp__process_discard(p);
    return 0;
}

pid_t mp_process_pid(const mp_process *p)
{
    return p != NULL ? mp__load_acquire(&p->pid) : 0;
}

pid_t mp_process_parent_pid(const mp_process *p)
{
    return p != NULL ? mp__load_acquire(&p->parent_pid) : 0;
}

const char *mp_process_name(const mp_process *p)
{
    return p != NULL ? p->name : NULL;
}

int mp_process_set_name(mp_process *p, const char *name)
{
    if (p == NULL || name == NULL)
        return MP_EINVAL;
    char *copy = copy_string(name);
    if (copy == NULL)
        return MP_ENOMEM;
    free(p->name);
    p->name = copy;
    return 0;
}

bool mp_process_daemon(const mp_process *p)
{
    return p != NULL && p->daemon;
}

int mp_process_set_daemon(mp_process *p, bool daemon)
{
    if (p == NULL)
        return MP_EINVAL;
    if (mp__process_get_state(p) != MP__PROCESS_INITIAL)
        return MP_ESTATE;
    p->daemon = daemon;
    return 0;
}

void *mp_process_data(mp_process *p)
{
    return p != NULL ? p->data : NULL;
}
