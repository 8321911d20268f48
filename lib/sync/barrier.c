/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * A round: the parties take slots 0, 1, ... in the order of their arrival, under `lock`. The last
 * to arrive runs the action outside the lock, then writes "released" into all slots and moves
 * `state` to the next generation. Whoever breaks or resets the barrier does the same with "broken".
 * A waiter sleeps while `state` is what it was at its arrival; what became of its round is in its
 * own slot, which stays its own until it leaves, however late that is. Odd and even rounds have
 * slots of their own; a slot whose last user has not left yet is waited for.
 *
 * `state` is stored (sequentially consistent) before the look at `asleep`; a sleeper stores
 * `asleep` before it looks at `state` again. So one of them sees the other.
 *
 * Who may die where:
 * - A waiter. Its slot is a robust word, so the kernel marks it and wakes one who watches it.
 *   Waiter i watches slots i - 1 and i + 1, also while nobody is there yet, so each waiter is
 *   watched by every neighbour that has arrived. Who finds its neighbour dead breaks the round.
 *   (The kernel wakes but one watcher; should that one die, too, the next look, within 100 ms,
 *   finds it.)
 * - The last to arrive, in the action: it is in a slot like the others.
 * - The last to arrive, between deciding and moving `state`: `releasing` was set first; the next
 *   who takes the lock is told that its owner died, and finishes the release. Anybody who dies with
 *   the lock before that has the round broken.
 * - Between moving `state` and waking: its slot is marked; the neighbour that the kernel wakes
 *   finds the new state, and everybody who leaves wakes the rest.
 */
#include <mproc/barrier.h>

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/mutex.h"
#include "sync/waitword.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define BARRIER_MAGIC 0x62617272u

enum { PENDING, RELEASED, BROKEN }; /* what became of a party */
enum { RELEASE = 1, BREAK, RESET }; /* how a round ends */

typedef struct slot {
    mp__robust life; /* held by the party from its arrival until it has left */
    _Atomic uint32_t outcome;
    uint32_t reserved[5];
} slot;

_Static_assert(sizeof(slot) == MP__CACHE_LINE, "a slot is a cache line");

typedef struct barrier_body {
    mp__mutex lock; /* guards all that follows but what is atomic for its readers */
    _Atomic uint32_t magic;
    uint32_t parties;
    _Atomic uint32_t state;   /* generation << 1, and whether it is broken */
    _Atomic uint32_t asleep;  /* somebody may sleep on state */
    _Atomic uint32_t arrived; /* slots taken in this round */
    uint32_t ending;          /* how a round is being ended; 0: it is not */
    mp__waitword vacated;     /* slots becoming free */
    slot *slots;              /* 2 * parties; at the same address in every process */
    int (*action)(void *);
    void *action_arg;
    double timeout; /* 0: none */
} barrier_body;

_Static_assert(sizeof(barrier_body) <= sizeof(mp_barrier), "mp_barrier has room for its body");
_Static_assert(_Alignof(barrier_body) <= _Alignof(mp_barrier), "mp_barrier is aligned");

/* One party in one round. */
typedef struct arrival {
    barrier_body *b;
    uint32_t state; /* as it was */
    uint32_t index;
    slot *row; /* the round's slots */
} arrival;

static barrier_body *body_of(const mp_barrier *barrier)
{
    barrier_body *body = (barrier_body *)(void *)(uintptr_t)barrier;
    if (barrier == NULL || mp__load_acquire(&body->magic) != BARRIER_MAGIC)
        return NULL;
    return body;
}

static bool is_broken(uint32_t state)
{
    return (state & 1) != 0;
}

static slot *row_of(barrier_body *b, uint32_t state)
{
    return b->slots + (size_t)((state >> 1) % 2) * b->parties;
}

/* With the lock held: ends the round. The wake follows after the unlock. Whoever finds it begun
 * begins anew, which does no harm at any step: once state has moved nobody has arrived in the new
 * round. */
