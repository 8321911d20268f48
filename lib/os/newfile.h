/* SPDX-License-Identifier: MIT */
/* A file that is written beside its place and takes it when it is whole. */
#ifndef MPROC_OS_NEWFILE_H
#define MPROC_OS_NEWFILE_H

#include <stddef.h>

typedef struct mp__newfile {
    const char *path;
    char *temporary; /* where it is meanwhile */
    int fd;
    int code; /* the first thing that went wrong, or 0 */
    size_t used;
    char *buffer;
} mp__newfile;

/* The path as it will be understood after a chdir(), to be freed, if a file can be made there now:
 * what is there already must be an ordinary file. Returns 0; MP_EINVAL: something else is there;
 * MP_ENOMEM; or a code of the system. */
int mp__newfile_check(char **absolute, const char *path);

/* Begins. The path must live until the end. Returns 0 or a code; then nothing is to be ended. */
int mp__newfile_begin(mp__newfile *f, const char *path);

/* Writes, at most 4096 bytes at once; what goes wrong is told at the end. */
void mp__newfile_print(mp__newfile *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The file takes its place, over one that was there; or, after a failure, there is none. Returns 0
 * or a code. */
int mp__newfile_end(mp__newfile *f);

#endif
