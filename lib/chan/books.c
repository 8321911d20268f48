/* SPDX-License-Identifier: MIT */
/* The books of a queue under their lock: who is gone, what is done, what comes back. Why it is
 * right is told in chan/lease.c. */
#include "chan/queue.h"
#include "os/clock.h"
#include "os/identity.h"
#include "os/step.h"
#include "sync/life.h"

#include <mproc/error.h>
#include <mproc/shared.h>

/* What is known of who sits in a seat. */
enum fate { VACANT, ALIVE, LEFT /* the thread alone has ended */, GONE };

#define LOOKS 64 /* for a moment in which no living thread is busy */

/* ---- The lock. */

uint64_t mp__books_unfinished(mp_queue *q)
{
    /* The laps before the count: if they disagree about its highest bit the count has moved on. */
    uint64_t half = mp__load_acquire(&q->books.laps);
    uint32_t count = mp__ring_unpack(mp__load_acquire(&q->ring.tail)).count;
    half += (half ^ count >> 31) & 1;
    return ((half >> 1) << 32 | count) - q->books.done - q->books.lost;
}

/* A lease is over; again after a death, when it may be over already. */
static void end_lease(mp__hold *h, uint64_t word)
{
    if (h != NULL)
        mp__hold_drop(h, mp__hold_block(word), MP__HOLD_LEASED);
}

static void carry_out(mp__books *b, const mp__journal *j)
{
    (void)b;
    end_lease(j->from, j->word);
    MP_STEP("lease.done.ended");
    mp__store_relaxed(&j->seat->done, j->value);
    MP_STEP("lease.done.counted");
}

static void move(const mp__journal *j)
{
    mp__store_relaxed(&j->to->word, j->word);
    MP_STEP("lease.move.written");
    mp__store_relaxed(&j->from->word, 0);
    MP_STEP("lease.move.erased");
}

static void add_up(mp_queue *q)
{
    mp__books *b = &q->books;
    uint64_t done = mp__load_relaxed(&b->common.done), lost = b->vanished;
    uint32_t returned = 0;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        done += mp__load_relaxed(&s->done);
        lost += mp__load_relaxed(&s->lost);
        mp__grip g = mp__grip_begin(s);
        for (mp__hold *h; b->redelivers && (h = mp__grip_next(&g)) != NULL;)
            returned += (mp__load_relaxed(&h->word) & MP__HOLD_BITS) == MP__HOLD_RETURNED;
    }
    b->done = done;
    b->lost = lost;
    mp__store_relaxed(&b->returned, returned);
}

static void repair(mp_queue *q)
{
    mp__books *b = &q->books;
    mp__journal *j = &b->journal;
    switch (mp__load_relaxed(&j->kind)) {
    case MP__JOURNAL_DONE:
        carry_out(b, j);
        break;
    case MP__JOURNAL_TAKE:
        if (mp__load_acquire(&q->ring.head) == j->head)
            mp__store_relaxed(&j->to->word, 0);
        else
            mp__store_relaxed(&j->seat->got, j->value);
        break;
    case MP__JOURNAL_MOVE:
        move(j);
        break;
    default:
        break;
    }
    MP_STEP("lease.repair.completed");
    mp__store_relaxed(&j->kind, MP__JOURNAL_NOTHING);
    add_up(q);
    mp__sleepers_wake(&q->not_empty, MP__SLEEPERS_ALL);
}

static void journal(mp__books *b, mp__journal entry, uint32_t kind)
{
    b->journal = entry; /* of no kind */
    mp__fence_compiler();
    mp__store_relaxed(&b->journal.kind, kind);
    mp__fence_compiler();
    MP_STEP("lease.journal.written");
}

static void journal_end(mp__books *b)
{
    mp__fence_compiler();
    mp__store_relaxed(&b->journal.kind, MP__JOURNAL_NOTHING);
}

void mp__books_lock(mp_queue *q)
{
    if (mp__mutex_lock(&q->books.lock))
        repair(q);
}

int mp__books_try_lock(mp_queue *q, mp__patience *p)
{
    mp__mutex *m = &q->books.lock;
    if (__builtin_expect(mp__mutex_take_free(m, mp__thread_self()), 1))
        return 0;
    bool patient = p != NULL && p->timeout > 0;
    mp__deadline until = patient ? mp__patience_deadline(p) : MP__AT_ONCE;
    mp__deadline least = mp__deadline_in_ns(MP__NS_PER_MS);
    int rc = mp__mutex_acquire(m, until.ns > least.ns ? until : least, patient);
    if (rc == MP_OWNERDEAD)
        repair(q);
    return rc == MP_ETIMEDOUT ? MP_EAGAIN : rc < 0 ? rc : 0;
}

