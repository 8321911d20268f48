/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * The truth. A thread waits in a queue while its life record is engaged and names the queue; then
 * `ticket` is its place in the order and `state` says whether it was notified. The two lists are an
 * index over that: `waiting`, oldest first, and `leaving`, those notified that have not come back.
 * Everything is changed under the lock that belongs to the queue, but for WAITING -> ASLEEP, which
 * is the waiter's own, and which a notify beats: both are read-modify-writes of one word.
 *
 * A death under the lock. `busy` stands while the lists are changed. Whoever finds it under the
 * lock is after a dead changer, and makes the lists anew from the records. Not the lock's word
 * about its last owner decides, since that may have been told to somebody who only acquired the
 * lock. Each single change is made by one store to the truth:
 * - entering: `engaged`, after all else was written. A record that is not engaged belongs to no
 *   queue, so what it names may be stale;
 * - leaving, and being removed when dead: `engaged` again. A dead holder's record cannot be taken
 *   by another thread before, so an index in a list is never another's;
 * - being notified: `state`. A notifier that dies before its wake-up costs the sleeper the time to
 *   its next look, at most MP__LOOK_AGAIN_NS; one that dies among many has notified those so far.
 *
 * The death of a waiter. One that was not notified is removed when a notify comes to it, or when
 * the queue has become twice as long as it was without the dead. One that was notified, and dies
 * before it has left, would take a notify along that another of those who waited should have had.
 * So it stays in `leaving`, and its notify is passed on, to the oldest alive that waited when it
 * was made (`reach`): by the next notify, by the next waiter that would leave without one, and,
 * should none of these come, by a sleeper at its next look: it finds a dead and notified record,
 * takes the lock, and passes on. Later waiters have no claim: they have seen what the notify was
 * about.
 *
 * Passing on are two stores to the truth, the heir's state and the giver's `engaged`. `giver` is
 * set before the first, after `heir`, and cleared after the second; who finds it set after a
 * death does what is left: notifies the heir unless that is done, removes the giver unless that
 * is done. The heir cannot have left meanwhile, nor can the giver's record be in the queue again:
 * everybody who takes the lock for that comes by here first. So each notify is passed on exactly
 * once.
 *
 * Waking. A sleeper that is woken while the notifier still has the lock runs into it, and on the
 * same processor at once: two switches more. So a lazy queue puts one wake-up off until the lock
 * is free. Who dies before that leaves it to the next owner (`owed`), or to the sleeper's next
 * look; one wake-up too many, of a record that has moved on, does no harm.
 *
 * No step waits for anybody else, alive, stopped or dead.
 */
#include "sync/waiters.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/step.h"

#include <string.h>

enum { WAITING, ASLEEP, NOTIFIED };

#define CROWD 16

static bool is_notified(const mp__life *life)
{
    /* Acquire: a notified thread may look at what the notifier did, without the lock, to decide
     * whether to take it; pairs with notify_one(). */
    return mp__load_acquire(&life->waiter.state) == NOTIFIED;
}

static bool is_dead(const mp__life *life)
{
    return mp__robust_abandoned(mp__load_acquire(&life->node.word)); /* pairs with the kernel */
}

/* `engaged` first: pairs with enter() of whichever queue. */
static bool is_member(const mp__waiters *q, const mp__life *life)
{
    return mp__load_acquire(&life->engaged) != 0 && mp__load_relaxed(&life->waiter.queue) == q->id;
}

static void begin(mp__waiters *q)
{
    mp__store_relaxed(&q->busy, 1);
    mp__fence_compiler();
}

static void end(mp__waiters *q)
{
    mp__fence_compiler();
    mp__store_relaxed(&q->busy, 0);
}

/* The lists. */

static void insert_after(mp__waiter_list *list, mp__life *before, mp__life *life)
{
    mp__life *after = mp__life_at(before != NULL ? before->waiter.next : list->first);
    life->waiter.prev = before != NULL ? before->index : 0;
    life->waiter.next = after != NULL ? after->index : 0;
    *(before != NULL ? &before->waiter.next : &list->first) = life->index;
    *(after != NULL ? &after->waiter.prev : &list->last) = life->index;
}

static void append(mp__waiter_list *list, mp__life *life)
{
    insert_after(list, mp__life_at(list->last), life);
}

