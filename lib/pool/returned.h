/* SPDX-License-Identifier: MIT */
/* Results of their own length: what a task gave to mp_task_return(). */
#ifndef MPROC_POOL_RETURNED_H
#define MPROC_POOL_RETURNED_H

#include "base/bits.h"

#include <stddef.h>
#include <stdint.h>

/* A block of shared memory in the work's list `returned`. It is pushed when it is whole, with
 * release; the one that was pushed last for an item counts. mp__work_free() frees them. */
typedef struct mp__returned {
    struct mp__returned *next;
    uint64_t index; /* UINT64_MAX: its worker died before that item had ended; it does not count */
    uint32_t slot;  /* whose worker pushed it */
    size_t length;
    _Alignas(16) char data[];
} mp__returned;

#endif
