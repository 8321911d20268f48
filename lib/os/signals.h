/* SPDX-License-Identifier: MIT */
/* Signals: their numbers, for the layers above, and their names. */
#ifndef MPROC_OS_SIGNALS_H
#define MPROC_OS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* "SIGTERM"; NULL for a number without a name of its own. */
const char *mp__signal_name(int number);

/* "signal 15 (SIGTERM)", or "signal 99", cut if there is no room. Returns text. */
const char *mp__signal_phrase(char *text, size_t size, int number);

/* Whether it is 0, or the number of a signal. */
bool mp__signal_is_one(int number);

/* Sends a signal to the calling process. Returns 0 or a code. */
int mp__signal_self(int number);

#endif
