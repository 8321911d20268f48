/* SPDX-License-Identifier: MIT */
/*
 * What is counted. A message that was put is in the queue, or somebody has got it, and then its
 * task is done or it went with a dead process. So unfinished = put - done - lost. put is the ring's
 * tail. Each thread that gets has a seat, with counts that only grow, also when another sits there
 * later: `got` by the thread itself, without any lock; `done` and `lost` under the books' lock.
 *
 * Why nothing is counted twice or never.
 * - got. Who gets says in `busy` how many it takes, moves the ring's head by its compare-and-swap,
 *   adds to `got`, and clears `busy`. So head is ahead of the sum of all got by what busy ones have
 *   taken. Who settles reads head, then each seat, busy before got, then head again. If head is the
 *   same and no living thread is busy, all of them have counted what they took, for a take between
 *   would have moved head, and a take before shows in busy (stored before the compare-and-swap
 *   whose result was read) or in got (stored before busy was cleared). What is left of the
 *   difference was taken by threads that died in between: it has `vanished`. A thread is dead by
 *   its life word, which is read before its seat, so that the seat is final.
 * - lost. When a process is gone, what its seats got and have not done is added to their `lost`:
 *   one store, after which there is nothing more to add. (A thread's end is not its process's:
 *   another thread may do its tasks.) A process is its number and its start; see sync/permits.c.
 * - done. A task that is done is booked where there is something to do: in the thread's own seat,
 *   else another one of its process, else anybody's. So no seat has more done than got. With the
 *   total, and for queues that redeliver the lease, that is more than one store: it is in the
 *   journal first, and whoever comes into the lock after a death (MP_OWNERDEAD) does it again.
 *   Totals are added up anew then.
 *
 * A living thread that is stopped (SIGSTOP) while it is busy keeps those waiting who want to know
 * of a process that died busy. One that has called execve() keeps what it got until it ends.
 *
 * Blocks. A hold is one word, a block and what it is to the holder; whoever brings it to 0 by
 * compare-and-swap frees the block. A death between the two, a few instructions, costs the block.
 * - Only the seat's thread writes into a free hold. Before it takes a block from the ring it notes
 *   the block and `got`; if it dies the block was taken if got has grown, or if it was busy and all
 *   that dead busy ones may have taken is missing. If only some of it is, nobody knows which, and
 *   the block is left to nobody rather than freed under somebody's hands.
 * - A loan on its way into the ring stands in `publishing`, under put_lock, beside the tail that
 *   there was: who comes into put_lock after a death sees whether tail has moved. Only the loan's
 *   own process publishes it, so when that is gone and put_lock was repaired all is known.
 *
 * Queues that redeliver. Every message lies in a block, and who takes has the lock, so that exactly
 * one may move head: the hold is written first (LEASED), with head in the journal. When a process
 * is gone its leases become RETURNED; they stay in the seat, which is not used again until others
 * have got them. The order of messages is kept in the hold, and goes with the message. A task that
 * is done is the one that was got first, in whatever order the messages were put.
 */
#include "chan/lease.h"

#include "chan/queue.h"
#include "os/clock.h"
#include "os/identity.h"
#include "os/step.h"
#include "shm/shared_block.h"
#include "sync/life.h"

#include <mproc/error.h>
#include <mproc/shared.h>

void mp__books_init(mp__books *b, bool redelivers)
{
    static _Atomic uint64_t made;
    b->redelivers = redelivers;
    b->serial =
        ((uint64_t)mp__now() << 8) + ((uint64_t)mp__process_id() << 40) + mp__add_relaxed(&made, 1);
}

/* ---- Seats. */

static mp__seat_block *next_block(const mp__seat_block *b)
{
    return mp__load_acquire(&b->next); /* pairs with add_seats() */
}

mp__walk mp__walk_begin(mp_queue *q)
{
    return (mp__walk){mp__load_acquire(&q->books.seats), 0}; /* pairs with add_seats() */
}

mp__seat *mp__walk_next(mp__walk *w)
{
    if (w->block != NULL && w->place == MP__SEATS_IN_BLOCK)
        *w = (mp__walk){next_block(w->block), 0};
    return w->block == NULL ? NULL : &w->block->seat[w->place++];
}

mp__grip mp__grip_begin(mp__seat *s)
{
    return (mp__grip){&s->hand, mp__load_acquire(&s->holds), 0}; /* pairs with mp__hold_new() */
}

