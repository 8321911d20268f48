/* SPDX-License-Identifier: MIT */
/* The terminal that a descriptor may be. */
#ifndef MPROC_OS_TERMINAL_H
#define MPROC_OS_TERMINAL_H

/* How many columns it has at this moment: 80 if it does not tell; 0: it is no terminal. */
int mp__terminal_columns(int fd);

#endif
