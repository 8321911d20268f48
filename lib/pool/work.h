/* SPDX-License-Identifier: MIT */
/* Work: a task and its items, as program and workers share it. */
#ifndef MPROC_POOL_WORK_H
#define MPROC_POOL_WORK_H

#include "pool/control.h"
#include "sync/doorbell.h"

/*
 * Works stand in a list in the order of their submission; control->first is the first that may have
 * items to claim, and the last one stays in it when it is exhausted (there is always one). The
 * program appends; whoever finds the first exhausted moves `first` on, if there is a next.
 *
 * A worker writes the work it looks at into its slot, and then looks whether it still is the first:
 * so the program, which frees a work only when it is behind `first` and in no slot, never frees
 * what a worker uses.
 *
 * | state | means                                                   | changed by                     |
 * | OPEN  | items are to be claimed, run or settled                 | -                              |
 * | DONE  | every item has run, or stands in a failure              | who settles the last, by one CAS |
 */
enum mp__work_state { MP__WORK_OPEN, MP__WORK_DONE };

/* Who begins a work of several units, and who withdraws it as a whole, decide by one
 * compare-and-swap. */
enum mp__work_start { MP__WORK_FRESH, MP__WORK_BEGUN, MP__WORK_WITHDRAWN };

/* How far nobody wants it any more; it only goes up. STOPPED: what has not begun is skipped. */
enum mp__work_wish { MP__WORK_WANTED, MP__WORK_UNWANTED, MP__WORK_STOPPED };

#define MP__LANE_STRIDE (MP__CACHE_LINE / sizeof(uint64_t))

/* The first line and a half do not change but for `following` and `canceled`. */
struct mp__work {
    mp_task task;
    void *context;
    const char *in;
    char *out;
    size_t in_size, out_size;
    uint64_t count;
    _Atomic(mp__work *) following;
    uint64_t unit;          /* so many items are claimed together */
    _Atomic uint64_t *lane; /* the first, the others at MP__LANE_STRIDE: pool/claim.h */
    uint32_t units, lanes;  /* a slot has at most one lane */
    int64_t limit;          /* ns an item may take; 0: no limit */
    int64_t soft;           /* ns until an item is overdue; 0: no limit */
    uint32_t retries;
    bool fixed;                /* units are claimed one by one, because the job says so */
    bool all_failures;         /* else those that lower `lowest` are enough */
    _Atomic uint32_t canceled; /* mp__work_wish */
    _Atomic uint32_t killed;   /* the supervisor shall kill who runs it */
    uint64_t order;            /* of submission */
    mp__work *retired_next;    /* the program's alone */

    _Alignas(MP__CACHE_LINE) _Atomic uint64_t only; /* the lane of a work of one unit */
    _Atomic uint32_t state;
    _Atomic uint32_t started; /* mp__work_start */
    mp__waitword done;
    mp__doorbells bells;             /* rung when it is done */
    _Atomic uint64_t lowest;         /* the lowest failed item << 8 | its cause; or all ones */
    _Atomic(mp__failure *) failures; /* pushed by workers and supervisor */
    _Atomic(struct mp__returned *) returned; /* pushed by workers: results of their own length */
    _Atomic uint64_t *failed;                /* one bit per item; NULL for a single item */
};

/* Why items fail that no task has run. */
typedef struct mp__verdict {
    int code;
    const char *text;
    int task_code, signal, exit_status; /* of what was the cause */
} mp__verdict;

extern const mp__verdict mp__work_canceled;

/* What a job asks of it. */
typedef struct mp__work_order {
    const mp_job *job;
    int64_t limit, soft;
    uint32_t retries;
    uint32_t workers;
} mp__work_order;

/* Copies what must be copied. Returns 0, MP_EINVAL (sizes that overflow) or MP_ENOMEM. */
int mp__work_create(mp__work **out, const mp__work_order *order);

/* Frees it with its failures; only when it is in no list and no slot. */
void mp__work_free(mp__work *w);

/* Of a work that is done: what its tasks have returned, which nobody wants any more. */
void mp__work_free_returned(mp__work *w);

/* Settles an item as failed; `failure` is given away, and may be NULL if memory is out. */
void mp__work_fail(mp__work *w, uint64_t index, int code, mp__failure *failure);

/* A filled failure; NULL if memory is out. */
mp__failure *mp__failure_create(int code, int worker, const char *text);

/* One that says why. */
mp__failure *mp__failure_of(const mp__verdict *why, int worker);

/* mp__work_fail() for a range that did not run. Tells why once, or of each if that is wanted. */
void mp__work_fail_range(mp__work *w, uint64_t start, uint64_t end, const mp__verdict *why);

/* Whether an item has failed. */
bool mp__work_item_failed(const mp__work *w, uint64_t index);

/* The code of the lowest failed item, or 0; and its index. */
int mp__work_code(const mp__work *w, uint64_t *index);

static inline bool mp__work_is_done(const mp__work *w)
{
    return mp__load_acquire(&w->state) == MP__WORK_DONE; /* pairs with mp__claim_finish() */
}

#endif