static void end_round(barrier_body *b, uint32_t how)
{
    b->ending = how;
    mp__fence_compiler();
    uint32_t state = mp__load_relaxed(&b->state);
    slot *row = row_of(b, state);
    for (uint32_t i = 0; i < mp__load_relaxed(&b->arrived); i++)
        mp__store_relaxed(&row[i].outcome, how == RELEASE ? RELEASED : BROKEN);
    mp__fence_compiler();
    mp__store_relaxed(&b->arrived, 0);
    /* Publishes the outcomes; pairs with the loads of state in look() and wait_for_round(). */
    mp__store_seq(&b->state, ((state & ~1u) + 2) | (how == BREAK ? 1 : 0));
    mp__fence_compiler();
    b->ending = 0;
}

static void wake_all(barrier_body *b)
{
    if (mp__load_seq(&b->asleep) != 0 && mp__exchange_seq(&b->asleep, 0) != 0)
        mp__futex_wake(&b->state, MP__WAKE_ALL);
}

static void lock(barrier_body *b)
{
    if (!mp__mutex_lock(&b->lock))
        return;
    if (b->ending != 0)
        end_round(b, b->ending);
    else if (mp__load_relaxed(&b->arrived) > 0)
        end_round(b, BREAK);
}

static void unlock_and_wake(barrier_body *b)
{
    mp__mutex_unlock(&b->lock);
    wake_all(b);
}

/* Breaks the round if it is still on. */
static void break_round(barrier_body *b, uint32_t state)
{
    lock(b);
    if (mp__load_relaxed(&b->state) == state)
        end_round(b, BREAK);
    unlock_and_wake(b);
}

static void take_slot(slot *s)
{
    mp__thread *self = mp__thread_self();
    mp__store_relaxed(&s->outcome, PENDING);
    mp__robust_announce(self, &s->life);
    /* Marked from the start, so that the kernel wakes a watcher. Pairs with look(). */
    mp__store_release(&s->life.word, self->tid | MP__WAITERS);
    mp__robust_link(self, &s->life);
    mp__robust_announce(self, NULL);
}

static void leave_slot(barrier_body *b, slot *s)
{
    mp__thread *self = mp__thread_self();
    mp__robust_announce(self, &s->life);
    mp__robust_unlink(self, &s->life);
    mp__exchange_seq(&s->life.word, 0);
    mp__robust_announce(self, NULL);
    mp__waitword_wake(&b->vacated, MP__WAKE_ALL);
}

/* Whether the party in a taken slot is gone. It may have left, if the round is over by now. */
static bool looks_dead(const slot *s)
{
    return mp__robust_abandoned(mp__load_acquire(&s->life.word));
}

/* Whether the round is over; breaks it if a neighbour has died. */
static bool look(const arrival *me)
{
    barrier_body *b = me->b;
    bool dead = me->index > 0 && looks_dead(&me->row[me->index - 1]);
    if (mp__load_acquire(&b->arrived) > me->index + 1)
        dead = dead || looks_dead(&me->row[me->index + 1]);
    /* After the slots: one that was left in order was left after state had moved. */
    if (mp__load_acquire(&b->state) != me->state)
        return true;
    if (dead)
        break_round(b, me->state);
    return dead;
}

static bool is_over(void *arg)
{
    const arrival *me = arg;
    return mp__load_acquire(&me->b->state) != me->state;
}

/* Sleeps once, watching the state and both neighbours. */
static void sleep_once(const arrival *me, mp__deadline until)
{
    mp__watch watches[3] = {{&me->b->state, me->state}};
    int n = 1;
    if (me->index > 0) {
        _Atomic uint32_t *word = &me->row[me->index - 1].life.word;
        watches[n++] = (mp__watch){word, mp__load_relaxed(word)};
    }
    if (me->index + 1 < me->b->parties) {
        _Atomic uint32_t *word = &me->row[me->index + 1].life.word;
        watches[n++] = (mp__watch){word, mp__load_relaxed(word)};
    }
    mp__store_seq(&me->b->asleep, 1); /* pairs with wake_all() */
    mp__fence_seq();                  /* before the look, which is but an acquire load */
    if (!look(me)) /* also after the neighbours' words were read: a death since then differs */
        mp__sleep_any(watches, n, mp__deadline_look_again(until));
}

