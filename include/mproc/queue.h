/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/queue.h
 * @brief Queues of messages for any number of producers and consumers.
 */
#ifndef MPROC_QUEUE_H
#define MPROC_QUEUE_H

#include <mproc/defs.h>

/** @defgroup queue Queue
 *  @brief A queue of messages in shared memory. Python: Queue, SimpleQueue.
 *
 *  Any process of the family may put and get, also one that started before the queue was made. A
 *  message is bytes with a length, from 0 to what memory holds. It is copied inside put, and
 *  visible to every process when put returns: there is no feeder thread and nothing to flush.
 *  Messages of one producer come out in the order in which they went in.
 *
 *  **When a process dies** in put, its message is there as a whole or not at all; in get, the
 *  message stays or went with the process. Nobody is blocked, nothing is torn. A queue has no fixed
 *  peer, so a get whose producers have all died ends by its deadline. A process that is stopped
 *  (SIGSTOP) within the few instructions in which it holds an internal lock delays the others until
 *  their deadlines; if the lock is the allocator's, which large messages need, until it goes on.
 *
 *  See the chapters @ref guide_queue "Queue" and @ref guide_queue_delivery "Delivery".
 *  @{ */

/** A queue, in shared memory. */
typedef struct mp_queue mp_queue;

/** What becomes of messages whose consumer died before mp_queue_task_done(). */
enum mp_on_death {
    MP_LOSE = 1,     /**< They are lost, and counted: mp_queue_lost(). */
    MP_REDELIVER = 2 /**< They come back, before all others. Then mp_queue_task_done() is owed for
                          each message: until then the queue keeps it, and a get is #MP_ECLOSED
                          only when no other process has one that might come back; so who gets
                          until then does its tasks as it goes. A get may be #MP_ENOMEM, and a
                          descriptor of mp_queue_fileno() tells of what comes back only when
                          somebody gets, joins or asks mp_queue_lost(). */
};

/** Options of mp_queue_create(). */
typedef struct mp_queue_options {
    size_t size;     /**< sizeof(mp_queue_options); mp_queue_new() sets it. */
    int maxsize;     /**< The most messages it holds; not given: no limit but memory. */
    size_t capacity; /**< The most bytes it holds, 8 for each message included; not given: no limit
                          but memory. */
    int on_death;    /**< What becomes of messages that a process got and did not finish when it
                          died: one of #mp_on_death; not given: #MP_LOSE. */
} mp_queue_options;

/** One message of mp_queue_put_many() or mp_queue_get_many(). */
typedef struct mp_bytes {
    void *data;      /**< The bytes. */
    size_t length;   /**< How many; set by get. */
    size_t capacity; /**< How many fit at data; read by get alone. */
} mp_bytes;

MP_BEGIN_DECLS

/**
 * Makes a queue in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Queue(maxsize).
 *
 * @param[out] out the new queue, NULL on failure; owed to mp_queue_free() by one process
 * @param options see #mp_queue_options, or NULL
 * @return 0; #MP_EINVAL: out is NULL, maxsize < 0, unknown options; #MP_ENOMEM; or a code of
 *         mp_init()
 */
MP_API int mp_queue_create(mp_queue **out, const mp_queue_options *options);

/** mp_queue_create() with keywords: `mp_queue_new(&q, .maxsize = 8)`. */
#define mp_queue_new(...) MP_I_NEW(mp_queue, __VA_ARGS__)

/** Frees the queue and what is in it, for all processes: nobody may use it any more. Who has put
 *  the message that has come out, or closed the queue, may still be on its way out of that call: it
 *  is waited for, but not longer than a second, should it be stopped (SIGSTOP) there.
 *  Thread-safe; not async-signal-safe.
 *  @param q a queue, or NULL */
MP_API void mp_queue_free(mp_queue *q);

