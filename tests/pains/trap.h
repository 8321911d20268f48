/* SPDX-License-Identifier: MIT */
/* For tests of pains: a buffer with a page in its middle that stops (SIGSTOP) who copies from it or
 * to it. A process is so met in the middle of a message, always; with SIGCONT it goes on. */
#ifndef MPROC_TESTS_TRAP_H
#define MPROC_TESTS_TRAP_H

#include "support/shared.h"

static char *trap_page;
static size_t trap_page_size;

static void trap_stop(int signal)
{
    (void)signal;
    raise(SIGSTOP);
    mprotect(trap_page, trap_page_size, PROT_READ | PROT_WRITE);
}

/* In a child: `length` bytes, two pages at least, or NULL. It goes with the child. */
static inline char *trap_new(size_t length, int filled_with)
{
    char *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return NULL;
    memset(bytes, filled_with, length);
    trap_page_size = (size_t)sysconf(_SC_PAGESIZE);
    trap_page = bytes + length / 2 / trap_page_size * trap_page_size;
    struct sigaction action = {.sa_handler = trap_stop};
    if (sigaction(SIGSEGV, &action, NULL) != 0 ||
        mprotect(trap_page, trap_page_size, PROT_NONE) != 0)
        return NULL;
    return bytes;
}

#endif
