/* SPDX-License-Identifier: MIT */
/* The supervisor: forks the workers, settles their deaths, replaces them, and ends with the
 * program. */
#ifndef MPROC_POOL_SUPERVISOR_H
#define MPROC_POOL_SUPERVISOR_H

#include "pool/worker.h"

/* In the servant (os/servant.h); `plan` is a mp__pool_plan. Never returns. */
void mp__supervisor_run(void *plan, int bell);

#endif