/**
 * Puts one message into the queue. While the queue is full it waits.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: put().
 *
 * @param q a queue
 * @param data the bytes, copied; may be NULL if length is 0
 * @param length how many, 0 included
 * @param timeout seconds
 * @return 0; #MP_EFULL: full until the deadline; #MP_ECLOSED; #MP_EMSGSIZE: more than the queue's
 *         capacity; #MP_EINVAL: no queue, data is NULL with a length, timeout is NaN; #MP_ENOMEM;
 *         #MP_EAGAIN: an internal lock was busy for 1 ms at a try, or, held by a process that is
 *         stopped, until the deadline; #MP_EINTR; #MP_ESYS(EMFILE) and the like: one who waits by
 *         mp_queue_fileno() cannot be told
 */
MP_API int mp_queue_put(mp_queue *q, const void *data, size_t length, double timeout);

/**
 * Gets the next message out of the queue. While the queue is empty it waits.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: get().
 *
 * @param q a queue
 * @param[out] buffer where the message goes; may be NULL if capacity is 0
 * @param capacity how many bytes fit
 * @param timeout seconds
 * @return the message's length, which may be 0; #MP_EEMPTY: empty until the deadline; #MP_EMSGSIZE:
 *         it does not fit, and stays; #MP_ECLOSED: closed, and nothing is left; #MP_EINVAL: no
 *         queue, buffer is NULL with a capacity, timeout is NaN; #MP_EAGAIN: an
 *         internal lock was busy for 1 ms at a try, or, held by a process that is stopped, until
 *         the deadline; #MP_EINTR; #MP_EBROKEN: somebody astray has written over the queue, whose
 *         next message is none; #MP_ENOMEM: in a queue that redelivers, no memory to keep it by
 */
MP_API ssize_t mp_queue_get(mp_queue *q, void *buffer, size_t capacity, double timeout);

/**
 * mp_queue_get() that also tells the length of a message that does not fit.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param q a queue
 * @param[out] buffer where the message goes
 * @param capacity how many bytes fit
 * @param[out] needed the message's length, on success and at #MP_EMSGSIZE; else 0
 * @param timeout seconds
 * @return as mp_queue_get(); #MP_EINVAL also if needed is NULL
 */
MP_API ssize_t mp_queue_get_sized(mp_queue *q, void *buffer, size_t capacity, size_t *needed,
                                  double timeout);

/**
 * Gets the next message into memory that it allocates. While the queue is empty it waits.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: get().
 *
 * @param q a queue
 * @param[out] data the bytes, to be released with free(); never NULL on success, NULL on failure
 * @param[out] length how many
 * @param timeout seconds
 * @return 0; #MP_ENOMEM: the message stays; or a code of mp_queue_get()
 */
MP_API int mp_queue_get_alloc(mp_queue *q, void **data, size_t *length, double timeout);

/**
 * Puts many messages into the queue, one after the other, with one lock for as many as fit.
 *
 * Waits for room, until the deadline, as long as some have not gone in. Other producers' messages
 * may come between. Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param q a queue
 * @param messages data and length of each
 * @param count how many; 0 does nothing
 * @param timeout seconds
 * @return how many went in, the first ones of the list; if none did, a code of mp_queue_put()
 */
MP_API int mp_queue_put_many(mp_queue *q, const mp_bytes *messages, int count, double timeout);

/**
 * Waits for a message, and gets as many as there are, with one lock.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param q a queue
 * @param[in,out] messages data and capacity of each; length is set
 * @param count how many at most; 0 does nothing
 * @param timeout seconds to wait for the first
 * @return how many came out, fewer also if the next does not fit into its place; if none did, a
 *         code of mp_queue_get()
 */
MP_API int mp_queue_get_many(mp_queue *q, mp_bytes *messages, int count, double timeout);

/**
 * Says that what was to be done with a message is done: to be called once for each that was got.
 *
 * Messages are not told apart: the call counts for the oldest that the calling thread got and that
 * is not done, else one of another thread of its process, else one of another process. It should be
 * called by the process that got the message, for it is that one's death which decides about it.
 * Waits, without a deadline, while another process is stopped in one of these calls.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: task_done().
 *
 * @param q a queue
 * @return 0; #MP_ESTATE: there is no message that was got and is neither done nor lost; #MP_EINVAL:
 *         no queue
 */