/* Waits in a slot. Returns 0 when the round is over, for whatever reason; MP_EINTR. */
static int wait_for_round(const arrival *me, mp__deadline until)
{
    if (until.ns != 0 && mp__spin_until(is_over, (void *)(uintptr_t)me))
        return 0;
    while (!look(me)) {
        bool interrupted = until.ns != 0 && mp__interrupted(); /* a try takes none */
        if (interrupted || mp__deadline_passed(until)) {
            break_round(me->b, me->state);
            return interrupted ? MP_EINTR : 0;
        }
        sleep_once(me, until);
    }
    return 0;
}

/* With the lock held: whether one of the slots [from, to) has lost its party. */
static bool any_dead(const slot *row, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (looks_dead(&row[i]))
            return true;
    return false;
}

/* The last to arrive: runs the action, and lets all go on. Called, and returns, with the lock. */
static void complete(const arrival *me)
{
    barrier_body *b = me->b;
    int rc = 0;
    if (b->action != NULL) {
        mp__mutex_unlock(&b->lock);
        rc = b->action(b->action_arg);
        lock(b);
    }
    if (mp__load_relaxed(&b->state) != me->state)
        return; /* broken or reset meanwhile */
    /* All must be there: a neighbour may be stopped, or not have looked yet. */
    end_round(b, rc >= 0 && !any_dead(me->row, 0, me->index) ? RELEASE : BREAK);
}

/* With the lock held: waits, without it, for what keeps this party from arriving: a round that is
 * complete and not over, or a slot that is not left yet. */
static int wait_for_slot(barrier_body *b, bool full, mp__deadline until)
{
    uint32_t state = mp__load_relaxed(&b->state);
    uint32_t ticket = mp__waitword_arm(&b->vacated);
    mp__mutex_unlock(&b->lock);
    if (full) {
        mp__store_seq(&b->asleep, 1);
        mp__sleep(&b->state, state, mp__deadline_look_again(until));
    } else {
        mp__sleep(&b->vacated.word, ticket, mp__deadline_look_again(until));
    }
    int rc = mp__deadline_passed(until) ? MP_ETIMEDOUT : mp__interrupted() ? MP_EINTR : 0;
    lock(b);
    return rc;
}

/* Takes the next slot; returns 0 with the lock, or a code without it. */
static int arrive(barrier_body *b, arrival *me, mp__deadline until)
{
    lock(b);
    for (int rc = 0;;) {
        me->b = b;
        me->state = mp__load_relaxed(&b->state);
        me->index = mp__load_relaxed(&b->arrived);
        me->row = row_of(b, me->state);
        if (is_broken(me->state))
            rc = MP_EBROKEN;
        /* The party before this one may have had no neighbour to see its death. */
        uint32_t before = me->index > 0 ? me->index - 1 : 0;
        if (rc == MP_ETIMEDOUT || (rc == 0 && any_dead(me->row, before, me->index))) {
            end_round(b, BREAK);
            rc = MP_EBROKEN;
        }
        if (rc < 0) {
            unlock_and_wake(b);
            return rc;
        }
        bool full = me->index == b->parties;
        if (!full && looks_dead(&me->row[me->index]))
            break;
        rc = wait_for_slot(b, full, until);
    }
    take_slot(&me->row[me->index]);
    mp__store_release(&b->arrived, me->index + 1); /* pairs with look() */
    return 0;
}

