/* SPDX-License-Identifier: MIT */
/* A worker: takes work and runs it. */
#ifndef MPROC_POOL_WORKER_H
#define MPROC_POOL_WORKER_H

#include "pool/badge.h"
#include "pool/control.h"

/* What supervisor and workers know of the pool, inherited from the program by fork. */
typedef struct mp__pool_plan {
    mp__pool_control *control;
    mp_pool_options options;
    char *name;    /* of the workers */
    char *program; /* the program's name */
    int program_pid;
} mp__pool_plan;

/* In a freshly forked child of the supervisor: never returns. */
_Noreturn void mp__worker_run(const mp__pool_plan *plan, uint32_t slot, const mp__badge *badge);

#endif
