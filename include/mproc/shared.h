/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/shared.h
 * @brief Memory that every process of the family sees at the same address.
 */
#ifndef MPROC_SHARED_H
#define MPROC_SHARED_H

#include <mproc/defs.h>

/** @defgroup shared Shared memory
 *  @brief Blocks of memory for all processes of the family. Python: RawValue, RawArray.
 *
 *  A block is usable, at the same address, by every process of the family, also by those that
 *  started before the call; so pointers to blocks can be put into blocks, sent through queues and
 *  handed to older processes. Its pages are real when it is handed out: a limit is #MP_ENOMEM here,
 *  never a SIGBUS later (before Linux 5.14 memory that the system refuses is a SIGBUS here).
 *
 *  **When a process dies** inside one of these functions at most the block in flight is lost, and
 *  nobody is blocked. One that is stopped (SIGSTOP) while it holds the allocator's lock keeps
 *  others waiting until it goes on.
 *  @{ */

MP_BEGIN_DECLS

/**
 * Allocates a block of shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param size bytes; 0 gives a block, too
 * @return the block, aligned to 16 bytes, contents undefined; NULL: see mp_shared_error()
 */
MP_API void *mp_shared_alloc(size_t size);

/**
 * Allocates a zeroed block for an array.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param n how many elements
 * @param size bytes of one element; a product that overflows is #MP_EINVAL
 * @return the zeroed block, aligned to 16 bytes; NULL: see mp_shared_error()
 */
MP_API void *mp_shared_calloc(size_t n, size_t size);

/**
 * Gives a block back. Any process may free what any other has allocated.
 *
 * A pointer that is no live block is left alone, and mp_shared_error() says #MP_EINVAL.
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param p a block, or NULL
 */
MP_API void mp_shared_free(void *p);

/**
 * Why this thread's last mp_shared_alloc(), mp_shared_calloc() or mp_shared_free() failed.
 *
 * Thread-safe, async-signal-safe.
 *
 * @return 0 if it succeeded; #MP_ENOMEM; #MP_EINVAL; or a code of mp_init()
 */
MP_API int mp_shared_error(void);

/**
 * Checks the shared region: every structure of the allocator, and that no two blocks overlap.
 *
 * Meant for tests after a crash. It must not run while other processes allocate.
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param problem where to store a static sentence about the first fault found, or NULL
 * @return 0 if all is sound; #MP_EBROKEN if not; or a code of mp_init()
 */
MP_API int mp_shared_check(const char **problem);

MP_END_DECLS

/** @} */

#endif
