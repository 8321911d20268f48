/* SPDX-License-Identifier: MIT */
/* What other layers tell mp_wait(). */
#ifndef MPROC_CHAN_WAIT_H
#define MPROC_CHAN_WAIT_H

#include "sync/doorbell.h"

#include <mproc/wait.h>

/* Says how to get the descriptor of an mp_process, readable once it has ended; the function returns
 * it or a code. To be called whenever a process object is made, before it can be waited for. */
void mp__wait_set_process_descriptor(int (*descriptor)(const void *process));

/* What is to be known of an mp_result. */
typedef struct mp__wait_results {
    int (*find)(const void *result, mp__doorbells **bells); /* 0 or a code */
    bool (*ready)(void *result);
} mp__wait_results;

/* To be called with a static structure whenever a result is made, before it can be waited for. */
void mp__wait_set_results(const mp__wait_results *results);

#endif