static void unlink_from(mp__waiter_list *list, mp__life *life)
{
    mp__life *before = mp__life_at(life->waiter.prev);
    mp__life *after = mp__life_at(life->waiter.next);
    *(before != NULL ? &before->waiter.next : &list->first) = life->waiter.next;
    *(after != NULL ? &after->waiter.prev : &list->last) = life->waiter.prev;
}

static void count_notified(mp__waiters *q, uint32_t change)
{
    /* Read without the lock by unsettled(). */
    mp__store_relaxed(&q->notified, mp__load_relaxed(&q->notified) + change);
}

/* Between begin() and end(): takes a member out for good. */
static void discharge(mp__waiters *q, mp__life *life)
{
    if (is_notified(life)) {
        unlink_from(&q->leaving, life);
        count_notified(q, -1u);
    } else {
        unlink_from(&q->waiting, life);
        q->count--;
    }
    MP_STEP("condition.discharge.unlinked");
    mp__store_release(&life->engaged, 0); /* pairs with who takes the record of a dead thread */
    MP_STEP("condition.discharge.done");
}

/* Between begin() and end(). */
static void notify_one(mp__waiters *q, mp__life *life, uint64_t reach)
{
    life->waiter.reach = reach;
    unlink_from(&q->waiting, life);
    q->count--;
    append(&q->leaving, life);
    count_notified(q, 1);
    MP_STEP("condition.notify.moved");
    uint32_t before =
        mp__exchange_seq(&life->waiter.state, NOTIFIED); /* pairs with is_notified() */
    MP_STEP("condition.notify.marked");
    if (before == ASLEEP && q->lazy && mp__load_relaxed(&q->owed) == 0)
        mp__store_relaxed(&q->owed, life->index);
    else if (before == ASLEEP)
        mp__futex_wake(&life->waiter.state, 1);
    MP_STEP("condition.notify.woken");
}

/* Between begin() and end(): the one alive that has waited longest, or NULL. */
static mp__life *oldest(mp__waiters *q)
{
    for (;;) {
        mp__life *life = mp__life_at(q->waiting.first);
        if (life == NULL || !is_dead(life))
            return life;
        discharge(q, life);
    }
}

/* Between begin() and end(): from `giver` and `heir` on. */
static void finish_passing(mp__waiters *q)
{
    mp__life *giver = mp__life_at(q->giver);
    mp__life *heir = mp__life_at(q->heir);
    if (heir != NULL && !is_notified(heir))
        notify_one(q, heir, giver->waiter.reach);
    MP_STEP("condition.pass.given");
    if (is_member(q, giver))
        discharge(q, giver);
    mp__fence_compiler(); /* the giver is out before it is forgotten */
    q->giver = 0;
    MP_STEP("condition.pass.done");
}

static void pass_on(mp__waiters *q, mp__life *dead)
{
    begin(q);
    mp__life *heir = oldest(q);
    q->heir = heir != NULL && heir->waiter.ticket < dead->waiter.reach ? heir->index : 0;
    mp__fence_compiler(); /* the heir is known before there is a giver */
    q->giver = dead->index;
    MP_STEP("condition.pass.decided");
    mp__fence_compiler();
    finish_passing(q);
    end(q);
}

/* Puts a member where its ticket belongs. */
static void sort_in(mp__waiters *q, mp__life *life)
{
    bool leaving = is_notified(life);
    mp__waiter_list *list = leaving ? &q->leaving : &q->waiting;
    mp__life *before = mp__life_at(list->last);
    while (before != NULL && before->waiter.ticket > life->waiter.ticket)
        before = mp__life_at(before->waiter.prev);
    insert_after(list, before, life);
    if (leaving)
        count_notified(q, 1);
    else
        q->count++;
}

/* After a death between begin() and end(). */
static void rebuild(mp__waiters *q)
{
    q->waiting = q->leaving = (mp__waiter_list){0, 0};
    q->count = 0;
    mp__store_relaxed(&q->notified, 0);
    MP_STEP("condition.rebuild.emptied");
    mp__life *life;
    for (uint32_t i = 1; (life = mp__life_at(i)) != NULL; i++)
        if (is_member(q, life))
            sort_in(q, life);
    MP_STEP("condition.rebuild.sorted");
    if (q->giver != 0)
        finish_passing(q);
    end(q);
}

static void mend(mp__waiters *q)
{
    if (__builtin_expect(mp__load_relaxed(&q->busy) != 0, 0))
        rebuild(q);
}

