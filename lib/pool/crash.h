/* SPDX-License-Identifier: MIT */
/* What a crashed worker has left of where it was, and how people read it. */
#ifndef MPROC_POOL_CRASH_H
#define MPROC_POOL_CRASH_H

#include "pool/control.h"

/* In the supervisor, when the slot's worker was reaped: the same failure with the backtrace that
 * the worker has left, if it has. The failure is given away; it may be NULL. */
mp__failure *mp__crash_keep(mp__failure *f, const mp__slot *s);

/* In the program, or any process with its mappings: the lines "#0 function+0x12 (module)", as many
 * as fit whole. */
void mp__crash_print(const mp__failure *f, char *text, size_t size);

#endif
