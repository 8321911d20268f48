/* SPDX-License-Identifier: MIT */
/* What a pool's program, supervisor and workers share. */
#ifndef MPROC_POOL_CONTROL_H
#define MPROC_POOL_CONTROL_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/backtrace.h"
#include "os/robust.h"
#include "sync/waitword.h"

#include <mproc/pool.h>

#define MP__WORKERS_MOST 4096

/*
 * The phase of a pool. It only moves down this table.
 *
 * | phase      | set by             | means                                                      |
 * | STARTING   | program            | the supervisor is forking the first workers                |
 * | RUNNING    | supervisor         | work is taken                                              |
 * | CLOSED     | program            | no work will come; workers leave when none is left         |
 * | TERMINATED | program            | the supervisor kills the workers and leaves                |
 * | FAILED     | supervisor         | so does it here; why is in `failure`                       |
 */
enum mp__pool_phase {
    MP__POOL_STARTING,
    MP__POOL_RUNNING,
    MP__POOL_CLOSED,
    MP__POOL_TERMINATED,
    MP__POOL_FAILED
};

/*
 * A worker's place. It outlives its workers: what a dead one has left undone waits here for the
 * next.
 *
 * | state    | set by     | means                                                                  |
 * | VACANT   | supervisor | no process                                                             |
 * | STARTING | supervisor | forked; runs the initializer                                           |
 * | FAILING  | worker     | the initializer failed; it leaves                                      |
 * | READY    | worker     | takes work                                                             |
 * | LEAVING  | worker     | has no item any more: closed, or used up, or too many                  |
 * | RESTING  | worker     | the same, and needs no successor until there is work: it was idle      |
 */
enum mp__slot_state {
    MP__SLOT_VACANT,
    MP__SLOT_STARTING,
    MP__SLOT_FAILING,
    MP__SLOT_READY,
    MP__SLOT_LEAVING,
    MP__SLOT_RESTING
};

typedef struct mp__work mp__work;
struct mp__slot_insight;
struct mp__pool_insight;

typedef struct mp__slot {
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t claim; /* pool/claim.h */
    _Atomic(mp__work *) work; /* what the claim is on; meanwhile nobody frees it */
    _Atomic uint64_t item;    /* index << 1 | whether it is running: all before it are done */
    _Atomic int64_t deadline; /* when its time is up; 0: never. Written before `item` */
    _Atomic int64_t soft;     /* the same for its soft limit; see pool/limit.h */
    _Atomic uint32_t state;
    _Atomic uint32_t attempts; /* how often the item has taken its worker with it */
    _Atomic int pid;
    mp__robust life;                            /* held by the worker as long as it lives */
    _Atomic(struct mp__slot_insight *) insight; /* pool/insight.h; NULL: nothing is kept */
    mp__crash crash;                            /* written by a worker that crashes */
} mp__slot;

/* One thing that went wrong, in a block of its own. */
typedef struct mp__failure {
    struct mp__failure *next;
    uint64_t index;
    int code, task_code;
    int worker, signal, exit_status;
    char text[sizeof((mp_task_error *)NULL)->text];
    uint32_t frames; /* of a crash: pool/crash.h */
    uintptr_t frame[];
} mp__failure;

typedef struct mp__pool_control {
    uint32_t slots;           /* the most workers that there can be */
    _Atomic uint32_t target;  /* so many there shall be, in the first slots; set by the program */
    _Atomic uint32_t resting; /* so many of those have none, until there is work; pool/leaving.h */
    uint32_t lookers;         /* so many workers without work may look instead of sleeping */
    _Atomic uint32_t used;    /* no slot from here on ever had a worker */
    _Atomic uint32_t phase;
    _Atomic int start_code;           /* why the supervisor could not start, or 0 */
    _Atomic int supervisor_pid;       /* set before it runs */
    mp__robust supervisor;            /* held by the supervisor as long as it lives */
    _Atomic int64_t limit;            /* the shortest time limit ever asked for, in ns; 0: none */
    _Atomic(mp__failure *) failure;   /* why the pool failed */
    struct mp__pool_insight *insight; /* pool/insight.h; NULL: nothing is kept */
    mp__waitword changed;             /* the program's threads: phase, start */
    _Alignas(MP__CACHE_LINE) mp__waitword idle; /* pool/idle.h, as is `looking` */
    _Atomic uint64_t looking[MP__WORKERS_MOST / 64];
    _Alignas(MP__CACHE_LINE) _Atomic(mp__work *) first; /* pool/work.h */
    mp__slot slot[]; /* one more than `slots`: the last serves the supervisor's own looks */
} mp__pool_control;

/* Moves the phase down the table, never up. Returns whether it was this call that did it. */
bool mp__pool_enter(mp__pool_control *c, enum mp__pool_phase phase);

/* Says why the pool fails, unless that was said already. The failure is given away; it may be
 * NULL. */
void mp__pool_blame(mp__pool_control *c, mp__failure *failure);

static inline enum mp__pool_phase mp__pool_phase_of(const mp__pool_control *c)
{
    return (enum mp__pool_phase)mp__load_acquire(&c->phase);
}

/* Holds a robust word for the calling thread's life. Marked, so that its end wakes one who
 * watches. */
void mp__life_hold(mp__robust *life);

/* Whether nobody holds it: not any more, or not yet. */
static inline bool mp__life_word_is_over(const mp__robust *life)
{
    return mp__robust_abandoned(mp__load_acquire(&life->word));
}

#endif
