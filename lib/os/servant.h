/* SPDX-License-Identifier: MIT */
/* Servants: helper processes that are not the program's children, so that its wait() does not meet
 * them, and that learn at once when it ends. */
#ifndef MPROC_OS_SERVANT_H
#define MPROC_OS_SERVANT_H

#include "base/atomic.h"
#include "base/deadline.h"
#include "os/owned.h"

typedef struct mp__servant {
    int pid;
    mp__owned bell;  /* the program's end of a socket pair */
    mp__owned other; /* the servant's end */
    mp__owned pidfd; /* none where the system has none */
} mp__servant;

/* What a servant does. `bell` becomes readable when the program rings, and is hung up when it ends,
 * in whatever way, or calls execve(). */
typedef struct mp__servant_duty {
    void (*prepare)(void *arg, int bell); /* touches nothing that is not the servant's own */
    void (*run)(void *arg, int bell);     /* then; never returns */
    void *arg;
} mp__servant_duty;

/* Forks a servant. *pid, in shared memory and 0, is set to its id. Returns 0 or a code; in the
 * latter case the servant leaves before it would run. */
int mp__servant_start(mp__servant *s, _Atomic int *pid, const mp__servant_duty *duty);

/* Rings. Never blocks, and raises no signal if the servant is gone. */
void mp__servant_ring(mp__servant *s);

/* In the servant: forgets the rings so far. Returns false if the program has hung up. */
bool mp__servant_heed(int bell);

/* In the program: waits until the servant's process is gone. Returns 0, MP_ETIMEDOUT or
 * MP_EINTR. */
int mp__servant_wait(mp__servant *s, mp__deadline until);

/* In the program, while it has not been seen to be gone: SIGKILL. */
void mp__servant_kill(mp__servant *s);

/* In the program, after that, or in a forked child: closes what is open. */
void mp__servant_drop(mp__servant *s);

/* A sentinel for any process, of which the caller knows that it lives. Returns 0 or a code. */
int mp__servant_watch(mp__owned *sentinel, int pid);

/* The same in a process that is killed when that one ends, for which it lives on: where the system
 * has no pidfds, a sentinel that never shows anything. */
int mp__servant_watch_program(mp__owned *sentinel, int pid);

#endif