void mp__books_unlock(mp_queue *q)
{
    mp__books *b = &q->books;
    bool finished = mp__books_unfinished(q) == 0;
    if (finished)
        mp__add_seq(&b->zeros, 1);
    MP_STEP("lease.unlock.looked");
    /* Before the unlock: who has joined may free the queue right after it. */
    if (finished)
        mp__waitword_wake(&b->finished, MP__WAKE_ALL);
    MP_STEP("lease.unlock.woken");
    mp__mutex_unlock(&b->lock);
}

/* ---- The dead. */

static uint32_t fate_of(const mp__seat *s)
{
    mp__life_id life = mp__load_relaxed(&s->life);
    if (life == 0)
        return VACANT;
    if (!mp__life_ask_over(life))
        return ALIVE;
    return mp__process_is_gone(mp__load_relaxed(&s->pid), mp__load_relaxed(&s->started)) ? GONE
                                                                                         : LEFT;
}

static bool holds_something(mp__seat *s)
{
    mp__grip g = mp__grip_begin(s);
    for (mp__hold *h; (h = mp__grip_next(&g)) != NULL;)
        if (mp__load_relaxed(&h->word) != 0)
            return true;
    return false;
}

/* What the look for messages that nobody has counted tells. */
typedef struct gap {
    bool known;
    uint64_t messages; /* that were taken and not counted */
    uint64_t wanted;   /* what those were about to take who died busy */
} gap;

/* With the lock, and the seats' fates known. */
static gap look_for_gap(mp_queue *q)
{
    mp__books *b = &q->books;
    for (int i = 0; i < LOOKS; i++) {
        uint64_t head = mp__load_seq(&q->ring.head);
        uint64_t busy = mp__load_acquire(&b->common.busy); /* pairs with mp__lease_take() */
        uint64_t sum = b->vanished + mp__load_relaxed(&b->common.got), wanted = 0;
        mp__walk w = mp__walk_begin(q);
        for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
            uint32_t taking = mp__load_acquire(&s->busy); /* pairs with mp__lease_take() */
            *(mp__load_relaxed(&s->fate) == ALIVE ? &busy : &wanted) += taking;
            sum += mp__load_relaxed(&s->got);
        }
        mp__fence_acquire(); /* the seats before the second look at head */
        if (busy == 0 && mp__load_relaxed(&q->ring.head) == head)
            return (gap){true, (uint32_t)(mp__ring_unpack(head).count - (uint32_t)sum), wanted};
        mp__pause();
    }
    return (gap){false, 0, 0};
}

/* Gives up what a dead process has in this hold. Returns 1 if that is a message for others now. */
static uint32_t judge(mp__seat *s, mp__hold *h, const gap *g)
{
    uint64_t word = mp__load_acquire(&h->word);
    uint32_t bits = (uint32_t)word & MP__HOLD_BITS;
    if (word == 0 || bits == MP__HOLD_RETURNED)
        return 0;
    if (bits & MP__HOLD_LEASED) {
        h->noted = UINT64_MAX;
        mp__store_relaxed(&h->word, mp__hold_word(mp__hold_block(word), MP__HOLD_RETURNED));
        MP_STEP("lease.settle.returned");
        return 1;
    }
    bool is_its = (bits & MP__HOLD_LOAN) || h->noted != mp__load_relaxed(&s->got) ||
                  (mp__load_relaxed(&s->busy) != 0 && g->messages > 0 && g->messages == g->wanted);
    mp__store_relaxed(&h->word, 0);
    MP_STEP("lease.settle.dropped");
    if (is_its)
        mp_shared_free(mp__hold_block(word));
    return 0;
}

/* With the lock: the process of that seat is gone. */
static void settle_seat(mp_queue *q, mp__seat *s, const gap *g)
{
    mp__books *b = &q->books;
    mp__grip grip = mp__grip_begin(s);
    uint32_t returned = 0;
    for (mp__hold *h; (h = mp__grip_next(&grip)) != NULL;)
        returned += judge(s, h, g);
    mp__store_relaxed(&b->returned, mp__load_relaxed(&b->returned) + returned);
    if (!b->redelivers) {
        uint64_t left = mp__seat_outstanding(s);
        mp__store_relaxed(&s->lost, mp__load_relaxed(&s->lost) + left);
        MP_STEP("lease.settle.lost");
        b->lost += left;
    }
    mp__store_relaxed(&s->busy, 0);
    if (!holds_something(s))
        mp__store_release(&s->life, 0); /* pairs with the walks without the lock */
    MP_STEP("lease.settle.vacated");
}

