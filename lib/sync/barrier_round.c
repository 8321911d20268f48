/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * Each row of places serves every other round. A place holds who is in it (a life id) and the round
 * in which it was taken; left, it keeps the round, without an id. `state` is one 64-bit word: the
 * present round, whether the barrier is broken, and, for odd and for even rounds, which one was the
 * last to be released. Nothing else decides anything. No lock is taken.
 *
 * - To arrive is one compare-and-swap: the first place of the row that is not of this round, from
 *   what it was seen to hold while the round was on. So the places of a round fill in order, and
 *   the last to arrive finds all others in place. Where there is no action it needs none itself.
 * - To end a round, however, is one compare-and-swap of `state`, by the last to arrive (released)
 *   or by anybody (broken). While a round is on nobody leaves it, so the last finds what was so.
 * - What became of a round is told by `state` as long as anybody is in a place of it: only the
 *   release of a later round of the row changes that, and it needs all places. Sixteen bits of the
 *   number suffice, for a round that looks released already is skipped (see after()).
 * - Who stalls between looking and taking a place, and takes it when the round is over, was not
 *   counted: had the round been released, the place would have been taken meanwhile, and would not
 *   hold any more what was seen. It leaves again. Others see a place of another round, and wait,
 *   as they do for a party of the row's last round that has not left yet. (Numbers wrap after 2^24
 *   rounds; a stall would have to end at exactly such a distance, in a place unused since then.)
 *
 * Sleepers sleep on `bell`. Whoever ends a round moves `state`, then looks at `asleep`; a sleeper
 * stores its round in `asleep`, then looks at `state`. All four are sequentially consistent: one
 * sees the other. `asleep` only becomes newer, or 0 by one who wakes all those rounds, so that no
 * late waker takes it from the sleepers of the next round.
 *
 * Who may die where:
 * - Before it has taken a place, or in abort or reset before `state` has moved: nothing happened.
 * - In a place. The low 30 bits of `bell` are always 0 and every party announces it to the kernel,
 *   which, at its death, wakes one sleeper, after it has marked its life word. That one looks at
 *   all lives, and breaks the round. Should it die as well, it rings for another.
 * - The same, while nobody sleeps yet: who arrives next looks at the one before it, the last at
 *   all, and the first sleep of each is short. (Any sleep is at most 100 ms, which is also how long
 *   it takes if the bell wakes one who is leaving anyway, and on old kernels; see barrier.h.)
 * - In the action, in which nothing is announced, for it may take locks: one sleeper was woken
 *   before, and watches the life word of the last party from then on.
 * - Between moving `state` and ringing: it is announced, the kernel rings, and who wakes to a round
 *   that is over although nobody has rung, rings for all. Between ringing and waking: one is woken
 *   by the kernel, the others by the time to look.
 * - Having left, before it wakes those who wait for the place: they look again.
 * A place whose party is dead is taken over by compare-and-swap, like a free one.
 */
#include "sync/barrier_round.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/probe.h"
#include "os/spin.h"
#include "os/step.h"
#include "sync/life.h"

#include <mproc/error.h>
#include <mproc/shared.h>

#define BROKEN    1u
#define BELL_STEP (1u << 30)

/* The first sleep of a wait is short: a party that dies while all others are about to go to sleep
 * rings the bell for nobody. */
#define FIRST_LOOK_NS (20 * MP__NS_PER_MS)

#define LIFE_MASK ((UINT64_C(1) << MP__LIFE_ID_BITS) - 1)

/* Results of arrive() and complete(), beside codes and indexes. */
enum { ARRIVED, LAST, TOO_LATE = INT32_MAX };

/* One thread in one call. */
typedef struct party {
    mp__barrier *b;
    mp__rounds *r;
    mp__thread *self;
    mp__life_id id;
    mp__deadline until;
    uint64_t state; /* as it was when it arrived */
    mp__place *row; /* the round's places */
    uint32_t index;
    bool slept;
} party;

/* The lower half of the state: a round's number, and whether the barrier is broken. */
static uint32_t round_of(uint64_t state)
{
    return (uint32_t)state;
}

/* What the upper half keeps of a round that was released, for odd and for even rounds. */
static uint16_t mark_of(uint32_t round)
{
    return (uint16_t)(round >> 2);
}

static unsigned shift_of(uint32_t round)
{
    return round & 2 ? 48 : 32;
}

