/* SPDX-License-Identifier: MIT */
/* The item that a worker runs, as its task sees it: include/mproc/task.h. */
#ifndef MPROC_POOL_TASK_H
#define MPROC_POOL_TASK_H

#include "pool/returned.h"
#include "pool/work.h"

/* What the running item's task has said; only in the thread that runs it. */
enum mp__task_said { MP__TASK_RUNNING = 1, MP__TASK_FAILED = 2, MP__TASK_RETURNED = 4 };
extern _Thread_local uint32_t mp__task_said;

/* In a worker, once, before all else: this process is the slot's worker. */
void mp__task_enter(mp__pool_control *c, uint32_t slot);

/* Around items of one work, or around the initializer (NULL). Which item runs, and its deadlines,
 * stand in the slot: nothing is to be done for each. */
void mp__task_begin(const mp__work *w);
void mp__task_end(void);

/* Before the first item of a claim that a dead worker has left here. */
void mp__task_inherit(const mp__work *w, uint64_t index);

/* After each item: whether there is anything to do about it. Then mp__task_settle() does it, and
 * returns whether the item has failed, with what in *code. */
static inline bool mp__task_has_said(int code)
{
    return __builtin_expect(code < 0 || mp__task_said != MP__TASK_RUNNING, 0);
}
bool mp__task_settle(mp__work *w, uint64_t index, int *code);

/* The text of the failure that was settled last; "" if it gave none. */
const char *mp__task_text(void);

#endif
