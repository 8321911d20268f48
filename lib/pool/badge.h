/* SPDX-License-Identifier: MIT */
/* Badges: who a worker is to the tasks that it runs. */
#ifndef MPROC_POOL_BADGE_H
#define MPROC_POOL_BADGE_H

typedef struct mp_process mp_process;
typedef struct mp__pool_plan mp__pool_plan;

/* Made by the supervisor and inherited by the fork, so that no worker need make one for itself:
 * what it is the first to write in its copy of the memory is what costs it time. */
typedef struct mp__badge {
    mp_process *self, *program;
} mp__badge;

/* In the supervisor, before it forks its `number`-th worker. Returns 0 or a code. */
int mp__badge_make(mp__badge *badge, const mp__pool_plan *plan, unsigned number);

/* In the worker: becomes the one that it says. */
void mp__badge_wear(const mp__badge *badge);

#endif