static bool was_released(uint64_t state, uint32_t round)
{
    return (uint16_t)(state >> shift_of(round)) == mark_of(round);
}

static uint64_t with_release(uint64_t state, uint32_t round)
{
    state &= ~(UINT64_C(0xffff) << shift_of(round));
    return state | (uint64_t)mark_of(round) << shift_of(round);
}

/* The state of the next round. Not one that looks as if it had been released already. */
static uint64_t after(uint64_t state)
{
    uint32_t round = (round_of(state) & ~BROKEN) + 2;
    if (was_released(state, round))
        round += 4;
    return (state & ~(uint64_t)UINT32_MAX) | round;
}

static uint64_t stamp_of(uint32_t round)
{
    return (uint64_t)(round >> 1) << MP__LIFE_ID_BITS;
}

static bool is_in_round(uint64_t place, uint32_t round)
{
    return (place & ~LIFE_MASK) == stamp_of(round) && (place & LIFE_MASK) != 0;
}

static mp__place *row_of(const mp__barrier *b, mp__rounds *r, uint32_t round)
{
    mp__place *places = b->many != NULL ? b->many : r->places;
    return places + (round & 2 ? b->parties : 0);
}

/* Whether `a` is an older round than `b`. */
static bool is_older(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* Somebody will sleep in this round. */
static void tell_asleep(mp__rounds *r, uint32_t round)
{
    uint32_t mine = round | 1;
    uint32_t seen = mp__load_seq(&r->asleep);
    while (seen == 0 || is_older(seen, mine)) /* pairs with wake_sleepers() */
        if (mp__cas_seq(&r->asleep, &seen, mine))
            return;
}

/* Wakes all who sleep, of whatever round. */
static void ring(mp__rounds *r)
{
    mp__add_seq(&r->bell, BELL_STEP); /* who is about to sleep on it does not */
    MP_STEP("barrier.wake.rung");
    mp__futex_wake(&r->bell, MP__WAKE_ALL);
}

/* After the end of a round: wakes those who sleep in it. */
static void wake_sleepers(mp__rounds *r, uint32_t round)
{
    uint32_t seen = mp__load_seq(&r->asleep); /* pairs with tell_asleep() */
    if (seen == 0)
        return;
    if (!is_older(round | 1, seen))
        mp__cas_seq(&r->asleep, &seen, 0);
    MP_STEP("barrier.wake.cleared");
    ring(r);
}

/* Ends the round, as `next` says, if it is still on. */
static bool end_round(mp__rounds *r, uint64_t state, uint64_t next)
{
    /* Publishes what all parties did before they arrived; pairs with the loads of state. */
    if (!mp__cas_seq(&r->state, &state, next))
        return false;
    MP_STEP("barrier.end.decided");
    wake_sleepers(r, round_of(state));
    return true;
}

static bool break_round(mp__rounds *r, uint64_t state)
{
    MP_PROBE1(barrier__broken, r);
    return end_round(r, state, after(state) | BROKEN);
}

static bool is_over(const party *me)
{
    return round_of(mp__load_acquire(&me->r->state)) != round_of(me->state);
}

/* Whether one of the places [from, to) holds a party of this round that is dead. Who has slept
 * takes the time to ask the system, too. */
static bool any_dead(const party *me, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint64_t place = mp__load_acquire(&me->row[i]);
        mp__life_id id = place & LIFE_MASK;
        if (is_in_round(place, round_of(me->state)) &&
            (me->slept ? mp__life_ask_over(id) : mp__life_is_over(id)))
            return true;
    }
    return false;
}

/* Looks again and again, for as long as that has lately paid. */
static bool spin(party *me)
{
    if (!me->b->spins)
        return false;
    mp__spinner *spinner = &me->self->waits;
    uint32_t budget = mp__spin_budget(spinner);
    for (uint32_t i = 0; i < budget; i++) {
        if (is_over(me)) {
            mp__spin_paid(spinner, i, mp__spin_most());
            return true;
        }
        mp__pause();
    }
    if (budget > 0)
        mp__spin_failed(spinner, mp__spin_most());
    return false;
}

static mp__deadline next_look(party *me)
{
    mp__deadline look = mp__deadline_in_ns(me->slept ? MP__LOOK_AGAIN_NS : FIRST_LOOK_NS);
    me->slept = true;
    return mp__deadline_min(look, me->until);
}

/* Sleeps until the round ends, a death rings, or it is time to look. `seen` is what keeps this
 * party from arriving: what place `index` holds; NULL if it has arrived. */
