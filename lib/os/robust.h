/* SPDX-License-Identifier: MIT */
/* Nodes in the C library's robust list: words that the kernel marks when their thread ends. */
#ifndef MPROC_OS_ROBUST_H
#define MPROC_OS_ROBUST_H

#include "base/atomic.h"
#include "os/thread.h"

/*
 * The kernel walks a dying thread's robust list and, in each word that holds the thread's id, sets
 * MP__OWNER_DIED, clears the id, and wakes one sleeper if MP__WAITERS is set. There is one list per
 * thread, and it is the C library's, so a node has the layout of its mutex and is linked as it
 * links its own; mp__robust_check() proves at start-up that this is so. Only the thread that holds
 * a node touches its links; they may point anywhere in other processes.
 *
 * The kernel follows at most 2048 entries and leaves the rest stuck; so whatever a user may hold in
 * numbers is refused from MP__ROBUST_MOST on, which leaves room for our own few. A node that is
 * being linked or unlinked stands in list_op_pending: a death in between is found there. While
 * nobody owns the word, the kernel then wakes one sleeper: that covers a death between releasing
 * and waking.
 */
typedef struct mp__robust {
    _Atomic uint32_t word; /* 0, or the owner's thread id, with the bits below */
    uint32_t unused[5];
    void *prev, *next;
} mp__robust;

#define MP__WAITERS    0x80000000u
#define MP__OWNER_DIED 0x40000000u
#define MP__TID_MASK   0x3fffffffu

#define MP__ROBUST_MOST 1024

/* 0 if the layout is the C library's; MP_ESYS(ENOSYS) if robust words cannot work here. */
int mp__robust_check(void);

/* Announces that the node's word is about to be taken or released by this thread; NULL: done. */
void mp__robust_announce(mp__thread *self, mp__robust *node);

/* Announces a word that nobody ever owns (it stays 0): if this thread ends now, the kernel wakes
 * one who sleeps on it. Until the announcement is taken back the thread may take and release no
 * robust mutex, for each of those announces itself. */
void mp__robust_announce_bell(mp__thread *self, _Atomic uint32_t *word);

/* Puts a node whose word this thread has taken into its list, and takes it out again. Both between
 * two calls of mp__robust_announce(). */
void mp__robust_link(mp__thread *self, mp__robust *node);
void mp__robust_unlink(mp__thread *self, mp__robust *node);

/* Whether the thread that this word's value names has ended, or nobody holds it. */
static inline bool mp__robust_abandoned(uint32_t word)
{
    return (word & MP__TID_MASK) == 0;
}

#endif