int mp_barrier_wait(mp_barrier *barrier, double timeout)
{
    barrier_body *b = body_of(barrier);
    if (b == NULL || timeout != timeout)
        return MP_EINVAL;
    if (timeout == MP_DEFAULT_TIMEOUT)
        timeout = b->timeout > 0 ? b->timeout : MP_FOREVER;
    if (mp__thread_self()->held >= MP__ROBUST_MOST)
        return MP_EAGAIN;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__deadline until;
    mp__deadline_in(timeout, &until);

    arrival me;
    int rc = arrive(b, &me, until);
    if (rc < 0)
        return rc;
    if (me.index + 1 == b->parties) {
        complete(&me);
        unlock_and_wake(b);
    } else {
        mp__mutex_unlock(&b->lock);
        rc = wait_for_round(&me, until);
        wake_all(b); /* for those whose waker died */
    }
    slot *mine = &me.row[me.index];
    if (rc == 0)
        rc = mp__load_relaxed(&mine->outcome) == RELEASED ? (int)me.index : MP_EBROKEN;
    leave_slot(b, mine);
    return rc;
}

int mp_barrier_abort(mp_barrier *barrier)
{
    barrier_body *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    lock(b);
    end_round(b, BREAK);
    unlock_and_wake(b);
    return 0;
}

int mp_barrier_reset(mp_barrier *barrier)
{
    barrier_body *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    lock(b);
    end_round(b, RESET);
    unlock_and_wake(b);
    return 0;
}

int mp_barrier_parties(const mp_barrier *barrier)
{
    const barrier_body *b = body_of(barrier);
    return b == NULL ? MP_EINVAL : (int)b->parties;
}

int mp_barrier_waiting(const mp_barrier *barrier)
{
    const barrier_body *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    uint32_t arrived = mp__load_relaxed(&b->arrived);
    return arrived < b->parties ? (int)arrived : 0; /* the last one does not wait */
}

bool mp_barrier_broken(const mp_barrier *barrier)
{
    const barrier_body *b = body_of(barrier);
    return b != NULL && is_broken(mp__load_acquire(&b->state));
}

static int read_options(mp_barrier_options *o, int parties, const mp_barrier_options *options)
{
    int rc = mp__options_read(o, sizeof *o, options);
    if (rc < 0)
        return rc;
    if (parties < 1 || o->timeout != o->timeout || o->timeout < 0)
        return MP_EINVAL;
    return o->action == NULL && o->action_arg != NULL ? MP_EINVAL : 0;
}

int mp_barrier_init(mp_barrier *barrier, int parties, const mp_barrier_options *options)
{
    mp_barrier_options o;
    if (barrier == NULL || !mp__is_aligned(barrier, _Alignof(mp_barrier)))
        return MP_EINVAL;
    int rc = read_options(&o, parties, options);
    if (rc < 0)
        return rc;
    slot *slots = mp_shared_calloc(2 * (size_t)parties, sizeof *slots);
    if (slots == NULL)
        return mp_shared_error();
    barrier_body *b = (barrier_body *)(void *)barrier;
    memset(barrier, 0, sizeof *barrier);
    b->parties = (uint32_t)parties;
    b->slots = slots;
    b->action = o.action;
    b->action_arg = o.action_arg;
    b->timeout = o.timeout;
    mp__store_release(&b->magic, BARRIER_MAGIC); /* pairs with body_of() */
    return 0;
}

int mp_barrier_fini(mp_barrier *barrier)
{
    barrier_body *b = body_of(barrier);
    if (b == NULL)
        return MP_EINVAL;
    mp__store_relaxed(&b->magic, 0);
    mp_shared_free(b->slots);
    return 0;
}

int mp_barrier_create(mp_barrier **out, int parties, const mp_barrier_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_barrier_options o;
    int rc = read_options(&o, parties, options);
    if (rc < 0)
        return rc;
    mp_barrier *barrier = mp_shared_alloc(sizeof *barrier);
    if (barrier == NULL)
        return mp_shared_error();
    rc = mp_barrier_init(barrier, parties, options);
    if (rc < 0) {
        mp_shared_free(barrier);
        return rc;
    }
    *out = barrier;
    return 0;
}

void mp_barrier_free(mp_barrier *barrier)
{
    if (mp_barrier_fini(barrier) == 0)
        mp_shared_free(barrier);
}