static void sleep_once(party *me, const uint64_t *seen)
{
    mp__rounds *r = me->r;
    mp__watch watches[3] = {{&r->bell, mp__load_acquire(&r->bell)}};
    int n = 1;
    /* The last to arrive, in its action, has no bell. */
    uint64_t last = mp__load_acquire(&me->row[me->b->parties - 1]);
    if (is_in_round(last, round_of(me->state))) {
        mp__life *life = mp__life_find(last & LIFE_MASK);
        watches[n++] = (mp__watch){&life->node.word, mp__load_seq(&life->node.word)};
        if (mp__life_is_over(last & LIFE_MASK))
            return;
    }
    if (seen != NULL && me->index < me->b->parties) {
        watches[n++] = (mp__watch){&r->vacated.word, mp__waitword_arm(&r->vacated)};
        if (mp__load_seq(&me->row[me->index]) != *seen)
            return;
    }
    tell_asleep(r, round_of(me->state));
    MP_STEP("barrier.wait.asleep");
    if (round_of(mp__load_seq(&r->state)) != round_of(me->state)) /* pairs with end_round() */
        return;
    if (n == 1)
        mp__sleep(&r->bell, watches[0].expected, next_look(me));
    else
        mp__sleep_any(watches, n, next_look(me));
    if (is_over(me) && mp__load_relaxed(&r->bell) == watches[0].expected)
        ring(r); /* not woken by whoever ended the round: it has died, or is slow */
}

/* Waits in a place until the round ends. Returns the index, or a code. */
static int wait_in_place(party *me)
{
    int rc = 0;
    if (me->until.ns == 0 || !spin(me))
        for (uint32_t from = me->index > 0 ? me->index - 1 : 0; !is_over(me); from = 0) {
            bool interrupted = me->until.ns != 0 && mp__interrupted(); /* a try takes none */
            if (interrupted)
                rc = MP_EINTR;
            /* At first only the one before, which may have had nobody to hear its death. */
            uint32_t to = me->slept ? me->b->parties : me->index;
            if (interrupted || mp__deadline_passed(me->until) || any_dead(me, from, to))
                break_round(me->r, me->state);
            else
                sleep_once(me, NULL);
        }
    if (rc < 0)
        return rc;
    bool released = was_released(mp__load_acquire(&me->r->state), round_of(me->state));
    return released ? (int)me->index : MP_EBROKEN;
}

static void leave(party *me)
{
    mp__rounds *r = me->r;
    MP_STEP("barrier.leave.over");
    mp__exchange_seq(&me->row[me->index], stamp_of(round_of(me->state)));
    MP_STEP("barrier.leave.left");
    mp__waitword_wake_unlocked(&r->vacated, MP__WAKE_ALL);
}

/* Runs the action, in a place. */
static int act(party *me)
{
    mp__barrier *b = me->b;
    MP_STEP("barrier.act.begun");
    mp__robust_announce(me->self, NULL);   /* it may take locks */
    if (mp__load_seq(&me->r->asleep) != 0) /* so one of the sleepers watches its life word */
        mp__futex_wake(&me->r->bell, 1);
    int rc = b->action(b->action_arg);
    mp__robust_announce_bell(me->self, &me->r->bell);
    MP_STEP("barrier.act.done");
    return rc;
}

/* All are there. Returns the index; MP_EBROKEN; TOO_LATE: another was the last. */
static int complete(party *me)
{
    bool placed = me->b->action != NULL;
    uint64_t state = me->state;
    uint64_t released = with_release(after(state), round_of(state));
    /* All others must live: a neighbour may be stopped, or not have looked yet. */
    bool failed = any_dead(me, 0, me->index);
    if (!failed && placed)
        failed = act(me) < 0 || any_dead(me, 0, me->index);
    MP_STEP("barrier.complete.all");
    bool ended = failed ? break_round(me->r, state) : end_round(me->r, state, released);
    if (!ended && !placed)
        return TOO_LATE;
    return ended && !failed ? (int)me->index : MP_EBROKEN;
}

/* Waits for what keeps a party from arriving: a round that is complete and not over, or a place
 * that somebody has not left yet, or left and died in. Returns 0: try again; or a code. */
