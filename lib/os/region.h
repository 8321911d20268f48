/* SPDX-License-Identifier: MIT */
/* One large, sparse, shared mapping. */
#ifndef MPROC_OS_REGION_H
#define MPROC_OS_REGION_H

#include <stddef.h>

/* Reserves up to *size bytes of zeroed memory that forked children share, at a fixed address if one
 * of our candidates is free; halves the size until it fits. Nothing is backed by memory yet, nor
 * part of a core dump. Returns 0 with the base and the size; or a code if not even `least` fits. */
int mp__region_reserve(void **base, size_t *size, size_t least);

/* Takes the whole mapping down again. */
void mp__region_release(void *base, size_t size);

/* Backs [start, start + length) with memory, so that touching it cannot fail; what is there stays.
 * Returns 0 or MP_ENOMEM. */
int mp__region_populate(void *start, size_t length);

/* Gives whole pages back to the system; they read as zero then. */
void mp__region_discard(void *start, size_t length);

size_t mp__region_page_size(void);

#endif
