/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/pipe.h
 * @brief Pipes: two connected connections.
 */
#ifndef MPROC_PIPE_H
#define MPROC_PIPE_H

#include <mproc/connection.h>

/** @addtogroup connection
 *  @{ */

MP_BEGIN_DECLS

/**
 * Makes two connections: what is sent on one is received on the other.
 *
 * Messages of up to 4 KiB go through memory that both ends share, larger ones and descriptors
 * through the kernel; a pipe takes up to 150 KiB of memory, as it is used.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: Pipe().
 *
 * @param[out] a one end; with duplex false it only receives
 * @param[out] b the other end; with duplex false it only sends
 * @param duplex whether both ends send and receive
 * @return 0; #MP_EINVAL: a or b is NULL; #MP_ESYS(EMFILE): no descriptors are left; #MP_ENOMEM.
 *         On failure both are NULL.
 */
MP_API int mp_pipe(mp_connection **a, mp_connection **b, bool duplex);

MP_END_DECLS

/** @} */

#endif