mp__hold *mp__grip_next(mp__grip *g)
{
    mp__hold *hand = g->hand;
    g->hand = NULL;
    if (hand != NULL)
        return hand;
    if (g->chunk != NULL && g->place == MP__HOLDS_IN_CHUNK) {
        g->chunk = mp__load_acquire(&g->chunk->next);
        g->place = 0;
    }
    return g->chunk == NULL ? NULL : &g->chunk->hold[g->place++];
}

uint64_t mp__seat_outstanding(const mp__seat *s)
{
    return mp__load_acquire(&s->got) - mp__load_relaxed(&s->done) - mp__load_relaxed(&s->lost);
}

mp__life *mp__lease_myself(void)
{
    mp__life *me = mp__life_mine();
    if (me != NULL && mp__load_relaxed(&me->started) == 0)
        mp__store_relaxed(&me->started, mp__process_started(mp__load_relaxed(&me->pid)));
    return me;
}

bool mp__seat_is_of(const mp__seat *s, const mp__life *me)
{
    return mp__load_relaxed(&s->life) != 0 &&
           mp__load_relaxed(&s->pid) == mp__load_relaxed(&me->pid) &&
           mp__started_alike(mp__load_relaxed(&s->started), mp__load_relaxed(&me->started));
}

/* With the lock: eight more. */
static mp__seat *add_seats(mp__books *b)
{
    mp__seat_block *block =
        mp__block_calloc(sizeof *block, MP__CACHE_LINE, __builtin_return_address(0));
    if (block == NULL)
        return NULL;
    MP_STEP("lease.seats.made");
    _Atomic(mp__seat_block *) *end = &b->seats;
    while (mp__load_relaxed(end) != NULL)
        end = &mp__load_relaxed(end)->next;
    mp__store_release(end, block); /* pairs with mp__walk_begin(), next_block() */
    MP_STEP("lease.seats.linked");
    return &block->seat[0];
}

/* With the lock: a seat that this thread may have: its own; one of its process that a thread has
 * left; a vacant one; NULL: there is none. */
static mp__seat *find_seat(mp_queue *q, const mp__life *me)
{
    mp__seat *left = NULL, *vacant = NULL;
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;) {
        mp__life_id life = mp__load_relaxed(&s->life);
        if (life == mp__life_id_of(me))
            return s;
        if (life == 0)
            vacant = vacant == NULL ? s : vacant;
        else if (mp__seat_is_of(s, me) && mp__life_is_over(life) && mp__load_relaxed(&s->busy) == 0)
            left = s;
    }
    return left != NULL ? left : vacant;
}

/* With the lock. */
static mp__seat *take_seat(mp_queue *q, const mp__life *me)
{
    mp__seat *s = find_seat(q, me);
    if (s == NULL) {
        mp__books_settle(q);
        s = find_seat(q, me);
    }
    if (s == NULL)
        s = add_seats(&q->books);
    if (s == NULL || mp__load_relaxed(&s->life) == mp__life_id_of(me))
        return s;
    mp__store_relaxed(&s->pid, mp__load_relaxed(&me->pid));
    mp__store_relaxed(&s->started, mp__load_relaxed(&me->started));
    MP_STEP("lease.sit.named");
    mp__store_release(&s->life, mp__life_id_of(me)); /* pairs with the walks without the lock */
    MP_STEP("lease.sit.seated");
    return s;
}

int mp__lease_sit(mp_queue *q, mp__patience *p, mp__seat **out)
{
    *out = &q->books.common;
    mp__life *me = mp__lease_myself();
    if (me == NULL)
        return MP_ENOMEM;
    int rc = mp__books_try_lock(q, p);
    if (rc < 0)
        return rc;
    mp__seat *s = take_seat(q, me);
    mp__books_unlock(q);
    if (s == NULL)
        return MP_ENOMEM;
    *mp__thread_seat_of(q) = (mp__thread_seat){q, q->books.serial, s};
    *out = s;
    return 0;
}

/* ---- Holds. */

static mp__hold *free_hold_in(mp__hold_chunk *c)
{
    for (uint32_t i = 0; i < MP__HOLDS_IN_CHUNK; i++)
        if (mp__load_acquire(&c->hold[i].word) == 0) /* pairs with mp__hold_drop() */
            return &c->hold[i];
    return NULL;
}

