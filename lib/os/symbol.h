/* SPDX-License-Identifier: MIT */
/* Where code is: for people. */
#ifndef MPROC_OS_SYMBOL_H
#define MPROC_OS_SYMBOL_H

#include <stddef.h>

/* Writes "file+0xoffset", and "(function+0x..)" behind it if the function is exported. The offset
 * is what addr2line wants. */
void mp__symbol_name(const void *code, char *text, size_t size);

#endif
