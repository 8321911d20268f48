/* SPDX-License-Identifier: MIT */
/* The process object as the files of this layer see it. */
#ifndef MPROC_PROC_PROCESS_H
#define MPROC_PROC_PROCESS_H

#include "base/atomic.h"
#include "base/list.h"
#include "os/child.h"
#include "os/lifeline.h"
#include "proc/record.h"

#include <mproc/process.h>

enum mp__process_state {
    MP__PROCESS_INITIAL,
    MP__PROCESS_STARTING, /* by one thread, which decides */
    MP__PROCESS_STARTED,
    MP__PROCESS_ENDED
};

struct mp_process {
    uint64_t generation; /* of the process whose handle it is, see proc/registry.h */
    _Atomic int state;   /* changes under the registry's lock; read anywhere */
    _Atomic int pid;     /* 0 before start */
    _Atomic int exitcode;
    _Atomic int parent_pid;
    bool daemon;
    bool tied;      /* ends with its parent: daemonic, or started by a process that ties all */
    char *name;     /* owned */
    char *identity; /* owned: the counters along the ancestry, "2:1"; "" in a program */
    char *kind;     /* owned: "Process", or the subclass's name */
    mp_target target;
    void *arg;
    void *copy; /* owned: what arg points to, if its bytes were copied */
    int (*run)(mp_process *self);
    void *data; /* owned: the subclass's own data */

    /* Of a started child; `child.sentinel` also of the parent's object. */
    mp__child child;
    mp__lifeline line;
    mp__record *record;
    mp__link link; /* in the registry */
};

/* A bare object of this process, in the initial state. The strings are copied. NULL if memory is
 * out. */
mp_process *mp__process_new(const char *kind, const char *name, const char *identity);

/* An object for the parent of a child that is about to be made: of the calling process, or another.
 * NULL if memory is out. */
mp_process *mp__process_new_parent(pid_t pid, const char *name);

/* Frees the memory alone. */
void mp__process_discard(mp_process *p);

static inline int mp__process_get_state(const mp_process *p)
{
    /* Pairs with mp__process_set_state(): who sees a state sees the id and the exit code, too. */
    return mp__load_acquire(&p->state);
}

static inline void mp__process_set_state(mp_process *p, int state)
{
    mp__store_release(&p->state, state);
}

#endif
