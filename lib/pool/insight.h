/* SPDX-License-Identifier: MIT */
/* What the workers of a pool do with their time: kept in shared memory, a part for each slot. */
#ifndef MPROC_POOL_INSIGHT_H
#define MPROC_POOL_INSIGHT_H

#include "base/atomic.h"
#include "base/bits.h"

#include <mproc/insight.h>

/*
 * Each part has one writer at any time: the slot's worker while it lives; the supervisor before the
 * fork and when it has reaped the worker; the program when all of them are gone. Anybody reads.
 *
 * A slot's `doing` says what goes on there and since when:
 *
 * | doing   | set by                | until                                                       |
 * | NOTHING | worker, or who buries | the next fork                                               |
 * | START   | supervisor            | the worker is ready                                         |
 * | WAIT    | worker                | it has found work                                           |
 * | WORK    | worker                | the item has ended; then what follows is not counted at all |
 *
 * Accounts are in two copies, of which the low bit of `turn` tells the good one. The writer fills
 * in the other and then turns: a death at any instruction leaves a whole account behind. An account
 * holds up to when it counts, so what a dead worker was doing when it died is counted once: if that
 * began before `until`, it had counted it itself. The list of the slowest items
 * has one place more than it shows, and `listed` tells which place is not shown: that is where the
 * next is written. Who reads while another writes reads again when turn, or listed, has changed:
 * all stores here release, and all loads acquire, so a reader that saw a part of what is being
 * written sees the new turn.
 */
enum mp__doing { MP__DOING_NOTHING, MP__DOING_START, MP__DOING_WAIT, MP__DOING_WORK };

typedef struct mp__account {
    _Atomic int64_t spent[4]; /* ns, by what it was doing */
    _Atomic int64_t until;    /* on the monotonic clock: what was done before is counted */
    _Atomic uint64_t items, failed;
} mp__account;

typedef struct mp__slow {
    _Atomic int64_t ns; /* 0: none */
    _Atomic uint64_t work, index;
} mp__slow;

#define MP__SLOW_PLACES (MP_SLOWEST + 1)

typedef struct mp__event mp__event;

typedef struct mp__slot_insight {
    _Alignas(MP__CACHE_LINE) _Atomic int64_t doing; /* since when << 2 | mp__doing */
    _Atomic uint64_t turn;
    mp__account account[2];
    _Atomic uint64_t listed; /* a count << 4 | the place that is not shown */
    _Atomic int64_t least;   /* what is not longer is none of the slowest: a hint, may be too low */
    mp__slow slow[MP__SLOW_PLACES];
    _Atomic uint32_t number; /* of the first worker here */
    _Atomic uint32_t starts, deaths;
    _Atomic bool manned; /* from before the fork until the end is known */
    _Atomic int pid;
    /* pool/trace.h */
    _Atomic uint64_t events;     /* how many << 1 | whether the next one is a run that grows */
    _Atomic uint64_t unrecorded; /* for want of memory */
    uint32_t chunks;             /* of events, at most; 0: no trace */
    mp__event *chunk[];
} mp__slot_insight;

/* The pool's own part. */
typedef struct mp__pool_insight {
    int64_t created;
    _Atomic int64_t ended; /* 0: not yet */
    uint32_t chunks;       /* of each slot */
} mp__pool_insight;

struct mp__pool_control;
struct mp__work;

/* ---- in a worker; `mine` is its slot's ---- */

/* It can take work now. */
void mp__insight_ready(mp__slot_insight *mine);

/* It has no work; it has some, or leaves. */
void mp__insight_wait(mp__slot_insight *mine);
void mp__insight_waited(mp__slot_insight *mine);

/* It begins an item, after that stands in slot->item. */
static inline void mp__insight_begin(mp__slot_insight *mine, int64_t began)
{
    mp__store_release(&mine->doing, began << 2 | MP__DOING_WORK);
}

/* The item has ended. (The plan of the pool's parts gave it the time of its begin, which stands in
 * `doing` already; that it failed makes it an event of its own in the trace.) */
void mp__insight_item(mp__slot_insight *mine, const struct mp__work *w, uint64_t index,
                      int64_t ended, bool failed);

/* It leaves. */
void mp__insight_leave(mp__slot_insight *mine);

/* ---- in the supervisor ---- */

/* Before a fork: the pool's `number`-th worker will be in that slot. Returns 0 or MP_ENOMEM. */
int mp__insight_start(struct mp__pool_control *c, uint32_t slot, uint32_t number);

/* There was no fork. */
void mp__insight_cancel(struct mp__pool_control *c, uint32_t slot);

/* Its end, before its item is settled: the exit code as of mp_process_exitcode(), and if somebody
 * meant it to end, why: a constant of the library, or NULL. */
void mp__insight_end(struct mp__pool_control *c, uint32_t slot, int exitcode, const char *why);

/* ---- for all ---- */

/* The good account, and what it was doing since; of one moment. */
typedef struct mp__figures {
    int64_t spent[4], until, since;
    uint64_t items, failed;
    enum mp__doing doing;
} mp__figures;

void mp__insight_read(const mp__slot_insight *of, mp__figures *out);

/* Whether it is doing something that is not counted yet, from `since` on. */
static inline bool mp__figures_open(const mp__figures *f)
{
    return f->doing != MP__DOING_NOTHING && f->since >= f->until;
}

/* The slowest items, in no order; returns how many. */
int mp__insight_slowest(const mp__slot_insight *of, mp_slow_item out[MP_SLOWEST]);

/* ---- in the program ---- */

/* What a pool that keeps insights has of its own. */
typedef struct mp__trace mp__trace;

/* Before the pool starts, with its options read. Returns 0, or why its trace cannot be written. */
int mp__insight_create(mp_pool *pool, const mp_pool_options *o);

/* All processes are gone: closes the accounts and writes the trace, once. */
void mp__insight_finish(mp_pool *pool);

/* With the control block, which nobody uses any more. */
void mp__insight_free(struct mp__pool_control *c);

/* With the handle, also in a forked child. */
void mp__trace_free(mp__trace *trace);

#endif
