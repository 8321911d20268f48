/* SPDX-License-Identifier: MIT */
/* Permits that belong to processes, and come back when these die: the owned semaphore. */
#ifndef MPROC_SYNC_PERMITS_H
#define MPROC_SYNC_PERMITS_H

#include "os/mutex.h"
#include "sync/waitword.h"

struct mp__permit_table;

typedef struct mp__permits {
    mp__mutex lock;                 /* guards the table and what is in it */
    mp__waitword returned;          /* permits becoming free */
    uint32_t total;                 /* how many there are, with those that are held */
    struct mp__permit_table *table; /* who holds how many; at the same address everywhere */
} mp__permits;

/* All as documented for mp_semaphore_...; what can be wrong in the arguments is not asked again. */
int mp__permits_init(mp__permits *p, uint32_t total);
void mp__permits_fini(mp__permits *p);
int mp__permits_acquire(mp__permits *p, double timeout);
int mp__permits_release(mp__permits *p, uint32_t n);
int mp__permits_value(mp__permits *p);

#endif
