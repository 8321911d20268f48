/* SPDX-License-Identifier: MIT */
/* Where a process was when it crashed: written by itself, read by who has reaped it. */
#ifndef MPROC_OS_BACKTRACE_H
#define MPROC_OS_BACKTRACE_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

#define MP__FRAMES_MOST 32

/*
 * | state   | set by                           | means                                     |
 * | QUIET   | the process, before it begins    | no crash                                  |
 * | WRITING | a crashing thread, by one CAS    | `frame` is good up to `count`             |
 * | WRITTEN | the same                         | that is all                               |
 */
enum mp__crash_state { MP__CRASH_QUIET, MP__CRASH_WRITING, MP__CRASH_WRITTEN };

/* In shared memory. */
typedef struct mp__crash {
    _Atomic uint32_t state;
    _Atomic uint32_t count;
    uintptr_t frame[MP__FRAMES_MOST]; /* where it was; then, outwards, where calls return to */
} mp__crash;

/* Once, in the process from which all that may crash will be forked: loads what a handler could
 * not. */
void mp__backtrace_prepare(void);

/* In a process, in the thread whose stack may overflow: SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT
 * leave a backtrace in *crash, which is QUIET then, before they kill. Those that are handled or
 * ignored already stay so. */
void mp__backtrace_arm(mp__crash *crash);

/* Whether a process that was killed by this signal may have left one. */
bool mp__backtrace_covers(int number);

#endif