static bool is_held_there(mp__seat *s, const mp__hold *wanted)
{
    mp__grip g = mp__grip_begin(s);
    for (mp__hold *h; (h = mp__grip_next(&g)) != NULL;)
        if (h == wanted)
            return true;
    return false;
}

/* A loan that was on its way into the ring when its owner died: it is in, or not. One of a living
 * process is left alone, for that may be stopped, with put_lock: then nobody dead has left one. */
static void settle_publishing(mp_queue *q)
{
    const mp__hold *loan = mp__load_acquire(&q->books.publishing); /* pairs with publish() */
    if (loan == NULL)
        return;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;)
        if (mp__load_relaxed(&s->fate) == GONE && is_held_there(s, loan)) {
            mp__queue_lock_put_for_sure(q);
            mp__mutex_unlock(&q->ring.put_lock);
            return;
        }
}

bool mp__books_settle(mp_queue *q)
{
    uint32_t gone = 0, left = 0, before = mp__load_relaxed(&q->books.returned);
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        uint32_t fate = fate_of(s);
        mp__store_relaxed(&s->fate, fate);
        gone += fate == GONE;
        left += fate == LEFT;
    }
    if (gone == 0)
        return left > 0;
    MP_STEP("lease.settle.found");
    settle_publishing(q);
    gap g = look_for_gap(q);
    q->books.vanished += g.messages;
    MP_STEP("lease.settle.vanished");
    q->books.lost += g.messages;
    w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;)
        if (mp__load_relaxed(&s->fate) == GONE && (g.known || mp__load_relaxed(&s->busy) == 0))
            settle_seat(q, s, &g);
    uint32_t returned = mp__load_relaxed(&q->books.returned) - before;
    if (returned > 0) {
        mp__sleepers_wake(&q->not_empty, (int)returned);
        if (mp__doorbells_any(&q->arrivals))
            mp__doorbells_ring(&q->arrivals);
    }
    return left > 0 || !g.known;
}

/* ---- Done. */

/* Who books a task that is done: the closest to the caller, first itself. */
static int closeness(const mp__seat *s, const mp__seat *mine, const mp__life *me)
{
    if (s == mine)
        return 3;
    return me != NULL && mp__seat_is_of(s, me) ? 2 : 1;
}

/* With the lock: a seat with something outstanding. */
static mp__seat *seat_to_book(mp_queue *q, const mp__seat *mine, const mp__life *me)
{
    mp__seat *best = NULL;
    int closest = 0;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        int c = closeness(s, mine, me);
        if (c > closest && mp__seat_outstanding(s) > 0) {
            best = s;
            closest = c;
        }
    }
    mp__seat *common = &q->books.common;
    return best == NULL && mp__seat_outstanding(common) > 0 ? common : best;
}

/* The hold that comes first among those with this bit, by their messages if these came back, else
 * as they were got; NULL: none has it. */
static mp__hold *first_with(mp__seat *s, uint32_t bit, mp__hold *best)
{
    bool by_message = bit == MP__HOLD_RETURNED;
    mp__grip g = mp__grip_begin(s);
    for (mp__hold *h; (h = mp__grip_next(&g)) != NULL;) {
        if ((mp__load_relaxed(&h->word) & (MP__HOLD_LOAN | bit)) != bit)
            continue;
        if (best == NULL || (by_message ? h->order < best->order : h->since < best->since))
            best = h;
    }
    return best;
}

/* With the lock: the oldest lease of the closest. */
static mp__hold *lease_to_book(mp_queue *q, const mp__seat *mine, const mp__life *me,
                               mp__seat **seat)
{
    mp__hold *best = NULL;
    int closest = 0;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        int c = closeness(s, mine, me);
        mp__hold *h = c < closest ? NULL : first_with(s, MP__HOLD_LEASED, NULL);
        if (h != NULL && (c > closest || h->since < best->since)) {
            best = h;
            closest = c;
            *seat = s;
        }
    }
    return best;
}

