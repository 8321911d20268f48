/* SPDX-License-Identifier: MIT */
/* Memory on its way back: spans that became empty, and pages that nobody needs. */
#ifndef MPROC_SHM_RETIRE_H
#define MPROC_SHM_RETIRE_H

#include "shm/span.h"

/* The span, one of this class, has become empty, it seems: its chunks become free, unless a shard
 * allocates from it. */
void mp__retire_span(mp__arena *a, uint32_t number, unsigned class);

/* With the table locked, after the last holder's death: a span that it was closing is open. */
void mp__retire_repair(mp__arena *a);

/* Gives free pages back to the system if there are more than the reserve. Without the lock. */
void mp__retire_trim(mp__arena *a);

/* Now and then: what was idle for long goes back. Without the lock. */
void mp__retire_idle(mp__arena *a);

/* When there is no room: retires all empty spans, and until mp__retire_done() nobody trims: so what
 * is free then can be had. Without the lock. */
void mp__retire_all(mp__arena *a);
void mp__retire_done(mp__arena *a);

#endif
