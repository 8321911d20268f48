/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * The gate is 0 until the parent decides, once: GO or LEAVE, stored before the wake. The child
 * passes only when it has read GO. So while the gate is shut the child exists and the parent can
 * get its pidfd, even if SIGCHLD is ignored and a child that has ended vanishes at once.
 * - The parent dies before its store: the child looks every 100 ms who its parent is, and leaves.
 * - The parent dies between store and wake: the same look finds the gate open. Then the child
 *   runs, as if the parent had died a moment later.
 * - The child dies at the gate: the parent's pidfd shows it; the store goes nowhere.
 *
 * The status is stored before its mark, with release order; the parent reads it after the child's
 * end, which it knows from the kernel. A child that is killed before the mark has left no status;
 * one that is killed after it did not exit, and the kernel says so: a status counts only if the
 * kernel's 8 bits are its own, or if the kernel says nothing.
 *
 * The parent frees the record. If it is gone the child does; if both are killed the block, of a
 * few bytes, stays until the region goes.
 */
#include "proc/record.h"

#include "base/atomic.h"
#include "os/child.h"
#include "os/clock.h"
#include "os/futex.h"

#include <mproc/process.h>
#include <mproc/shared.h>

enum { SHUT, GO, LEAVE };

struct mp__record {
    _Atomic uint32_t gate;
    _Atomic uint32_t settled;
    _Atomic int status;
};

int mp__record_create(mp__record **out)
{
    *out = mp_shared_calloc(1, sizeof **out);
    return *out != NULL ? 0 : mp_shared_error();
}

void mp__record_free(mp__record *r)
{
    mp_shared_free(r);
}

void mp__record_open(mp__record *r, bool go)
{
    /* Pairs with the load in mp__record_wait(), and with the kernel's compare there. */
    mp__store_release(&r->gate, go ? GO : LEAVE);
    mp__futex_wake(&r->gate, 1);
}

bool mp__record_wait(mp__record *r, pid_t parent)
{
    for (;;) {
        uint32_t gate = mp__load_acquire(&r->gate);
        if (gate != SHUT)
            return gate == GO;
        if (mp__child_parent_id() != parent)
            return false;
        mp__futex_wait(&r->gate, SHUT, mp__deadline_look_again(MP__NEVER));
    }
}

void mp__record_settle(mp__record *r, pid_t parent, int status)
{
    if (mp__child_parent_id() != parent) {
        mp__record_free(r);
        return;
    }
    mp__store_relaxed(&r->status, status);
    mp__store_release(&r->settled, 1); /* pairs with mp__record_exitcode() */
}

int mp__record_exitcode(const mp__record *r, int kernels)
{
    if (mp__load_acquire(&r->settled) == 0)
        return kernels;
    int status = mp__load_relaxed(&r->status);
    int low = status & 0xff;
    if (kernels == MP_EXITCODE_UNKNOWN || kernels == low)
        return status >= 0 ? status : low;
    return kernels;
}
