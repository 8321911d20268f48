/* SPDX-License-Identifier: MIT */
/* The files behind named shared memory: made whole, mapped, and removed. */
#ifndef MPROC_OS_SHMFILE_H
#define MPROC_OS_SHMFILE_H

#include "os/fd.h"

#define MP__SHMFILE_NAME_MOST 255

/* A file that is mapped. Its descriptor is closed by then. */
typedef struct mp__shmfile {
    void *base;
    size_t length;
    mp__fd_identity identity;
} mp__shmfile;

/* Names have 1 to MP__SHMFILE_NAME_MOST bytes, no slash, and are not "." or "..". */

/* Makes a new file of this length, with memory for all of it unless `sparse`, and maps it. Returns
 * 0; MP_ESYS(EEXIST); MP_ENOMEM; MP_ESYS(EFBIG); another code. A failure leaves no file. */
int mp__shmfile_create(mp__shmfile *file, const char *name, size_t length, bool sparse);

/* Maps one that exists. Returns 0; MP_ESYS(ENOENT); MP_EAGAIN: it is empty; MP_EINVAL: it has fewer
 * bytes than `least`, or is no regular file; another code. */
int mp__shmfile_attach(mp__shmfile *file, const char *name, size_t least);

void mp__shmfile_unmap(void *base, size_t length);

/* Removes the name if it still is this file's. Returns 0; MP_ESYS(ENOENT) if not; another code. */
int mp__shmfile_unlink(const char *name, const mp__fd_identity *identity);

/* Whether the last byte of a mapping can be touched: 0; MP_ESYS(EFAULT) if not; another code if
 * that cannot be told. */
int mp__shmfile_probe(const void *base, size_t length);

/* Random bytes. Returns 0 or a code. */
int mp__shmfile_random(void *bytes, size_t count);

#endif
