/* SPDX-License-Identifier: MIT */
/* Done callbacks and chained work: what follows when a result's work is done. */
#ifndef MPROC_POOL_CALLBACK_H
#define MPROC_POOL_CALLBACK_H

#include "base/atomic.h"
#include "base/list.h"
#include "os/futex.h"

#include <mproc/pool.h>

/*
 * Callbacks run in calls that wait, in the thread that makes the call; chained work is started
 * there, too. What a result's callbacks are:
 *
 * | state   | means                                                     | becomes                |
 * | NONE    | nothing follows                                           | HELD, WATCHED, DUE     |
 * | HELD    | it is chained itself, and has not been started: unlisted  | WATCHED, DUE           |
 * | WATCHED | in its pool's list, in the order of submission            | DUE                    |
 * | DUE     | its work is done; in the list of what is due              | RUNNING, NONE          |
 * | RUNNING | a thread is in one of its callbacks: unlisted             | DUE, NONE              |
 */
enum mp__callback_state {
    MP__CALLBACK_NONE,
    MP__CALLBACK_HELD,
    MP__CALLBACK_WATCHED,
    MP__CALLBACK_DUE,
    MP__CALLBACK_RUNNING
};

typedef struct mp__callback {
    struct mp__callback *next;
    void (*run)(mp_result *r, void *arg);
    void *arg;
    uint64_t turn; /* it runs in a later one */
} mp__callback;

typedef struct mp__callbacks_of_result {
    _Atomic uint32_t state; /* changed with the guard held */
    _Atomic bool waiting;   /* for the result that it is chained to */
    mp__link link;
    mp__callback *first, **end; /* in the order in which they were added */
    mp__callback own;           /* the job's */
    mp_result *chained;         /* the first result that waits for this one */
    mp_result *sibling;         /* the next one that waits for the same */
} mp__callbacks_of_result;

typedef struct mp__callbacks_of_pool {
    mp__link watched, link; /* `link` among the pools that have watched results */
    mp__link iterators;     /* pool/imap.c */
    uint64_t pending;       /* results that are not NONE */
} mp__callbacks_of_pool;

/* How many results of this process are not NONE. */
extern _Atomic uint64_t mp__callback_count;

static inline bool mp__callback_any(void)
{
    return __builtin_expect(mp__load_relaxed(&mp__callback_count) != 0, 0);
}

/* Before the first use: 0 or a code. */
int mp__callback_init(void);

/* Of a new pool. */
void mp__callback_init_pool(mp__callbacks_of_pool *p);

/* Nobody can use the pool any more, and all its work is done. */
void mp__callback_forget_pool(mp_pool *pool);

/* Guards all this. Taken before a pool's guard. */
void mp__callback_lock(void);
void mp__callback_unlock(void);

/* Adds one, which is freed after its turn unless it is the result's own. */
void mp__callback_add(mp_result *r, mp__callback *c);

/* `out` is started when `r` is done. */
void mp__callback_chain(mp_result *r, mp_result *out);

/* Fails a chained result that was not started; false: it was, or is not chained. */
bool mp__callback_cancel(mp_result *r, const char *text);

/* The program itself has ended the result's work, or has tried to. */
void mp__callback_ended(mp_result *r);

/* The program has freed it: its callbacks do not run any more. */
void mp__callback_drop(mp_result *r);

/* Starts chained work and runs callbacks that are due; returns how many. */
int mp__callback_run(void);

/* This thread runs no callbacks until mp__callback_resume(), which gets what it has returned. */
int mp__callback_suspend(void);
bool mp__callback_is_suspended(void);
void mp__callback_resume(int before);

/* Arms the words that change when something becomes due. Returns how many; -1: something is.
 * `until` comes nearer if it is to be looked for soon. */
int mp__callback_watch(mp__watch *watches, int room, mp__deadline *until);

/* While there is nothing to follow: arms the word that changes when there is. False: there is by
 * now. */
bool mp__callback_watch_first(mp__watch *watch);

/* Holds results of which one, when it ends, makes something due: up to `room`. -1: something is. */
int mp__callback_hold(mp_result **held, int room);

/* How many results of the pool something follows. */
uint64_t mp__callback_pending(const mp_pool *pool);

#endif
