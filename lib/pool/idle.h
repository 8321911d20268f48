/* SPDX-License-Identifier: MIT */
/* Workers without work: they look for a while, then sleep; whoever brings work wakes as many as are
 * wanted, and nobody whom it needs not. */
#ifndef MPROC_POOL_IDLE_H
#define MPROC_POOL_IDLE_H

#include "base/deadline.h"
#include "pool/control.h"

/*
 * A worker that looks again and again has its bit in control->looking. A set bit is a promise to
 * look once more after it is cleared. So who brings work counts the bits, behind a full barrier,
 * and wakes sleepers for what is more than that.
 *
 * But one who looks may just have found something else. So a worker that was looking, or was woken,
 * and has found work clears its bit and then looks whether there is more; if so, and nobody else
 * looks, it wakes another, which does the same. Nothing that was brought stays lying while a
 * worker sleeps.
 *
 * Few look at the same time: the processors are for those who work.
 *
 * A sleep has no timer. If a worker dies after it was woken, or before it woke another, the
 * supervisor takes its bit back and wakes one in its place, when it settles what that has left.
 */

/* What a worker does about finding work: true if it has some now. */
typedef bool mp__idle_find(void *arg);

/* Waits until `find` finds something. False: the pool was closed and there is nothing, or the
 * deadline has passed. */
bool mp__idle_wait(mp__pool_control *c, uint32_t slot, mp__idle_find *find, void *arg,
                   mp__deadline until);

/* In a worker that is about to look for the next work: it promises to look. To be followed by
 * mp__idle_wait(), which then knows. */
void mp__idle_promise(mp__pool_control *c, uint32_t slot);

/* So many workers may be needed. After what they are to find is visible. */
void mp__idle_wake(mp__pool_control *c, uint64_t wanted);

/* In the supervisor: that slot's worker is dead, and its claim is resolved. */
void mp__idle_bury(mp__pool_control *c, uint32_t slot);

#endif
