/* SPDX-License-Identifier: MIT */
/* Nodes in the C library's robust list: words that the kernel marks when their thread ends. */
#ifndef MPROC_OS_ROBUST_H
#define MPROC_OS_ROBUST_H

#include <features.h>
#ifndef __GLIBC__
#error "libmproc needs the GNU C library: it joins that one's robust list, in its layout"
#endif

#include "base/atomic.h"
#include "os/step.h"
#include "os/thread.h"

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>

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
static inline void mp__robust_announce(mp__thread *self, mp__robust *node)
{
    mp__fence_compiler();
    /* Computed, not taken: a bell has no link there. */
    self->robust->list_op_pending =
        node == NULL ? NULL : (void *)((char *)node + offsetof(mp__robust, next));
    mp__fence_compiler();
}

/* Announces a word that nobody ever owns (it stays 0): if this thread ends now, the kernel wakes
 * one who sleeps on it. Until the announcement is taken back the thread may take and release no
 * robust mutex, for each of those announces itself. */
static inline void mp__robust_announce_bell(mp__thread *self, _Atomic uint32_t *word)
{
    mp__robust_announce(self, (mp__robust *)(void *)word); /* of which only the word exists */
}

/* Whether the kernel does so also while bits 30 and 31 of the word are set: from Linux 6.2 on. */
bool mp__robust_bells_ring(void);

/* An entry of the list points to a node's `next`; the lowest bit marks priority-inheriting mutexes
 * of the C library and is kept. */
static inline void **mp__robust_next_of(void *entry)
{
    return (void **)((uintptr_t)entry & ~(uintptr_t)1);
}

static inline void **mp__robust_prev_of(void *entry)
{
    return mp__robust_next_of(entry) - 1;
}

/* Puts a node whose word this thread has taken into its list, and takes it out again. Both between
 * two calls of mp__robust_announce(). */
static inline void mp__robust_link(mp__thread *self, mp__robust *node)
{
    void *first = self->robust->list.next;
    node->next = first;
    node->prev = &self->robust->list;
    MP_STEP("robust.link.node_made");
    *mp__robust_prev_of(first) = &node->next;
    mp__fence_compiler(); /* the node is whole before the list reaches it */
    MP_STEP("robust.link.back_set");
    self->robust->list.next = (void *)&node->next;
    self->held++;
}

static inline void mp__robust_unlink(mp__thread *self, mp__robust *node)
{
    *mp__robust_prev_of(node->next) = node->prev;
    mp__fence_compiler();
    MP_STEP("robust.unlink.back_set");
    *mp__robust_next_of(node->prev) = node->next;
    mp__fence_compiler(); /* the list has left the node before its links go */
    MP_STEP("robust.unlink.out_of_list");
    node->prev = node->next = NULL;
    self->held--;
}

/* For those who have waited long: asks whether the thread that the word names exists, and if not
 * marks the word as the kernel should have. It does not if a thread that is not its process's first
 * calls execve (which gives it the first one's id), nor beyond 2048 entries. Returns whether nobody
 * holds the word. Family members in several PID namespaces would take each other for dead. */
bool mp__robust_reclaim(_Atomic uint32_t *word);

/* Whether the thread that this word's value names has ended, or nobody holds it. */
static inline bool mp__robust_abandoned(uint32_t word)
{
    return (word & MP__TID_MASK) == 0;
}

#endif
