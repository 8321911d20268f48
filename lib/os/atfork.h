/* SPDX-License-Identifier: MIT */
/* The library's one pthread_atfork handler, and who is called by it. */
#ifndef MPROC_OS_ATFORK_H
#define MPROC_OS_ATFORK_H

/* What a part of the library does around every fork() of the process. A member may be NULL. Parts
 * are prepared in the reverse order of their registration, and called in that order in parent and
 * child. The child's call must restrict itself to what works beside other threads' locks. */
typedef struct mp__atfork {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
    struct mp__atfork *next, *prev; /* set by mp__atfork_add() */
    int registered;
} mp__atfork;

/* Installs the handler, which also makes each forked child's thread forget its parent's identity.
 * Returns 0 or a code. */
int mp__atfork_install(void);

/* Registers a part for the life of the process; doing it again changes nothing. Returns 0 or a
 * code. */
int mp__atfork_add(mp__atfork *part);

#endif
