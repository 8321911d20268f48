/* SPDX-License-Identifier: MIT */
/* Where code is: for people. */
#ifndef MPROC_OS_SYMBOL_H
#define MPROC_OS_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes "file+0xoffset", and "(function+0x..)" behind it if the function is exported. The offset
 * is what addr2line wants. */
void mp__symbol_name(const void *code, char *text, size_t size);

/* Writes "function+0x12 (module)", static functions included where their file has a symbol table;
 * "0x1234 (module)" with the offset in the file if the function is not known; the address alone if
 * not even that is. `returns`: a call returns to this address, so it is the one before that counts.
 * Reads the file. */
void mp__symbol_describe(const void *code, bool returns, char *text, size_t size);

#endif
