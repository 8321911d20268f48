/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/event.h
 * @brief The event: a flag that processes wait for.
 */
#ifndef MPROC_EVENT_H
#define MPROC_EVENT_H

#include <mproc/defs.h>

/** @defgroup event Event
 *  @brief One says that something has happened, all who wait for it go on. Python: Event.
 *
 *  Made by mp_event_create() in shared memory, or by mp_event_init() inside the program's own
 *  shared structure; clear at first.
 *
 *  Everybody who waits when the event is set goes on, with success, also if it is cleared again
 *  before they have run. Nobody waits for those who are woken.
 *
 *  **When a process dies** nothing of the event is harmed: it was set by then or it was not. If it
 *  died between setting the event and waking the others, they notice within 100 ms, or at the next
 *  mp_event_set(). Waiters that are dead or stopped (SIGSTOP) delay nobody.
 *
 *  See @ref guide_event "the chapter".
 *  @{ */

/** An event. Its bytes are private; they are shared between processes and never copied. */
typedef struct __attribute__((aligned(16))) mp_event {
    uint64_t opaque[4]; /**< Private, with room to grow. */
} mp_event;

/** Options of mp_event_create(). */
typedef struct mp_event_options {
    size_t size; /**< sizeof(mp_event_options); mp_event_new() sets it. */
} mp_event_options;

MP_BEGIN_DECLS

/**
 * Makes an event in shared memory, for every process of the family.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Event().
 *
 * @param[out] out the new event, NULL on failure; owed to mp_event_free() by one process
 * @param options NULL, or see #mp_event_options
 * @return 0; #MP_EINVAL: out is NULL, unknown options; #MP_ENOMEM; or a code of mp_init()
 */
MP_API int mp_event_create(mp_event **out, const mp_event_options *options);

/** mp_event_create() with keywords: `mp_event_new(&event)`. */
#define mp_event_new(...) MP_I_NEW(mp_event, __VA_ARGS__)

/** Frees an event of mp_event_create(), for all processes: nobody may use it any more, and whoever
 *  has set it must have returned from that.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param event an event, or NULL */
MP_API void mp_event_free(mp_event *event);

/**
 * Makes an event inside a structure of the program's that lies in shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param event where it shall be, aligned to 16 bytes; not an event in use
 * @return 0; #MP_EINVAL: NULL or badly aligned; or a code of mp_init()
 */
MP_API int mp_event_init(mp_event *event);

/** Ends an event of mp_event_init(). Nobody may use it any more; later calls are #MP_EINVAL.
 *  Thread-safe; not async-signal-safe; usable after a plain fork().
 *  @param event an event
 *  @return 0; #MP_EINVAL: NULL, or no event */
MP_API int mp_event_fini(mp_event *event);

/**
 * Sets the event: everybody who waits goes on, and nobody waits any more until it is cleared.
 *
 * Thread-safe, async-signal-safe: also in a handler that has interrupted a wait for this very
 * event; usable after a plain fork(). Python: set().
 *
 * @param event an event; set already: it stays so
 * @return 0; #MP_EINVAL: no event; #MP_ESYS(EMFILE) and the like: it is set, but one who waits by
 *         mp_event_fileno() could not be told
 */
MP_API int mp_event_set(mp_event *event);

/**
 * Clears the event: from now on mp_event_wait() waits.
 *
 * Thread-safe, async-signal-safe; usable after a plain fork(). Python: clear().
 *
 * @param event an event; clear already: it stays so
 * @return 0; #MP_EINVAL: no event
 */
MP_API int mp_event_clear(mp_event *event);

/** Whether the event is set; may be stale at once. Thread-safe, async-signal-safe; usable
 *  after a plain fork(). Python: is_set().
 *  @param event an event
 *  @return true if set; false for what is no event */
MP_API bool mp_event_is_set(const mp_event *event);

/**
 * Waits until the event is set, if it is not.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: wait(timeout).
 *
 * @param event an event
 * @param timeout seconds
 * @return 0: it is set, or was set during the wait, even if it is clear again; #MP_ETIMEDOUT;
 *         #MP_EINVAL: no event, timeout is NaN; #MP_EINTR
 */
MP_API int mp_event_wait(mp_event *event, double timeout);

MP_END_DECLS

/** @} */

#endif
