/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/iterator.h
 * @brief Results one after the other: of a stream of inputs, or of many results as they come.
 */
#ifndef MPROC_ITERATOR_H
#define MPROC_ITERATOR_H

#include <mproc/pool.h>

/** @defgroup iterator Iterator
 *  @brief Takes what a pool has done item by item. Python: imap, imap_unordered, as_completed.
 *
 *  mp_pool_imap() works on a stream of inputs that need not fit into memory: it takes no more of
 *  them than its window allows, and the next one when an item is returned. mp_as_completed() takes
 *  results as they come. Both give an iterator, for the process that made it, and for one thread at
 *  a time:
 *
 *      while ((rc = mp_iterator_next(it, &out, &i, MP_FOREVER)) != MP_EEOF)
 *          use(rc, i, &out);
 *      mp_iterator_free(it);
 *
 *  **When something dies** or fails it is the item's own affair: next returns the item's code where
 *  its output would have come, and the iteration goes on. When the supervisor is killed, items that
 *  were taken and not settled are #MP_ECRASHED, each of them; then next returns #MP_ESTATE once, if
 *  there might have been more input, and then #MP_EEOF.
 *
 *  See @ref guide_iterator "the chapter".
 *  @{ */

/** An iteration over what a pool has done. */
typedef struct mp_iterator mp_iterator;

/** What mp_pool_imap() works on. */
typedef struct mp_imap {
    size_t size;   /**< sizeof(mp_imap). */
    mp_task task;  /**< The function. */
    void *context; /**< Goes to every call; valid in the workers. */
    /** Gives the next input: fills in `in` and returns a value >= 0; or returns #MP_EEOF: there is
     *  no more; or another negative code, which ends the input, too, and is returned by
     *  mp_iterator_next() behind the items before it. It is called in the thread that calls
     *  mp_pool_imap() and mp_iterator_next(), and in no other. */
    int (*next)(void *arg, void *in);
    void *arg;       /**< Its first argument. */
    size_t in_size;  /**< Bytes of one input. */
    size_t out_size; /**< Bytes of one output. */
    size_t window;   /**< How many inputs may be taken whose items were not yet returned; not given:
                           16 chunks for each worker. */
    size_t chunksize; /**< How many inputs become one piece of work, which is returned only when all
                           of it is done; not given: 1; more than the window: the window. */
} mp_imap;

MP_BEGIN_DECLS

/**
 * Runs a task over a stream of inputs and gives the results in the order of the inputs.
 *
 * It fills the window at once, and mp_iterator_next() fills it again as far as there is room for a
 * chunk; so nothing is taken ahead of what the program consumes but the window. An input that takes
 * long to come delays what calls for it, whatever its timeout. Inputs are copied.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool. Python: imap(),
 * which takes its input without limit; Executor.map(buffersize=) of Python 3.14.
 *
 * @param pool a pool
 * @param[out] out the iterator, NULL on failure; owed to mp_iterator_free()
 * @param how what to do; the structure need not live on
 * @return 0; #MP_EINVAL: no pool, no task or one that was loaded after the pool was made, no
 *         `next`, sizes that overflow, unknown members of how; #MP_ESTATE: closed, terminated,
 *         another process's pool, or its supervisor is gone; #MP_ETASK: the pool has failed;
 *         #MP_ENOMEM
 */
MP_API int mp_pool_imap(mp_pool *pool, mp_iterator **out, const mp_imap *how);

/**
 * mp_pool_imap() that gives the results as they come; `index` tells whose they are.
 *
 * Thread-safe; not async-signal-safe; only in the process that created the pool.
 * Python: imap_unordered().
 *
 * @param pool a pool
 * @param[out] out the iterator, NULL on failure; owed to mp_iterator_free()
 * @param how what to do
 * @return a code of mp_pool_imap()
 */
MP_API int mp_pool_imap_unordered(mp_pool *pool, mp_iterator **out, const mp_imap *how);

/**
 * Gives results one after the other, those first that are done first.
 *
 * Each place of the array is given once. The results may be of several pools, may have callbacks
 * (which run in mp_iterator_next(), too), and may be freed while the iterator lives: it keeps what
 * it needs. The timeout of each mp_iterator_next() is its own.
 *
 * Thread-safe; not async-signal-safe; only in the process that submitted. Python: as_completed().
 *
 * @param[out] out the iterator, NULL on failure; owed to mp_iterator_free()
 * @param rs results; the array need not live on
 * @param count how many; with 0 the iterator ends at once
 * @return 0; #MP_EINVAL: out is NULL, rs is NULL with a count, one of them is NULL, count < 0;
 *         #MP_ESTATE: submitted by another process; #MP_ENOMEM
 */
MP_API int mp_as_completed(mp_iterator **out, mp_result **rs, int count);

/**
 * Waits for the next item and returns it.
 *
 * After #MP_ETIMEDOUT and #MP_EINTR the iterator is as it was. Callbacks that are due run in it,
 * see @ref result. Not thread-safe for one iterator, not async-signal-safe. Python:
 * IMapIterator.next(timeout), `next(it)`.
 *
 * @param it an iterator
 * @param[out] out where the output goes, untouched if the item failed; may be NULL. Of
 *         mp_as_completed() the output of the whole result, items that failed left as they are
 * @param[out] index which one it is: the number of its input, from 0, or of mp_as_completed() the
 *         place in the array; left alone when there is no item; may be NULL
 * @param timeout seconds
 * @return 0; the item's code, or that of the result's lowest failed item, see mp_last_task_error():
 *         #MP_ETASK, #MP_ECRASHED, #MP_ETASKTIMEOUT or #MP_ECANCELED; #MP_EEOF: there is no more,
 *         again and again; #MP_ETIMEDOUT; #MP_EINTR; what the input's `next` returned, once, with
 *         the number of the input that it did not give; #MP_ESTATE: another process's iterator, or
 *         once: the pool takes no more work, because it was closed, terminated or freed, or its
 *         supervisor is gone; #MP_ENOMEM, once: an input was lost for want of memory; #MP_EINVAL:
 *         it is NULL, timeout is NaN
 */
MP_API int mp_iterator_next(mp_iterator *it, void *out, size_t *index, double timeout);

/**
 * Tells where the bytes are of the item that mp_iterator_next() returned last: what its task gave
 * to mp_task_return(), or else its output.
 *
 * They lie in shared memory until the next mp_iterator_next() or mp_iterator_free(). Of
 * mp_as_completed(), for a result of several items: the whole array of outputs.
 * Not thread-safe for one iterator, not async-signal-safe.
 *
 * @param it an iterator
 * @param[out] data where they are; NULL if there are none
 * @param[out] length how many
 * @return 0; the item's code if it failed; #MP_ESTATE: next has not returned an item, or another
 *         process's iterator; #MP_EINVAL: NULL; #MP_ENOMEM
 */
MP_API int mp_iterator_data(mp_iterator *it, const void **data, size_t *length);

/** Ends the iteration: of mp_pool_imap() it cancels what has not started, and drops the rest; of
 *  mp_as_completed() the results stay as they are. Must come before mp_pool_free() of its pool, or
 *  after: both work. Thread-safe as long as nobody uses it any more; not async-signal-safe.
 *  @param it an iterator, or NULL */
MP_API void mp_iterator_free(mp_iterator *it);

MP_END_DECLS

/** @} */

#endif