/* So that the dead do not become ever more where nobody notifies. */
static void thin_out(mp__waiters *q)
{
    begin(q);
    for (mp__life *life = mp__life_at(q->waiting.first), *next; life != NULL; life = next) {
        next = mp__life_at(life->waiter.next);
        if (is_dead(life))
            discharge(q, life);
    }
    q->crowd = 2 * q->count + CROWD;
    end(q);
}

/* A name that no other queue has, but by a chance of one in 2^64. The address is none: another
 * process may have other memory there, and a record of one who died in a queue that was never ended
 * names it for ever. Time and thread are none either, where a clock ticks slowly. */
static uint64_t new_id(void)
{
    static _Atomic uint32_t made; /* by this process */
    uint64_t id = (uint64_t)mp__now();
    id = (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15) + mp__thread_self()->tid;
    id = (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15) + mp__add_relaxed(&made, 1);
    return (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

void mp__waiters_init(mp__waiters *q, bool lazy)
{
    memset(q, 0, sizeof *q);
    q->lazy = lazy;
    q->id = new_id();
    q->crowd = CROWD;
}

void mp__waiters_fini(mp__waiters *q)
{
    mp__life *life;
    for (uint32_t i = 1; (life = mp__life_at(i)) != NULL; i++)
        if (is_member(q, life))
            mp__store_release(&life->engaged, 0);
}

void mp__waiters_enter(mp__waiters *q, mp__life *mine)
{
    mend(q);
    if (q->count >= q->crowd)
        thin_out(q);
    begin(q);
    mine->waiter.ticket = q->next_ticket++;
    mp__store_relaxed(&mine->waiter.state, WAITING);
    mp__store_relaxed(&mine->waiter.queue, q->id);
    MP_STEP("condition.wait.written");
    mp__store_release(&mine->engaged, 1); /* pairs with is_member() */
    MP_STEP("condition.wait.engaged");
    append(&q->waiting, mine);
    q->count++;
    end(q);
    MP_STEP("condition.wait.linked");
}

bool mp__waiters_leave(mp__waiters *q, mp__life *mine)
{
    mend(q);
    if (!is_notified(mine))
        mp__waiters_settle(q); /* one that is owed to it comes first */
    bool notified = is_notified(mine);
    begin(q);
    discharge(q, mine);
    end(q);
    return notified;
}

int mp__waiters_notify(mp__waiters *q, int n)
{
    mp__waiters_settle(q);
    if (q->waiting.first == 0)
        return 0;
    int woken = 0;
    begin(q);
    for (mp__life *life; woken < n && (life = oldest(q)) != NULL; woken++)
        notify_one(q, life, q->next_ticket);
    end(q);
    return woken;
}

void mp__waiters_settle(mp__waiters *q)
{
    mend(q);
    for (mp__life *life = mp__life_at(q->leaving.first), *next; life != NULL; life = next) {
        next = mp__life_at(life->waiter.next); /* an heir comes behind the last */
        if (is_dead(life))
            pass_on(q, life);
    }
}

uint32_t mp__waiters_take_owed(mp__waiters *q)
{
    uint32_t owed = mp__load_relaxed(&q->owed);
    if (owed != 0)
        mp__store_relaxed(&q->owed, 0);
    return owed;
}

void mp__waiters_wake(uint32_t owed)
{
    if (owed != 0)
        mp__futex_wake(&mp__life_at(owed)->waiter.state, 1);
}

bool mp__waiters_unsettled(const mp__waiters *q)
{
    if (mp__load_relaxed(&q->notified) == 0 && mp__load_relaxed(&q->busy) == 0)
        return false;
    const mp__life *life;
    for (uint32_t i = 1; (life = mp__life_at(i)) != NULL; i++)
        if (is_member(q, life) && is_notified(life) && is_dead(life))
            return true;
    return false;
}

bool mp__waiters_is_notified(const mp__life *mine)
{
    return is_notified(mine);
}

void mp__waiters_sleep(mp__life *mine, mp__deadline until)
{
    uint32_t state = WAITING;
    mp__cas_relaxed(&mine->waiter.state, &state, ASLEEP); /* fails if notified, or asleep already */
    MP_STEP("condition.wait.asleep");
    mp__sleep(&mine->waiter.state, ASLEEP, until);
}
