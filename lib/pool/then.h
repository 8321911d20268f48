/* SPDX-License-Identifier: MIT */
/* Chained work: a job whose input is another's output. */
#ifndef MPROC_POOL_THEN_H
#define MPROC_POOL_THEN_H

#include "pool/handle.h"

/* `r` is done: starts what was chained to it, or fails it. With the guard of callbacks held. */
void mp__then_start(mp_result *r, mp_result *out);

/* Fails all of a result that was not started, unless that has happened. */
void mp__then_end(mp_result *r, const mp__verdict *why);

#endif
