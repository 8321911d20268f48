/* SPDX-License-Identifier: MIT */
/* The end of a process by exit(): what it owes its children. */
#ifndef MPROC_PROC_EXIT_H
#define MPROC_PROC_EXIT_H

/* What another part does before the children are ended, in static memory. It is inherited by forked
 * children, so it asks whose memory it works on. It must not call exit(). */
typedef struct mp__exit_hook {
    void (*run)(void);
    struct mp__exit_hook *next; /* set by mp__exit_add() */
} mp__exit_hook;

/* Hooks run in the reverse order of their registration; doing it again changes nothing. */
void mp__exit_add(mp__exit_hook *hook);

/* Registers the library's one atexit handler. Returns 0 or a code. */
int mp__exit_install(void);

/* Runs the hooks; ends the daemonic children of the calling process: SIGTERM, after a grace period
 * SIGKILL; joins them, then the others, without limit. */
void mp__exit_run(void);

#endif
