/* SPDX-License-Identifier: MIT */
/* What other layers tell mp_wait(). */
#ifndef MPROC_CHAN_WAIT_H
#define MPROC_CHAN_WAIT_H

#include <mproc/wait.h>

/* Says how to get the descriptor of an mp_process, readable once it has ended; the function returns
 * it or a code. To be called whenever a process object is made, before it can be waited for. */
void mp__wait_set_process_descriptor(int (*descriptor)(const void *process));

#endif
