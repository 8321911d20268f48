/* SPDX-License-Identifier: MIT */
/* The end of children: found out, kept, and waited for. */
#ifndef MPROC_PROC_REAP_H
#define MPROC_PROC_REAP_H

#include "base/deadline.h"
#include "proc/process.h"

/* Looks whether a child of this process runs, and reaps it if it has ended. True if it runs:
 * started, and not ended. */
bool mp__reap_look(mp_process *p);

/* Looks at every child; returns how many run, and stores the first `capacity` of them. */
int mp__reap_all(mp_process **running, int capacity);

/* The same while the registry is locked, for one that was started. */
bool mp__reap_locked(mp_process *p);

/* Waits for a started child until the deadline. Returns 0, MP_ETIMEDOUT, MP_EINTR or another
 * code. */
int mp__reap_wait(mp_process *p, mp__deadline until);

/* Lets go of what the child's handle holds beside memory; false if the child runs. */
bool mp__reap_forget(mp_process *p);

/* The descriptor that shows the child's end, or a code. */
int mp__reap_sentinel(mp_process *p);

/* A moment for a death to become visible. */
void mp__reap_nap(mp__deadline until);

#endif
