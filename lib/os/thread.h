/* SPDX-License-Identifier: MIT */
/* What the library keeps for each thread: its kernel id and its robust list, both asked once. */
#ifndef MPROC_OS_THREAD_H
#define MPROC_OS_THREAD_H

#include "os/spin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct robust_list_head;
struct mp__life;
struct mp__seat;

/* Where a thread sits at a queue; chan/lease.h. The serial is the queue's, since addresses are used
 * again. */
typedef struct mp__thread_seat {
    const void *queue;
    uint64_t serial;
    struct mp__seat *seat;
} mp__thread_seat;

#define MP__THREAD_SEATS 4 /* of the queues that it used last */

typedef struct mp__thread {
    uint32_t tid;                    /* 0 until discovered, and again in a forked child */
    uint32_t held;                   /* robust nodes of ours in the list */
    struct robust_list_head *robust; /* the C library's list head */
    bool is_main;                    /* the thread that main() runs in */
    mp__spinner locks;               /* how spinning has paid lately, for locks ... */
    mp__spinner waits;               /* ... and for all else */
    bool gave;                       /* it put a message somewhere since it last waited for one */
    struct mp__life *life;           /* its life word, from the first use; see sync/life.h */
    mp__thread_seat seats[MP__THREAD_SEATS];
} mp__thread;

extern _Thread_local mp__thread mp__thread_this;

void mp__thread_discover(void);

/* In a forked child: the thread is another one now. */
void mp__thread_forget(void);

static inline mp__thread *mp__thread_self(void)
{
    if (__builtin_expect(mp__thread_this.tid == 0, 0))
        mp__thread_discover();
    return &mp__thread_this;
}

/* This thread's memory for what it keeps seldom: zeroed at its first call, freed when it ends; all
 * calls name the same size. NULL: there is none. Not in thread-local variables, which the C library
 * has little room for in programs that load this library later. */
void *mp__thread_room(size_t size);

/* The calling process's id. */
int mp__process_id(void);

/* How many threads this process has; 2 ("several") if that cannot be found out. */
int mp__thread_count(void);

#endif
