/* SPDX-License-Identifier: MIT */
#include "os/futex.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <mproc/error.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* The kernel's struct futex_waitv, which headers before 5.16 lack. */
struct waiter {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};
#define WAITER_32BIT 2

static struct timespec to_timespec(mp__deadline d)
{
    return (struct timespec){d.ns / MP__NS_PER_S, d.ns % MP__NS_PER_S};
}

int mp__futex_wait(_Atomic uint32_t *word, uint32_t expected, mp__deadline until)
{
    int saved = errno;
    struct timespec when = to_timespec(until);
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
                     mp__deadline_is_never(until) ? NULL : &when, NULL, FUTEX_BITSET_MATCH_ANY);
    bool timed_out = r < 0 && errno == ETIMEDOUT;
    errno = saved;
    return timed_out ? MP_ETIMEDOUT : 0;
}

static bool have_waitv(void)
{
    static _Atomic int answer; /* 0 unknown, 1 no, 2 yes; racing writers agree */
    int known = mp__load_relaxed(&answer);
    if (known == 0) {
        /* An empty list is EINVAL where the call exists. */
        known = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL
                    ? 2
                    : 1;
        mp__store_relaxed(&answer, known);
    }
    return known == 2;
}

static int wait_vector(const mp__watch *watches, int count, mp__deadline until)
{
    struct waiter list[MP__WATCH_MOST + 1];
    int n = 0;
    for (; n < count; n++)
        list[n] = (struct waiter){watches[n].expected, (uintptr_t)watches[n].word, WAITER_32BIT, 0};
    if (mp__thread_self()->is_main)
        list[n++] = (struct waiter){0, (uintptr_t)&mp__interrupt_word, WAITER_32BIT, 0};

    struct timespec when = to_timespec(until);
    long r = syscall(SYS_futex_waitv, list, n, 0, mp__deadline_is_never(until) ? NULL : &when,
                     CLOCK_MONOTONIC);
    return r < 0 && errno == ETIMEDOUT ? MP_ETIMEDOUT : 0;
}

int mp__sleep_any(const mp__watch *watches, int count, mp__deadline until)
{
    int saved = errno;
    int rc;
    if (have_waitv()) {
        rc = wait_vector(watches, count, until);
    } else {
        mp__deadline slice = mp__deadline_look_again(until);
        rc = mp__futex_wait(watches[0].word, watches[0].expected, slice);
        if (rc == MP_ETIMEDOUT && slice.ns != until.ns)
            rc = 0;
    }
    errno = saved;
    return rc;
}

int mp__sleep(_Atomic uint32_t *word, uint32_t expected, mp__deadline until)
{
    if (!mp__thread_self()->is_main)
        return mp__futex_wait(word, expected, until);
    /* mp_interrupt() stores its word and looks here; one of us sees the other. A handler in this
     * thread ends the sleep by itself, since it has a deadline (the kernel restarts only those
     * without). What is left is a handler that runs between this look and the kernel's: that waits
     * for the next look. */
    mp__store_seq(&mp__interrupt_sleeper, word);
    int rc = 0;
    if (mp__load_seq(&mp__interrupt_word) == 0)
        rc = mp__futex_wait(word, expected, until);
    mp__store_relaxed(&mp__interrupt_sleeper, NULL);
    return rc;
}

void mp__sleep_exactly(_Atomic uint32_t *word, uint32_t expected, mp__deadline until)
{
    /* The kernel looks at the interrupt's word, too, before it sleeps and when it restarts the
     * sleep behind a signal handler. Nothing less is exact: a bit of the shared word, turned over
     * by the handler, is turned back by another process that is interrupted at the same time. */
    if (!mp__thread_self()->is_main)
        mp__futex_wait(word, expected, until);
    else if (have_waitv())
        mp__sleep_any(&(mp__watch){word, expected}, 1, until);
    else
        mp__sleep(word, expected, mp__deadline_look_again(until));
}

int mp__futex_wake(_Atomic uint32_t *word, int most)
{
    int saved = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, most, NULL, NULL, 0);
    errno = saved;
    return woken > 0 ? (int)woken : 0;
}