int mp__books_done(mp_queue *q)
{
    mp__books *b = &q->books;
    const mp__life *me = mp__thread_self()->life; /* or NULL: then nothing here is its own */
    const mp__thread_seat *known = mp__thread_seat_of(q);
    const mp__seat *mine = known->queue == q && known->serial == b->serial ? known->seat : NULL;
    mp__seat *s = NULL;
    mp__hold *h = b->redelivers ? lease_to_book(q, mine, me, &s) : NULL;
    if (!b->redelivers)
        s = seat_to_book(q, mine, me);
    if (s == NULL)
        return MP_ESTATE;
    mp__journal j = {.seat = s, .from = h, .value = mp__load_relaxed(&s->done) + 1};
    j.word = h == NULL ? 0 : mp__load_relaxed(&h->word);
    journal(b, j, MP__JOURNAL_DONE);
    carry_out(b, &b->journal);
    journal_end(b);
    b->done++;
    return 0;
}

/* ---- Queues that redeliver. */

/* With the lock: the first message that came back. */
static int get_returned(mp_queue *q, mp__hold *into, mp__lease_wanted *wanted, void *arg)
{
    mp__books *b = &q->books;
    mp__hold *h = NULL;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;)
        h = first_with(s, MP__HOLD_RETURNED, h);
    if (h == NULL)
        return MP_EEMPTY;
    mp__ring_block *block = mp__hold_block(mp__load_relaxed(&h->word));
    int rc = wanted(arg, block->length);
    if (rc < 0)
        return rc;
    into->order = h->order;
    into->since = b->gets++;
    into->noted = UINT64_MAX;
    mp__store_relaxed(&block->holder, (uintptr_t)into);
    mp__journal j = {.from = h, .to = into};
    j.word = mp__hold_word(block, MP__HOLD_LEASED | MP__HOLD_USED);
    journal(b, j, MP__JOURNAL_MOVE);
    move(&b->journal);
    mp__store_relaxed(&b->returned, mp__load_relaxed(&b->returned) - 1);
    journal_end(b);
    return 0;
}

/* With the lock: the message at the ring's head, a block as all are. */
static int get_next(mp_queue *q, mp__seat *s, mp__hold *into, mp__lease_wanted *wanted, void *arg)
{
    mp__books *b = &q->books;
    mp__ring_view v;
    if (!mp__ring_look(&q->ring, &v))
        return MP_EEMPTY;
    if (v.message.kind != MP__RING_BLOCK)
        return MP_EBROKEN; /* overwritten: all are blocks */
    int rc = wanted(arg, v.message.length);
    if (rc < 0)
        return rc;
    into->order = b->order++;
    into->since = b->gets++;
    into->noted = UINT64_MAX;
    mp__journal j = {.seat = s, .to = into, .head = v.from};
    j.value = mp__load_relaxed(&s->got) + 1;
    journal(b, j, MP__JOURNAL_TAKE);
    mp__store_relaxed(&v.message.block->holder, (uintptr_t)into);
    mp__store_relaxed(&into->word, mp__hold_word(v.message.block, MP__HOLD_LEASED | MP__HOLD_USED));
    MP_STEP("lease.get.noted");
    mp__ring_take(&q->ring, &v); /* nobody else takes without the lock */
    MP_STEP("lease.get.taken");
    mp__store_relaxed(&s->got, j.value);
    journal_end(b);
    return 0;
}

int mp__lease_get(mp_queue *q, mp__seat *s, mp__hold *into, mp__lease_wanted *wanted, void *arg)
{
    /* Also where there is always something in the ring. */
    int64_t now = mp__now();
    if (now - q->books.looked > MP__LOOK_AGAIN_NS) {
        mp__books_settle(q);
        q->books.looked = now;
    }
    if (mp__load_relaxed(&q->books.returned) > 0)
        return get_returned(q, into, wanted, arg);
    return get_next(q, s, into, wanted, arg);
}

/* Whether others have leases; *over: and one of their threads has ended. */
static bool others_have_leases(mp_queue *q, bool *over)
{
    const mp__life *me = mp__lease_myself();
    bool others = false;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        mp__life_id life = mp__load_acquire(&s->life); /* pairs with take_seat() */
        if (life == 0 || (me != NULL && mp__seat_is_of(s, me)) ||
            first_with(s, MP__HOLD_LEASED, NULL) == NULL)
            continue;
        others = true;
        *over |= mp__life_is_over(life);
    }
    return others;
}

bool mp__lease_recall(mp_queue *q, bool exactly)
{
    bool over = exactly;
    bool others = others_have_leases(q, &over);
    if (!over)
        return others;
    if (mp__books_try_lock(q, NULL) < 0)
        return true;
    mp__books_settle(q);
    others = others_have_leases(q, &over);
    mp__books_unlock(q);
    return others;
}
