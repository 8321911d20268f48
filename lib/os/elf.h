/* SPDX-License-Identifier: MIT */
/* Names of functions from the symbol table of a program file. */
#ifndef MPROC_OS_ELF_H
#define MPROC_OS_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether the file behind the descriptor is the one that was loaded with these program headers, as
 * far as they can tell. */
bool mp__elf_is(int fd, const ElfW(Phdr) * loaded, size_t count);

/* Finds the function that has the address, as the file counts addresses, in its full symbol table,
 * which has static functions, too. The file may be anything: false if it tells nothing. `name` is
 * cut to fit. */
bool mp__elf_function(int fd, ElfW(Addr) address, char *name, size_t size, ElfW(Addr) * start);

#endif