mp__hold *mp__hold_new(mp__seat *s)
{
    mp__hold *h = s->tried == NULL ? NULL : free_hold_in(s->tried);
    _Atomic(mp__hold_chunk *) *end = &s->holds;
    for (mp__hold_chunk *c; h == NULL && (c = mp__load_relaxed(end)) != NULL; end = &c->next) {
        h = free_hold_in(c);
        s->tried = c;
    }
    if (h != NULL)
        return h;
    mp__hold_chunk *more = mp_shared_calloc(1, sizeof *more);
    if (more == NULL)
        return NULL;
    MP_STEP("lease.holds.made");
    mp__store_release(end, more); /* pairs with the walks of others */
    MP_STEP("lease.holds.linked");
    s->tried = more;
    return &more->hold[0];
}

bool mp__hold_drop(mp__hold *h, const mp__ring_block *block, uint32_t bit)
{
    uint64_t word = mp__load_acquire(&h->word), next;
    do {
        if (mp__hold_block(word) != block || !(word & bit))
            return false;
        next = word & ~(uint64_t)bit;
        if (!(next & MP__HOLD_BITS))
            next = 0;
    } while (!mp__cas_seq(&h->word, &word, next));
    MP_STEP("lease.drop.dropped");
    if (next == 0)
        mp_shared_free(mp__hold_block(word));
    return true;
}

/* Whether h, which a block names, is a hold of that seat. */
static bool is_in_seat(mp__seat *s, const mp__hold *h)
{
    for (mp__hold_chunk *c = mp__load_acquire(&s->holds); c != NULL; c = mp__load_acquire(&c->next))
        if (h >= c->hold && h < c->hold + MP__HOLDS_IN_CHUNK)
            return ((uintptr_t)h - (uintptr_t)c->hold) % sizeof *h == 0;
    return false;
}

static bool is_hold_of(const mp__hold *h, const mp__ring_block *block, uint32_t bits)
{
    uint64_t word = mp__load_acquire(&h->word);
    return mp__hold_block(word) == block && (word & bits) == bits;
}

mp__hold *mp__hold_find(mp_queue *q, const mp__ring_block *block, uint32_t bits)
{
    const mp__life *me = mp__lease_myself();
    if (me == NULL || (uintptr_t)block % 16 != 0 ||
        mp__block_usable(mp__arena_get(), block) < sizeof *block)
        return NULL;
    mp__hold *h = (mp__hold *)(uintptr_t)mp__load_relaxed(&block->holder);
    mp__walk w = mp__walk_begin(q);
    for (mp__seat *s; (s = mp__walk_next(&w)) != NULL;)
        if (mp__seat_is_of(s, me) && is_in_seat(s, h))
            return is_hold_of(h, block, bits) ? h : NULL;
    return NULL;
}

/* Threads without a seat have one in common, and count there together. One that dies busy leaves it
 * busy: then nobody tells any more what was taken by those who died busy. */
bool mp__lease_take_common(mp__ring *r, const mp__ring_view *v, mp__seat *common)
{
    uint32_t n = mp__ring_viewed(v);
    mp__add_seq(&common->busy, 1);
    bool taken = mp__ring_take(r, v);
    if (taken)
        mp__add_seq(&common->got, n);
    mp__add_seq(&common->busy, UINT32_MAX); /* pairs with look_for_gap() */
    return taken;
}

/* ---- The end. */

/* A hand may only have been about to take what the ring has freed. */
static void empty_seat(mp__seat *s)
{
    mp__hold_chunk *c = mp__load_acquire(&s->holds);
    while (c != NULL) {
        for (uint32_t i = 0; i < MP__HOLDS_IN_CHUNK; i++) {
            uint64_t word = mp__load_relaxed(&c->hold[i].word);
            if (c->hold[i].noted != mp__load_relaxed(&s->got) || (word & MP__HOLD_LOAN))
                mp_shared_free(mp__hold_block(word));
        }
        mp__hold_chunk *next = mp__load_acquire(&c->next);
        mp_shared_free(c);
        c = next;
    }
    if (s->hand.noted != mp__load_relaxed(&s->got))
        mp_shared_free(mp__hold_block(mp__load_relaxed(&s->hand.word)));
}

void mp__books_fini(mp__books *b)
{
    mp__seat_block *block = mp__load_acquire(&b->seats);
    while (block != NULL) {
        for (uint32_t i = 0; i < MP__SEATS_IN_BLOCK; i++)
            empty_seat(&block->seat[i]);
        mp__seat_block *next = next_block(block);
        mp_shared_free(block);
        block = next;
    }
}
