/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * The truth is the holders' counts: what is free is the total less their sum, and is added up
 * whenever it is needed. So each change is one store, to one count, under `lock`, and a death
 * leaves nothing to repair. An entry whose count is 0 is free; its identity is written before its
 * count. A larger table is whole before the one store that puts it in the old one's place; a death
 * around that leaks one of the two.
 *
 * A permit belongs to a process, which is its number and its start (os/identity.h). The life word
 * (sync/life.h) of the thread that acquired tells when to ask: as long as that thread lives, its
 * process does. Once it has ended /proc is asked at each look, for the process may live on. The
 * kernel lets go of a life word a moment before the process is gone; so a waiter that finds a life
 * over and the process alive looks again soon, then less and less often.
 *
 * A waiter arms `returned`, looks, and sleeps on it and on the holders' life words. Who may die:
 * - A holder. The kernel wakes one who watches its life word. That one takes back the permits and
 *   wakes the others: those who wait here, and those who watch the same life for another semaphore.
 *   If it dies before it has done so, they look again within 100 ms; so they do where they cannot
 *   watch, before Linux 5.16 or beyond MP__WATCH_MOST holders.
 * - One that has returned permits, before its wake: if it still had the lock, the next who gets
 *   the lock is told and wakes all; else the next look. So it is for a waiter that was woken and
 *   dies. One that was woken and gives up looks once more before it does.
 */
#include "sync/permits.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/identity.h"
#include "os/interrupt.h"
#include "os/step.h"
#include "sync/life.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define FIRST_CAPACITY 8

typedef struct holder {
    mp__life_id life; /* of a thread of the process */
    uint64_t started;
    int32_t pid;
    uint32_t count; /* 0: the entry is free */
} holder;

typedef struct mp__permit_table {
    uint32_t capacity;
    holder holders[];
} mp__permit_table;

/* What a look at the table tells. */
typedef struct view {
    uint32_t held;
    holder *mine, *vacant; /* or NULL */
} view;

/* What a look for the dead tells. */
typedef struct harvest {
    uint32_t returned; /* permits */
    uint32_t
        uncertain; /* holders whose acquiring thread alone has ended, or which are just ending */
} harvest;

#define NONE 2 /* no permit is free: neither a success nor a code */

static mp__permit_table *table_new(uint32_t capacity)
{
    mp__permit_table *t = mp_shared_calloc(1, sizeof *t + (size_t)capacity * sizeof t->holders[0]);
    if (t != NULL)
        t->capacity = capacity;
    return t;
}

/* The calling thread's life, which also tells who its process is; NULL: no memory for it. */
static mp__life *myself(void)
{
    mp__life *me = mp__life_mine();
    if (me != NULL && mp__load_relaxed(&me->started) == 0)
        mp__store_relaxed(&me->started, mp__process_started(mp__load_relaxed(&me->pid)));
    return me;
}

static bool is_mine(const holder *h, const mp__life *me)
{
    return me != NULL && h->pid == mp__load_relaxed(&me->pid) &&
           mp__started_alike(h->started, mp__load_relaxed(&me->started));
}

static view look(const mp__permits *p, const mp__life *me)
{
    view v = {0, NULL, NULL};
    for (uint32_t i = 0; i < p->table->capacity; i++) {
        holder *h = &p->table->holders[i];
        v.held += h->count;
        if (h->count == 0)
            v.vacant = v.vacant == NULL ? h : v.vacant;
        else if (is_mine(h, me))
            v.mine = h;
    }
    return v;
}

/* Takes the lock for a call with a deadline. Returns 0, or a code without it. */
static int enter(mp__permits *p, mp__deadline until)
{
    int rc =
        until.ns == 0 ? mp__mutex_lock_briefly(&p->lock) : mp__mutex_acquire(&p->lock, until, true);
    if (rc == MP_OWNERDEAD)
        mp__waitword_wake(&p->returned, MP__WAKE_ALL); /* it may have returned some */
    return rc < 0 ? rc : 0;
}

static void enter_for_sure(mp__permits *p)
{
    if (mp__mutex_lock(&p->lock))
        mp__waitword_wake(&p->returned, MP__WAKE_ALL);
}

/* Gives up the lock, and wakes so many waiters. */
static void leave(mp__permits *p, uint32_t returned)
{
    mp__mutex_unlock(&p->lock);
    MP_STEP("permits.leave.unlocked");
    if (returned > 0)
        mp__waitword_wake_unlocked(&p->returned, (int)returned);
}

/* With the lock held: doubles the table. Returns a free entry, or NULL. */
static holder *grow(mp__permits *p)
{
    mp__permit_table *old = p->table;
    mp__permit_table *larger = table_new(old->capacity * 2);
    if (larger == NULL)
        return NULL;
    memcpy(larger->holders, old->holders, old->capacity * sizeof old->holders[0]);
    MP_STEP("permits.grow.made");
    mp__fence_compiler();
    p->table = larger;
    mp__fence_compiler();
    MP_STEP("permits.grow.switched");
    uint32_t first = old->capacity;
    mp_shared_free(old);
    return &larger->holders[first];
}

