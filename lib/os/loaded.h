/* SPDX-License-Identifier: MIT */
/* Which program files (the program and its libraries) were loaded at a moment. */
#ifndef MPROC_OS_LOADED_H
#define MPROC_OS_LOADED_H

#include <stdbool.h>

typedef struct mp__loaded mp__loaded;

/* What is loaded now. NULL if memory is out. Released by free(). */
mp__loaded *mp__loaded_now(void);

/* Whether code at this address could be known to a process that was forked at that moment: false if
 * it is in a file that was loaded later. Generated code, which is in no file, counts as known. */
bool mp__loaded_knows(const mp__loaded *then, const void *code);

#endif
