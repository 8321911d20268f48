/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/insight.h
 * @brief What the workers of a pool did with their time.
 */
#ifndef MPROC_INSIGHT_H
#define MPROC_INSIGHT_H

#include <mproc/pool.h>
#include <stdio.h>

/** @addtogroup pool
 *  @{ */

/** @name Insights
 *  Figures about the workers and the slowest items, kept by pools made with `.insights = MP_YES` or
 *  with `.trace`. An item costs one look at the clock more, and a few stores: see
 *  @ref insights_cost "what was measured".
 *
 *  A worker counts in memory that outlives it, so its death loses nothing; the time of the item
 *  that it died in is counted by who buries it. A worker's *place* is numbered from 0: a
 *  replacement takes over the place, and its figures, of the one that is gone. Figures can be
 *  asked for at any time until mp_pool_free(), while work runs, too, and what is asked for at once
 *  is of one moment for each place, not for all of them.
 *
 *  With `.trace = "file.json"` the items, and the starts and ends of workers, are written to that
 *  file when the pool has ended: in mp_pool_join(), mp_pool_terminate(), mp_pool_free(), or at
 *  exit(), whichever is first; not if the program is killed. The file appears whole, in place of
 *  one that was there. mp_pool_create() fails if no file can be made there; what goes wrong later
 *  is told by mp_insights.trace, and harms nothing else. https://ui.perfetto.dev and
 *  chrome://tracing open it, and so does docs/trace-view.html, without a network; see
 *  @ref insights_trace "an example". Each place is a line; an item is a slice with its index, its
 *  work and its outcome: "done", "failed", or "lost", if its worker died in it. Items shorter than
 *  20 us that follow upon each other are one slice, of at most 1 ms. An item that runs again stands
 *  there each time. About a million events are kept, in at most 42 MB of shared memory; then the
 *  oldest are dropped, and the file says how many. Python: the insights of the package mpire.
 *
 *  See @ref guide_insight "the chapter".
 *  @{ */

/** How many of the slowest items are kept. */
#define MP_SLOWEST 8

/** One of the slowest items. */
typedef struct mp_slow_item {
    double seconds; /**< How long it ran. */
    uint64_t work;  /**< Which work it belongs to: the first that the pool was given is 1. */
    size_t index;   /**< Which item of that. */
    int worker;     /**< The place that ran it. */
} mp_slow_item;

/** What the worker in one place, and those that were there before it, did. */
typedef struct mp_worker_insights {
    pid_t pid;       /**< The process that is there now, or was the last; 0: none yet. */
    unsigned starts; /**< How many processes have been started there. */
    unsigned deaths; /**< How many of them were killed or called exit() in a task. */
    uint64_t items;  /**< How many items have run, well or not; not those it died in. */
    uint64_t failed; /**< How many of these returned a failure. */
    double busy;     /**< Seconds in tasks. */
    double waiting;  /**< Seconds without work. */
    double starting; /**< Seconds from the fork until it was ready: the initializer. */
} mp_worker_insights;

/** What a pool's workers did, all places together. */
typedef struct mp_insights {
    int places;                       /**< How many places have had a worker. */
    double elapsed;                   /**< Seconds since the pool was made, or until it ended. */
    mp_worker_insights total;         /**< The sums; pid is 0. */
    int slowest_count;                /**< How many there are of these: at most #MP_SLOWEST. */
    mp_slow_item slowest[MP_SLOWEST]; /**< The slowest items first; not those that never ended. */
    int trace;              /**< 1: the file is written; 0: not yet, or none is asked for; or
                                     the code that came of writing it: then there is none. */
    uint64_t trace_dropped; /**< How many events it lacks; they are numbered in the file. */
} mp_insights;

MP_BEGIN_DECLS

/**
 * Tells what a pool's workers have done so far.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 *
 * @param pool a pool, also one that has ended
 * @param[out] out filled
 * @return 0; #MP_EINVAL: NULL; #MP_ESTATE: the pool was made without insights, or by another
 *         process
 */
MP_API int mp_pool_insights(const mp_pool *pool, mp_insights *out);

/**
 * Tells what the worker in one place, and those that were there before it, have done so far.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 *
 * @param pool a pool, also one that has ended
 * @param worker which place, from 0
 * @param[out] out filled, with zeroes if there was no worker yet
 * @return 0; #MP_EINVAL: NULL, or no such place; #MP_ESTATE: as mp_pool_insights()
 */
MP_API int mp_pool_worker_insights(const mp_pool *pool, int worker, mp_worker_insights *out);

/**
 * Prints the figures of a pool as a table. Nothing is printed for a pool without insights.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 *
 * @param pool a pool, also one that has ended
 * @param to where
 */
MP_API void mp_pool_print_insights(const mp_pool *pool, FILE *to);

/** @} */

MP_END_DECLS

/** @} */

#endif