MP_API int mp_queue_task_done(mp_queue *q);

/**
 * Waits until each message that was put is done, or lost with a process that died.
 *
 * It may be called by any number of processes, again and again, also when the queue is closed. A
 * moment at which nothing was left to do ends all calls that wait then, even if more was put since.
 * A consumer that is killed is found out within 100 ms; in a queue that redelivers its messages are
 * left for another. One that was stopped (SIGSTOP) keeps join waiting, and so does one that has
 * called execve() with messages in hand.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: join(), which has no
 * timeout and waits for ever for who was killed.
 *
 * @param q a queue
 * @param timeout seconds
 * @return 0; #MP_ETIMEDOUT; #MP_EINVAL: no queue, timeout is NaN; #MP_EAGAIN: an internal lock was
 *         busy for 1 ms at a try, or, held by a process that is stopped, until the deadline;
 *         #MP_EINTR
 */
MP_API int mp_queue_join(mp_queue *q, double timeout);

/**
 * How many messages are lost: got by processes that died before they had called
 * mp_queue_task_done() for them. 0 in a queue that redelivers.
 *
 * Looks who has died. As mp_queue_task_done() it may wait for a stopped process. In a queue whose
 * consumers do not call mp_queue_task_done() all messages of a process count when it ends.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: -
 *
 * @param q a queue
 * @return the number; #MP_EINVAL: no queue
 */
MP_API int64_t mp_queue_lost(mp_queue *q);

/**
 * Lends a block of shared memory, to be filled and then published: a message without a copy.
 *
 * The block belongs to the calling process until mp_queue_publish() or mp_queue_discard(). It comes
 * back when the process dies, or with mp_queue_free(). Nothing is put yet, and no limit of the
 * queue is asked. Thread-safe; not async-signal-safe; usable after a plain fork(). Python: -
 *
 * @param q a queue
 * @param length how many bytes the message will have; 0 included
 * @param[out] block where they go, aligned to 16; NULL on failure
 * @param timeout seconds to wait for an internal lock, at a thread's first call, but at least 1 ms;
 *        memory is never waited for
 * @return 0; #MP_ENOMEM; #MP_EAGAIN: that lock was busy until the deadline; #MP_EINTR; #MP_EINVAL:
 *         no queue, block is NULL, timeout is NaN
 */
MP_API int mp_queue_loan(mp_queue *q, size_t length, void **block, double timeout);

/**
 * Puts a loan into the queue, as it is. While the queue is full it waits.
 *
 * Then the block is the getter's: mp_queue_take() hands it over, mp_queue_get() and the others copy
 * it. If the call fails the block still belongs to the caller. If the process dies in it the
 * message is there, or it is not and the block has come back.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: -
 *
 * @param q the queue that lent it
 * @param block a loan of the calling process
 * @param timeout seconds
 * @return as mp_queue_put(); #MP_EINVAL also if block is no loan of this process and queue: it was
 *         published or discarded, or is another's
 */
MP_API int mp_queue_publish(mp_queue *q, void *block, double timeout);

/**
 * Gives a loan back unpublished.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: -
 *
 * @param q the queue that lent it
 * @param block a loan of the calling process
 * @return 0; #MP_EINVAL: no queue, or no loan of this process and queue
 */
MP_API int mp_queue_discard(mp_queue *q, void *block);

/**
 * Gets the next message without a copy, if it is one that was published, or a long one (more than
 * 4096 bytes); others are copied into a block. While the queue is empty it waits.
 *
 * The message stays where it is until mp_queue_release(), however long that takes: others go on.
 * When the process dies it is released; in a queue that redelivers it comes back unless its task is
 * done. What was taken and not released goes with mp_queue_free().
 * Thread-safe; not async-signal-safe; usable after a plain fork(): the child of a process that
 * holds a message holds none. Python: -
 *
 * @param q a queue
 * @param[out] message the bytes, aligned to 16, to be read only; NULL on failure
 * @param[out] length how many
 * @param timeout seconds
 * @return 0; #MP_ENOMEM: the message stays; or a code of mp_queue_get(), but #MP_EMSGSIZE
 */
