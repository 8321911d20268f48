/* SPDX-License-Identifier: MIT */
/* Workers that leave while their pool goes on. */
#ifndef MPROC_POOL_LEAVING_H
#define MPROC_POOL_LEAVING_H

#include "base/deadline.h"
#include "pool/control.h"

/*
 * | a worker leaves when                                  | its slot                                  |
 * | it has run .max_tasks_per_child items                 | gets the next at once                     |
 * | its memory has passed .max_memory_per_child           | gets the next at once                     |
 * | it is too many since mp_pool_resize()                 | stays empty                               |
 * | it was idle for .idle_timeout; but not that of slot 0 | gets the next when there is work: RESTING |
 *
 * It leaves between two claims: what it has claimed it runs, and what is dealt out to its lane the
 * others take. Who has submitted work looks whether slots are resting, and the supervisor, having
 * counted one more of them, looks whether there is work: one of the two sees the other. Meanwhile
 * the worker of slot 0 is there.
 */
typedef struct mp__leaving {
    mp__pool_control *control;
    uint32_t slot;
    size_t memory_most;     /* 0: no limit */
    size_t memory_at_first; /* what it had from the program does not count */
    int64_t next_look;      /* at the memory */
    bool decided;
} mp__leaving;

/* In a worker that starts. */
void mp__leaving_begin(mp__leaving *l, mp__pool_control *c, uint32_t slot, size_t memory_most);

/* Whether this worker is one too many. */
static inline bool mp__leaving_is_surplus(const mp__pool_control *c, uint32_t slot)
{
    return slot >= mp__load_relaxed(&c->target);
}

/* In a worker, after a claim: whether it shall leave, for its number or its memory. */
bool mp__leaving_is_due(mp__leaving *l);

/* In a worker: when it will have waited for work for long enough. */
mp__deadline mp__leaving_idle_end(uint32_t slot, double idle_timeout);

/* In the program, after it has submitted work: whether the supervisor must be rung for those who
 * rest. */
static inline bool mp__leaving_any_rest(const mp__pool_control *c)
{
    mp__fence_seq(); /* behind what was submitted; pairs with the supervisor's count */
    return mp__load_relaxed(&c->resting) != 0;
}

#endif
