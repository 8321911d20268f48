/* SPDX-License-Identifier: MIT */
#ifndef MYFUNC_H
#define MYFUNC_H

/* Prints which process calls it, and a line for each number below that: arg is an int's address. */
int myfunc(void *arg);

#endif