MP_API int mp_queue_take(mp_queue *q, const void **message, size_t *length, double timeout);

/**
 * Releases a message that mp_queue_take() gave. This is not mp_queue_task_done().
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: -
 *
 * @param q the queue that it came from
 * @param message a message that the calling process has taken
 * @return 0; #MP_EINVAL: no queue, or no such message: it was released, or is another's
 */
MP_API int mp_queue_release(mp_queue *q, const void *message);

/** How many messages are in the queue; exact, and possibly stale at once. Thread-safe,
 *  async-signal-safe. Python: qsize().
 *  @param q a queue
 *  @return the number; #MP_EINVAL: no queue */
MP_API int mp_queue_size(const mp_queue *q);

/** Whether the queue is empty. Thread-safe, async-signal-safe. Python: empty().
 *  @param q a queue
 *  @return true if empty, and for what is no queue */
MP_API bool mp_queue_empty(const mp_queue *q);

/** Whether the queue is full: maxsize messages are in it. Thread-safe, async-signal-safe.
 *  Python: full().
 *  @param q a queue
 *  @return true if full; false without a maxsize, and for what is no queue */
MP_API bool mp_queue_full(const mp_queue *q);

/**
 * Closes the queue for all processes: no more puts, by anyone. Gets still drain it.
 *
 * Who waits in put gets #MP_ECLOSED, as does who waits in get once it is empty.
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: queue.Queue.shutdown().
 *
 * @param q a queue
 * @return 0, again when it is closed already; #MP_EINVAL: no queue; #MP_ESYS(EMFILE) and the like:
 *         it is closed, but one who waits by mp_queue_fileno() could not be told
 */
MP_API int mp_queue_close(mp_queue *q);

/**
 * Gets a message of exactly this length; MP_GET() calls it. While the queue is empty it waits.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param q a queue
 * @param[out] buffer where the message goes
 * @param length the length that the message must have
 * @param timeout seconds
 * @return 0; #MP_EMSGSIZE: the message has another length, and stays; or a code of mp_queue_get()
 */
MP_API int mp_queue_get_exact(mp_queue *q, void *buffer, size_t length, double timeout);

MP_END_DECLS

#ifdef __cplusplus

extern "C++" {
/** Puts one value in: anything trivially copyable but an array. */
template <class Value> inline int MP_PUT(mp_queue *q, const Value &value, double timeout)
{
    static_assert(__is_trivially_copyable(Value), "MP_PUT takes plain values");
    return mp_queue_put(q, &value, sizeof(Value), timeout);
}

template <class Element, size_t count>
int MP_PUT(mp_queue *q, const Element (&array)[count], double timeout) = delete;

/** Gets one value: anything trivially copyable. */
template <class Value> inline int MP_GET(mp_queue *q, Value *pointer, double timeout)
{
    static_assert(__is_trivially_copyable(Value), "MP_GET takes plain values");
    return mp_queue_get_exact(q, pointer, sizeof(Value), timeout);
}
}

#else

/**
 * Puts one value into a queue, a scalar or a structure: `MP_PUT(q, 42, MP_FOREVER)`. Arrays are
 * refused by the compiler. C++ has a template of the same name.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: put().
 *
 * @param q a queue
 * @param value the value; its type is what counts: 42 is an int
 * @param timeout seconds
 * @return as mp_queue_put()
 */
#define MP_PUT(q, value, timeout)                                                                  \
    mp_queue_put((q), (__typeof__(value)[1]){value}, sizeof(__typeof__(value)), (timeout))

/**
 * Gets one value out of a queue: `long x; MP_GET(q, &x, MP_FOREVER)`. C++ has a template of the
 * same name.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: get().
 *
 * @param q a queue
 * @param pointer where the value goes
 * @param timeout seconds
 * @return 0; #MP_EMSGSIZE: the message has another size, and stays; or a code of mp_queue_get()
 */
#define MP_GET(q, pointer, timeout)                                                                \
    mp_queue_get_exact((q), (pointer), sizeof(*(pointer)), (timeout))

#endif

/** @} */

#endif
