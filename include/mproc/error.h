/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/error.h
 * @brief Result codes: one list, their names and their sentences.
 */
#ifndef MPROC_ERROR_H
#define MPROC_ERROR_H

#include <errno.h>
#include <mproc/defs.h>

/** @defgroup errors Errors
 *  @brief What a negative result means.
 *
 *  The numbers are part of the ABI: the library's own codes count down from -1001, and a failure of
 *  the system keeps its cause as #MP_ESYS of the errno value.
 *
 *  See @ref guide_conventions "the chapter" on conventions.
 *  @{ */

/**
 * The one list of codes: X(constant, number, sentence).
 * mp_errname(), mp_strerror() and the constants are all made from it.
 */
#define MP_ERROR_LIST(X)                                                                           \
    X(MP_EINVAL, -1001, "bad argument")                                                            \
    X(MP_ESTATE, -1002, "the object is not in a state for this call")                              \
    X(MP_ETIMEDOUT, -1003, "the deadline passed")                                                  \
    X(MP_EEMPTY, -1004, "the queue is empty")                                                      \
    X(MP_EFULL, -1005, "the queue is full")                                                        \
    X(MP_EAGAIN, -1006, "nothing was decided, try again")                                          \
    X(MP_ECLOSED, -1007, "the handle or object is closed")                                         \
    X(MP_EEOF, -1008, "end of file: every copy of the other end is gone and nothing is left")      \
    X(MP_EPIPE, -1009, "broken pipe: every copy of the other end is gone")                         \
    X(MP_EMSGSIZE, -1010, "the message does not fit")                                              \
    X(MP_EBROKEN, -1011, "broken: a barrier, or shared memory that was written over")              \
    X(MP_ETASK, -1012, "the task failed")                                                          \
    X(MP_ETASKTIMEOUT, -1013, "the task was killed by its time limit")                             \
    X(MP_ECRASHED, -1014, "the process that ran the task died")                                    \
    X(MP_ECANCELED, -1015, "canceled")                                                             \
    X(MP_EINTR, -1016, "interrupted by mp_interrupt()")                                            \
    X(MP_EPERM, -1017, "the caller does not hold it")                                              \
    X(MP_EDEADLK, -1018, "the caller holds it already")                                            \
    X(MP_EAUTH, -1019, "authentication failed")

/** @cond internal */
#define MP_I_ERROR_CONSTANT(name, number, text) name = (number),
/** @endcond */

/**
 * The library's own codes.
 *
 * | code | Python | meaning |
 * |---|---|---|
 * | MP_EINVAL | ValueError, TypeError | bad argument |
 * | MP_ESTATE | AssertionError, ValueError | not in a state for this call: started twice, pool not closed, not my child |
 * | MP_ETIMEDOUT | TimeoutError | my wait's deadline passed |
 * | MP_EEMPTY, MP_EFULL | queue.Empty, queue.Full | at a try, and when the deadline passed |
 * | MP_EAGAIN | - | nothing was decided: an internal lock was busy, or a limit of the library is reached |
 * | MP_ECLOSED | ValueError "closed" | closed, also while I was blocked on it |
 * | MP_EEOF | EOFError, StopIteration | every copy of the other end is gone and nothing is left |
 * | MP_EPIPE | BrokenPipeError | every copy of the other end is gone; or a send was cut off midway by its deadline, which ends the connection |
 * | MP_EMSGSIZE | BufferTooShort | the buffer is too small, the message stays; or a message that can never fit |
 * | MP_EBROKEN | BrokenBarrierError | a barrier: broken by abort, timeout, a failed action or a death; shared memory: somebody astray has written over it |
 * | MP_ETASK | the task's exception | the task returned a negative value |
 * | MP_ETASKTIMEOUT | - | the task was killed by its own time limit |
 * | MP_ECRASHED | (hangs, or BrokenProcessPool) | the process that ran the task died |
 * | MP_ECANCELED | CancelledError | canceled before it ran, or terminated |
 * | MP_EINTR | KeyboardInterrupt | mp_interrupt() was called |
 * | MP_EPERM | - | released by one who does not hold it |
 * | MP_EDEADLK | (deadlock) | the owner acquires its own non-recursive lock |
 * | MP_EAUTH | AuthenticationError | authentication failed; nothing in this release returns it |
 */
enum mp_error { MP_ERROR_LIST(MP_I_ERROR_CONSTANT) };

/**
 * The code of a failure of the system with errno value `e`; `MP_ESYS(EMFILE)` and so on.
 *
 * @param e a value of errno, which is > 0
 * @return the code, a constant expression if e is one
 */
#define MP_ESYS(e) (-(10000 + (e)))
/** No memory: the region's limit, or the system's refusal. */
#define MP_ENOMEM MP_ESYS(ENOMEM)

/**
 * Acquired, a success: but the last owner died while it held the lock, so what the lock guards may
 * be half-changed. Told once, to the next who acquires; no further call is owed.
 */
#define MP_OWNERDEAD 1

MP_BEGIN_DECLS

/**
 * One English sentence that says what a code means.
 *
 * Thread-safe, async-signal-safe for the library's own codes.
 *
 * @param code a result of any function of this library
 * @return a static string, never NULL
 */
MP_API const char *mp_strerror(int code);

/**
 * The name of a code's constant: "MP_EINVAL"; for a code of the system the errno's name: "ENOMEM".
 *
 * Thread-safe, async-signal-safe.
 *
 * @param code a result of any function of this library
 * @return a static string, never NULL; "MP_OK" for a success, "?" for a number that is no code
 */
MP_API const char *mp_errname(int code);

MP_END_DECLS

/** @} */

#endif
