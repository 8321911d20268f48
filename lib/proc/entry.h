/* SPDX-License-Identifier: MIT */
/* A forked child becomes a process of the library's. */
#ifndef MPROC_PROC_ENTRY_H
#define MPROC_PROC_ENTRY_H

#include "proc/process.h"

/* In a child that was just forked, whose record (if it has one) has let it pass: `self` is the
 * current process from now on, `parent` (or NULL) its parent, standard input reads nothing, and
 * exit() runs the handlers that are registered from now on, ends the children of this process,
 * and leaves. */
void mp__entry_begin(mp_process *self, mp_process *parent, mp__record *record);

/* In a process that forks such children and itself never calls exit(): does once what each of them
 * would do for itself. Returns 0 or a code. */
int mp__entry_prepare(void);

/* Then, in such a child: the rest. It has no record. */
void mp__entry_begin_prepared(mp_process *self, mp_process *parent);

/* The same for a started process, gate and lifeline included; then runs it. */
_Noreturn void mp__entry_run(mp_process *self, mp_process *parent);

#endif
