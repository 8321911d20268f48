/* SPDX-License-Identifier: MIT */
/* The supervisor's crew: the workers' processes, each in its slot. */
#ifndef MPROC_POOL_CREW_H
#define MPROC_POOL_CREW_H

#include "os/child.h"
#include "os/lifeline.h"
#include "pool/worker.h"

/* A slot's process. */
typedef struct mp__place {
    mp__child child; /* pid 0: none */
    mp__lifeline line;
    bool ready;      /* has been seen to take work */
    bool killed;     /* by us */
    bool resting;    /* no process, nor any wanted until there is work: the last one was idle */
    int64_t expired; /* the deadline for which it was killed; -1: for none */
    int64_t warned;  /* the soft deadline that it was told of last */
} mp__place;

typedef struct mp__crew {
    const mp__pool_plan *plan;
    mp__pool_control *control;
    mp__place *places; /* one for each slot */
    mp__badge badge;   /* of the worker that is forked next */
    unsigned forked;
} mp__crew;

/* How a worker has come to its end. */
enum mp__end {
    MP__END_ORDERLY, /* it has left, or was killed by us */
    MP__END_RESTING, /* it has left since there was nothing to do */
    MP__END_FAILING, /* its initializer failed */
    MP__END_UNREADY, /* it has died before it took any work */
    MP__END_DEATH    /* it has died */
};

/* The slots that ever had a worker are the first so many. */
static inline uint32_t mp__crew_used(const mp__crew *crew)
{
    return mp__load_relaxed(&crew->control->used);
}

/* Forks a worker into an empty place. Returns 0 or a code. */
int mp__crew_fork(mp__crew *crew, uint32_t slot);

/* Settles what a dead worker has left, as far as that can be done now; the rest waits in the slot
 * for the next worker there. Empties the place. */
enum mp__end mp__crew_bury(mp__crew *crew, uint32_t slot, int exitcode);

/* Kills all workers, and waits until they are gone. */
void mp__crew_kill_all(mp__crew *crew);

/* Kills a worker: for its item's deadline, or -1. */
void mp__crew_kill(mp__crew *crew, uint32_t slot, int64_t deadline);

#endif