/* With the lock held: takes a permit. Returns 0, NONE, or MP_ENOMEM. */
static int take(mp__permits *p, const mp__life *me)
{
    view v = look(p, me);
    if (v.held >= p->total)
        return NONE;
    holder *h = v.mine;
    if (h == NULL) {
        h = v.vacant != NULL ? v.vacant : grow(p);
        if (h == NULL)
            return MP_ENOMEM;
        h->pid = mp__load_relaxed(&me->pid);
        h->started = mp__load_relaxed(&me->started);
        h->life = mp__life_id_of(me);
        MP_STEP("permits.acquire.named");
    } else if (mp__life_is_over(h->life)) {
        h->life = mp__life_id_of(me); /* a thread that lives can be watched */
    }
    mp__fence_compiler();
    h->count++;
    mp__fence_compiler();
    MP_STEP("permits.acquire.counted");
    return 0;
}

/* With the lock held: takes back what dead processes hold. */
static harvest reap(mp__permits *p, const mp__life *me)
{
    harvest found = {0, 0};
    for (uint32_t i = 0; i < p->table->capacity; i++) {
        holder *h = &p->table->holders[i];
        if (h->count == 0 || is_mine(h, me) || !mp__life_ask_over(h->life))
            continue;
        if (!mp__process_is_gone(h->pid, h->started)) {
            found.uncertain++;
            continue;
        }
        MP_STEP("permits.reap.found");
        found.returned += h->count;
        mp__fence_compiler();
        h->count = 0;
        mp__fence_compiler();
        MP_STEP("permits.reap.returned");
        mp__life *over = mp__life_find(h->life);
        if (over != NULL) /* the kernel has woken but one of those who watch it */
            mp__futex_wake(&over->node.word, MP__WAKE_ALL);
    }
    return found;
}

/* Takes a permit, if need be one of a dead process's. As take(), or another code. */
static int attempt(mp__permits *p, const mp__life *me, mp__deadline until)
{
    int rc = enter(p, until);
    if (rc < 0)
        return rc;
    harvest found = {0, 0};
    rc = take(p, me);
    if (rc == NONE) {
        found = reap(p, me);
        if (found.returned > 0)
            rc = take(p, me);
    }
    leave(p, found.returned);
    return rc;
}

/* With the lock held: adds the life words of the holders to the list. */
static int watch(const mp__permits *p, const mp__life *me, mp__watch *list, int n)
{
    for (uint32_t i = 0; i < p->table->capacity && n < MP__WATCH_MOST; i++) {
        const holder *h = &p->table->holders[i];
        mp__life *life = h->count == 0 || is_mine(h, me) ? NULL : mp__life_find(h->life);
        if (life == NULL)
            continue;
        /* Read before the question: a death since then is another value, and no sleep. */
        uint32_t word = mp__load_seq(&life->node.word);
        if (!mp__life_is_over(h->life))
            list[n++] = (mp__watch){&life->node.word, word};
    }
    return n;
}

/* When to look again, `looks` after the last news about who may be ending. */
static mp__deadline next_look(uint32_t uncertain, int looks, mp__deadline until)
{
    if (uncertain == 0 || looks > 6)
        return mp__deadline_look_again(until);
    return mp__deadline_min(until, mp__deadline_in_ns(MP__NS_PER_MS << looks));
}

/* Sleeps until there is a permit. */
static int wait_and_take(mp__permits *p, const mp__life *me, mp__deadline until)
{
    uint32_t uncertain = 0;
    for (int looks = 0;; looks++) {
        mp__watch list[MP__WATCH_MOST];
        list[0] = (mp__watch){&p->returned.word, mp__waitword_arm(&p->returned)};
        MP_STEP("permits.wait.armed");
        int rc = enter(p, until);
        if (rc < 0)
            return rc;
        harvest found = reap(p, me);
        rc = take(p, me);
        int n = rc == NONE ? watch(p, me, list, 1) : 0;
        leave(p, found.returned);
        if (rc != NONE)
            return rc;
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        if (mp__interrupted())
            return MP_EINTR;
        looks = found.uncertain == uncertain ? looks : 0;
        uncertain = found.uncertain;
        mp__sleep_any(list, n, next_look(uncertain, looks, until));
        MP_STEP("permits.wait.woken");
    }
}

int mp__permits_acquire(mp__permits *p, double timeout)
{
    mp__life *me = myself();
    if (me == NULL)
        return MP_ENOMEM;
    mp__deadline until;
    mp__deadline_in(timeout, &until);
    int rc = attempt(p, me, until);
    if (rc != NONE)
        return rc;
    return timeout > 0 ? wait_and_take(p, me, until) : MP_ETIMEDOUT;
}

int mp__permits_release(mp__permits *p, uint32_t n)
{
    mp__life *me = myself();
    if (me == NULL)
        return MP_ENOMEM;
    enter_for_sure(p);
    holder *mine = look(p, me).mine;
    if (mine == NULL || mine->count < n) {
        leave(p, 0);
        return MP_EPERM;
    }
    mp__fence_compiler();
    mine->count -= n;
    mp__fence_compiler();
    MP_STEP("permits.release.counted");
    leave(p, n);
    MP_STEP("permits.release.woken");
    return 0;
}

int mp__permits_value(mp__permits *p)
{
    const mp__life *me = mp__thread_self()->life; /* or NULL: then it is asked like any other */
    enter_for_sure(p);
    uint32_t returned = reap(p, me).returned;
    uint32_t held = look(p, me).held;
    leave(p, returned);
    return (int)(p->total - held);
}

int mp__permits_init(mp__permits *p, uint32_t total)
{
    memset(p, 0, sizeof *p);
    p->total = total;
    p->table = table_new(FIRST_CAPACITY);
    return p->table == NULL ? mp_shared_error() : 0;
}

void mp__permits_fini(mp__permits *p)
{
    mp_shared_free(p->table);
    p->table = NULL;
}