static int wait_outside(party *me, uint64_t seen)
{
    bool full = me->index == me->b->parties;
    for (int i = 0; me->until.ns != 0 && me->b->spins && i < MP__SPIN_LEAST; i++) {
        if (is_over(me) || (!full && mp__load_acquire(&me->row[me->index]) != seen))
            return 0;
        mp__pause();
    }
    if (me->until.ns != 0 && mp__interrupted())
        return MP_EINTR;
    if (mp__deadline_passed(me->until)) {
        break_round(me->r, me->state);
        return 0;
    }
    if (any_dead(me, 0, me->b->parties))
        break_round(me->r, me->state);
    else
        sleep_once(me, &seen);
    return 0;
}

/* Takes the first place that is free. Returns ARRIVED, or LAST: if there is no action, without a
 * place; or a code. */
static int arrive(party *me)
{
    mp__rounds *r = me->r;
    for (;;) {
        me->state = mp__load_acquire(&r->state);
        uint32_t round = round_of(me->state);
        if (round & BROKEN)
            return MP_EBROKEN;
        me->row = row_of(me->b, r, round);
        uint64_t seen = 0;
        uint32_t i = 0;
        while (i < me->b->parties && is_in_round(seen = mp__load_acquire(&me->row[i]), round))
            i++;
        me->index = i;
        bool last = i + 1 == me->b->parties;
        if (last && me->b->action == NULL)
            return LAST;
        mp__life_id holder = seen & LIFE_MASK;
        if (i == me->b->parties || (holder != 0 && !mp__life_is_over(holder))) {
            int rc = wait_outside(me, seen);
            if (rc < 0)
                return rc;
            continue;
        }
        /* What was seen was there while the round was on: see the argument. */
        if (mp__load_acquire(&r->state) != me->state)
            continue;
        MP_STEP("barrier.arrive.looked");
        if (!mp__cas_seq(&me->row[i], &seen, me->id | stamp_of(round)))
            continue;
        MP_STEP("barrier.arrive.placed");
        uint64_t now = mp__load_seq(&r->state); /* pairs with end_round() */
        if (round_of(now) == round || was_released(now, round))
            return last ? LAST : ARRIVED;
        leave(me); /* too late: the round was broken */
    }
}

static int meet(party *me)
{
    int rc;
    do {
        rc = arrive(me);
        if (rc < 0)
            return rc;
        bool placed = rc == ARRIVED || me->b->action != NULL;
        rc = rc == LAST ? complete(me) : wait_in_place(me);
        if (placed)
            leave(me);
    } while (rc == TOO_LATE);
    return rc;
}

int mp__barrier_meet(mp__barrier *b, mp__deadline until)
{
    mp__life *life = mp__life_mine();
    if (life == NULL)
        return mp_shared_error();
    party me = {.b = b,
                .r = mp__barrier_rounds(b),
                .self = mp__thread_self(),
                .id = mp__life_id_of(life),
                .until = until};
    mp__robust_announce_bell(me.self, &me.r->bell);
    MP_STEP("barrier.wait.announced");
    int rc = meet(&me);
    mp__robust_announce(me.self, NULL);
    return rc;
}

void mp__barrier_break(mp__barrier *b)
{
    mp__rounds *r = mp__barrier_rounds(b);
    mp__robust_announce_bell(mp__thread_self(), &r->bell);
    uint64_t state;
    do
        state = mp__load_acquire(&r->state);
    while (!(round_of(state) & BROKEN) && !break_round(r, state));
    mp__robust_announce(mp__thread_self(), NULL);
}

void mp__barrier_mend(mp__barrier *b)
{
    mp__rounds *r = mp__barrier_rounds(b);
    mp__robust_announce_bell(mp__thread_self(), &r->bell);
    uint64_t state;
    do
        state = mp__load_acquire(&r->state);
    while (
        !end_round(r, state, round_of(state) & BROKEN ? state & ~(uint64_t)BROKEN : after(state)));
    mp__robust_announce(mp__thread_self(), NULL);
}

bool mp__barrier_is_broken(const mp__barrier *b)
{
    return (round_of(mp__load_acquire(&mp__barrier_rounds(b)->state)) & BROKEN) != 0;
}

uint32_t mp__barrier_arrived(const mp__barrier *b)
{
    mp__rounds *r = mp__barrier_rounds(b);
    uint32_t round = round_of(mp__load_acquire(&r->state));
    const mp__place *row = row_of(b, r, round);
    uint32_t n = 0;
    while (!(round & BROKEN) && n < b->parties && is_in_round(mp__load_relaxed(&row[n]), round))
        n++;
    return n;
}
