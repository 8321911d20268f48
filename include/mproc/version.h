/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/version.h
 * @brief The version of the library: the one place where it is written down.
 */
#ifndef MPROC_VERSION_H
#define MPROC_VERSION_H

#include <mproc/defs.h>

/** @addtogroup conventions
 *  @{ */

#define MP_VERSION_MAJOR 0 /**< Changes when the interface breaks. */
#define MP_VERSION_MINOR 1 /**< Changes when the interface grows. */
#define MP_VERSION_PATCH 0 /**< Changes with every other release. */

/** The version a program is compiled against, as one number: 0xMMmmpp. */
#define MP_VERSION (MP_VERSION_MAJOR * 0x10000 + MP_VERSION_MINOR * 0x100 + MP_VERSION_PATCH)

MP_BEGIN_DECLS

/**
 * The version of the library that is running, to be compared with #MP_VERSION.
 *
 * Thread-safe, async-signal-safe, usable after fork().
 *
 * @return the number of the running library, in the form of #MP_VERSION
 */
MP_API int mp_version(void);

MP_END_DECLS

/** @} */

#endif
