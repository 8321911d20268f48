/* SPDX-License-Identifier: MIT */
/* The supervisor: forks the workers, settles their deaths, replaces them, and ends with the
 * program. */
#ifndef MPROC_POOL_SUPERVISOR_H
#define MPROC_POOL_SUPERVISOR_H

#include "pool/worker.h"

/* In the servant: what it does before it touches the pool; and then all the rest. `plan` is a
 * mp__pool_plan. See os/servant.h. */
void mp__supervisor_prepare(void *plan, int bell);
void mp__supervisor_run(void *plan, int bell);

#endif
