/* SPDX-License-Identifier: MIT */
/* The events of a slot, in shared memory, and the file they become. */
#ifndef MPROC_POOL_TRACE_H
#define MPROC_POOL_TRACE_H

#include "pool/insight.h"

/*
 * A slot's events are numbered. Number n lies in place n % MP__TRACE_CHUNK of chunk n /
 * MP__TRACE_CHUNK % chunks, which the writer allocates when it first gets there; so the newest are
 * kept, and take the places of the oldest. An event is written, and then counted by one store of
 * slot->events: a worker that is killed meanwhile leaves that event out. It may have spoiled the
 * oldest, which is left out, too.
 *
 * Items that are shorter than MP__TRACE_SHORT, follow upon each other and did not fail are one
 * event: a run. It stands behind the counted ones and is marked in slot->events as one that grows;
 * how long it is and how many items it has change together, in one word.
 */
#define MP__TRACE_CHUNK  256u
#define MP__TRACE_SHORT  INT64_C(20000)      /* ns: of an item in a run, and between two of them */
#define MP__TRACE_RUN    INT64_C(1000000)    /* ns: of a run */
#define MP__TRACE_EVENTS (UINT32_C(1) << 20) /* of a pool, with as many workers as it began with */

enum mp__event_kind {
    MP__EVENT_RUN,    /* items that ended well; index: of the first */
    MP__EVENT_ITEM,   /* one of them, that was not short */
    MP__EVENT_FAILED, /* one that returned a failure */
    MP__EVENT_LOST,   /* one that its worker died in; text: why, if somebody meant it */
    MP__EVENT_FORKED, /* index: the number of the worker */
    MP__EVENT_READY,  /* it has started; index: its process */
    MP__EVENT_ENDED   /* span: its exit code; index: its process; text: why, as above */
};

struct mp__event {
    int64_t start;         /* on the monotonic clock */
    _Atomic uint64_t span; /* ns; of a run: ns << MP__RUN_BITS | items */
    uint64_t index;
    uint64_t what; /* the work's order << 3 | mp__event_kind */
    const char *text;
};

#define MP__RUN_BITS 24

static inline enum mp__event_kind mp__event_kind_of(const mp__event *e)
{
    return (enum mp__event_kind)(e->what & 7);
}

/* By who writes the slot: adds an event; then what grows does not grow any more. */
void mp__trace_add(mp__slot_insight *m, const mp__event *e);

/* The same for an item. */
void mp__trace_item(mp__slot_insight *m, const mp__event *item, int64_t ended);

/* What grows does not grow any more. */
void mp__trace_close(mp__slot_insight *m);

/* When nobody writes any more: numbers of the oldest event and behind the newest; and an event. */
void mp__trace_kept(const mp__slot_insight *m, uint64_t *first, uint64_t *end);
const mp__event *mp__trace_event(const mp__slot_insight *m, uint64_t number);

/* Events that are not there any more, or never were. */
uint64_t mp__trace_dropped(const mp__slot_insight *m);

/* In the program, when all is over: writes the file. Returns 0 or a code. */
int mp__trace_write(const mp_pool *pool, const char *path);

#endif
