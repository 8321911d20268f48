/* SPDX-License-Identifier: MIT */
/* The C library's streams around fork() and exit(). */
#ifndef MPROC_OS_STDIO_H
#define MPROC_OS_STDIO_H

/* Before a fork: writes out standard output and error; all streams if the process has one thread
 * (another one that sits in fgets() would hold us up). */
void mp__stdio_flush(void);

/* In the forked child: forgets what standard output and error hold back: what another thread of the
 * parent has printed since the flush, and the parent will write. */
void mp__stdio_disown(void);

/* At the end of the process: writes out everything as exit() does, without waiting for streams in
 * which other threads sit. */
void mp__stdio_finish(void);

#endif
