/* SPDX-License-Identifier: MIT */
/* Size-stamped option structures: an older (smaller) one is completed with zeroes, a newer (larger)
 * one is accepted if what this library does not know is zero. */
#ifndef MPROC_BASE_OPTIONS_H
#define MPROC_BASE_OPTIONS_H

#include <stddef.h>

/* Copies the caller's options (NULL: none given) into ours, whose first member is its size.
 * Returns 0, or MP_EINVAL. */
int mp__options_read(void *ours, size_t our_size, const void *given);

#endif
