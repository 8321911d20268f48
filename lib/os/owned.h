/* SPDX-License-Identifier: MIT */
/* Descriptors that belong to one process: a forked child, whoever forks it, does not keep them. */
#ifndef MPROC_OS_OWNED_H
#define MPROC_OS_OWNED_H

#include "base/list.h"
#include "os/fd.h"

/* One such descriptor, in memory that lives until it is closed, or for ever in a forked child. */
typedef struct mp__owned {
    int fd; /* -1: none */
    mp__fd_identity identity;
    const void *heir; /* the thread whose next child keeps it, or NULL */
    mp__link link;
} mp__owned;

#define MP__OWNED_NONE ((mp__owned){.fd = -1})

/* Registers the atfork part; before all else here. Returns 0 or a code. */
int mp__owned_init(void);

/* This process has no other descriptors from 3 on than owned ones and these, a list that ends with
 * -1, or NULL, and that lives on: so its forked children need not close the rest one by one. */
void mp__owned_are_all_but(const int *others);

/* While it is locked the process does not fork: a descriptor is made and adopted without any child
 * getting a copy that nobody would close. */
void mp__owned_lock(void);
void mp__owned_unlock(void);

/* Takes a new descriptor into an empty slot, while locked. Returns 0; or a code, then fd is
 * closed. */
int mp__owned_adopt(mp__owned *slot, int fd);

/* The child that this thread forks next keeps it, as its own. While locked. */
void mp__owned_bequeath(mp__owned *slot);

/* The descriptor; -1 if there is none, or if its number is somebody else's file by now. */
int mp__owned_fd(const mp__owned *slot);

/* Closes it, if it still is what it was, and empties the slot; harmless for an empty one. */
void mp__owned_close(mp__owned *slot);

/* The same, while locked. */
void mp__owned_close_locked(mp__owned *slot);

#endif
