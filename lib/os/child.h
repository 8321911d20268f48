/* SPDX-License-Identifier: MIT */
/* A child process: made by fork(), watched and signalled through its pidfd. */
#ifndef MPROC_OS_CHILD_H
#define MPROC_OS_CHILD_H

#include "os/owned.h"

#include <sys/types.h>

typedef struct mp__child {
    pid_t pid;          /* 0: none yet */
    bool has_pidfd;     /* else the sentinel is a pipe, whose other end the child holds */
    mp__owned sentinel; /* readable once it has ended */
    mp__owned alive;    /* the other end of the pipe */
} mp__child;

#define MP__CHILD_NONE ((mp__child){.sentinel = MP__OWNED_NONE, .alive = MP__OWNED_NONE})

/* Forks. Returns 0 in the child, the id in the parent, or a code. */
pid_t mp__child_fork(mp__child *c);

/* In the parent, while the child is known to exist: gets the sentinel. Returns 0 or a code. */
int mp__child_watch(mp__child *c);

/* Instead, or after it has failed: waits for the child, which must be about to end by itself. */
void mp__child_abandon(mp__child *c);

/* Reaps it if it has ended. Returns what mp_process_exitcode() says, status cut to 8 bits:
 * MP_NO_EXITCODE while it runs, MP_EXITCODE_UNKNOWN if somebody else reaped it and the kernel keeps
 * nothing. Not again after it has ended, nor by two threads at once. */
int mp__child_reap(mp__child *c);

/* Sends a signal; never to a stranger. Returns 0, also if it has ended, or a code. */
int mp__child_signal(mp__child *c, int number);

/* The sentinel's descriptor; it is made anew if somebody has closed it. MP_ESYS(ESRCH) if that is
 * not possible any more because the child is gone. */
int mp__child_sentinel(mp__child *c);

/* Closes the sentinel. */
void mp__child_drop(mp__child *c);

/* A sentinel for the parent of the calling process, if that still is `parent`. Returns 0;
 * MP_ESYS(ESRCH): it has ended; MP_ESYS(ENOSYS): the system has no pidfd. */
int mp__child_watch_parent(mp__owned *sentinel, pid_t parent);

/* A sentinel for a process that has ended already. Returns 0 or a code. */
int mp__child_watch_nobody(mp__owned *sentinel);

/* The parent's id; another one after it has ended. */
pid_t mp__child_parent_id(void);

/* Has f called with the exit status when this process calls exit(), after the handlers that are
 * registered later, before those that were registered earlier. Returns 0 or a code. */
int mp__child_at_exit(void (*f)(int status, void *arg));

/* Ends the process at once. */
_Noreturn void mp__child_leave(int status);

#endif
