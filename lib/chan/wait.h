/* SPDX-License-Identifier: MIT */
/* What other layers tell mp_wait(). */
#ifndef MPROC_CHAN_WAIT_H
#define MPROC_CHAN_WAIT_H

#include "base/atomic.h"
#include "base/deadline.h"
#include "sync/doorbell.h"

#include <mproc/wait.h>

/* Says how to get the descriptor of an mp_process, readable once it has ended; the function returns
 * it or a code. To be called whenever a process object is made, before it can be waited for. */
void mp__wait_set_process_descriptor(int (*descriptor)(const void *process));

/* What is to be known of an mp_result, and of what follows when its work is done: callbacks that
 * run in calls that wait. */
typedef struct mp__wait_results {
    int (*find)(const void *result, mp__doorbells **bells); /* 0 or a code */
    bool (*ready)(void *result);
    void (*hold)(void *result); /* it stays, even if somebody frees it ... */
    void (*let_go)(void *result);
    const _Atomic uint64_t *following; /* how many results have something that follows */
    int (*run)(void);                  /* runs what is due; returns how much that was */
    /* Holds up to `room` results of which one, when it is ready, has something become due. Returns
     * how many; -1: something is. */
    int (*hold_awaited)(void **held, int room);
} mp__wait_results;

/* To be called with a static structure whenever a result is made, before it can be waited for. */
void mp__wait_set_results(const mp__wait_results *results);

/* NULL: no result was ever made. */
const mp__wait_results *mp__wait_get_results(void);

/* mp_wait() of arguments that were checked. */
int mp__wait_for(mp_waitable *items, int count, mp__deadline until);

/* The same while something may follow results. */
int mp__wait_and_follow(const mp__wait_results *r, mp_waitable *items, int count,
                        mp__deadline until);

#endif
