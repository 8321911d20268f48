/* SPDX-License-Identifier: MIT */
/*
 * One direction of a pipe. Small messages lie in a ring, so that sender and receiver that are awake
 * need no system call; the socket tells a receiver that sleeps, and everybody of the other side's
 * end. Here is why no message is lost, doubled or overtaken by a later one of its sender, and why
 * nobody sleeps beside one, whoever dies where.
 *
 * The witness. Who may take from the ring must have it mapped: processes that were forked after it
 * was made. A receiving end can be anywhere: it travels as a descriptor. And a sender must learn
 * that every copy of it is gone, without asking the kernel each time. So the ring is used only
 * while there is a witness: a thread that has the end open, has the ring, and lives (sync/life.h).
 * Without one, messages go as packets, and the kernel refuses them when nobody is left. A process
 * that closes its copy, and a thread that ends, are witnesses no longer before the copy is closed.
 * Who receives and finds no witness becomes it.
 *
 * Order. Packets without a note are sent only while there is no witness (and by processes that
 * have taken an end over, which have nothing in the ring). All senders hold put_lock, and a witness
 * comes under put_lock and only while the ring is empty. So what was sent is: packets, then ring,
 * then packets ... Receivers take from the ring first, which is right when a witness goes. When one
 * comes, older packets may be in the socket: it sets `draining`, and as long as that is set the
 * socket comes first. It ends when the socket is empty, or has a token or a noted packet of later
 * senders. A receiver looks at `draining` after it has seen the message: the sender put it after it
 * had seen the witness, and that is stored after `draining`.
 *
 * Readiness. While the ring is not empty and nobody is amidst a call, the socket is readable:
 * - `bell` says that a token is in the socket, behind the packets that have notes. A sender that
 *   does not find it rung sends a token and then sets it, before it publishes its message.
 * - A packet with a note is its own token. The bell is not rung after it: then everything up to a
 *   noted packet may be taken from the socket with it, and what the ring has behind the note has
 *   tokens behind the packet.
 * - Tokens are taken away by a receiver that finds the ring empty (rearm): it gives the bell a new
 *   serial, not rung; looks, behind a full barrier, at the ring and at put_lock; and takes tokens
 *   with older serials. A sender that takes put_lock after that look finds the bell not rung and
 *   sends a new token, which stays. If a message is there or put_lock is held, no token is taken,
 *   and the bell is rung again if it was.
 * - But to one who is `dozing`, who waits in a receive, a token before the message would come too
 *   early: it would wake up for nothing, and wait again. It looks again every 100 ms anyway; so
 *   then the sender publishes, unlocks and sends the token after that. If it dies before it does,
 *   all others who poll are told by the next message, or by the hang-up.
 * - A sender sets the bell only if it still is what it was when it sent the token. So at worst a
 *   token is sent twice.
 *
 * Notes. A large message, and one with a descriptor, is a packet with a number; under put_lock it
 * is sent first, then the note with its number is published. A sender that dies in between leaves a
 * packet without note, which is dropped: it is at the head of the socket when a later note is taken
 * or while the ring is empty and nobody puts. A receiver takes the note before the packet; one that
 * dies in between leaves the same. Receivers of packets exclude each other by `receiving`.
 *
 * Room. A sender that finds the ring full sleeps on `room` until half of it is free; it looks again
 * every 100 ms, then also finds that the witness is gone.
 *
 * The limits of this: a message in the ring stays in the family. Who hands an end on as a
 * descriptor should have received what was there; mp_connection_send_fd() makes all that is sent
 * later go as packets. And a process that has taken over a sending end is heard when the ring is
 * empty.
 */
#include "chan/lane.h"

#include "chan/ring_segment.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/step.h"

#include <mproc/error.h>

#define NOTE_MASK ((1u << MP__NOTE_BITS) - 1)
#define RUNG      1u

_Static_assert(sizeof(mp__token) == 16, "no padding goes over the wire");

void mp__lane_init(mp__lane *l)
{
    mp__ring_init_fixed(&l->ring, MP__LANE_BYTES);
}

/* Turns the witness away, and tells senders that wait for room. */
static void dismiss(mp__lane *l)
{
    mp__store_seq(&l->witness, 0);
    mp__waitword_wake(&l->room, MP__WAKE_ALL);
}

void mp__lane_retire(mp__lane *l)
{
    mp__store_seq(&l->retired, 1);
    MP_STEP("lane.retire.told");
    /* One may become it right now, who has not seen that: under put_lock. */
    bool died = mp__mutex_lock(&l->ring.put_lock);
    if (died)
        mp__ring_repair(&l->ring);
    dismiss(l);
    mp__mutex_unlock(&l->ring.put_lock);
}

void mp__lane_leave(mp__lane *l)
{
    uint64_t witness = mp__load_acquire(&l->witness);
    const mp__life *life = witness == 0 ? NULL : mp__life_find(witness);
    if (life == NULL)
        return;
    if (mp__load_relaxed(&life->pid) == mp__process_id() || mp__life_is_over(witness))
        dismiss(l);
}

/* ---- Senders. */

int mp__lane_lock(mp__lane *l, mp__deadline until)
{
    mp__mutex *m = &l->ring.put_lock;
    mp__thread *self = mp__thread_self();
    if (!mp__mutex_take_lightly(m, self)) {
        int rc = until.ns == 0 ? mp__mutex_lock_briefly(m)
                               : mp__mutex_acquire(m, mp__deadline_look_again(until), true);
        if (rc == MP_EDEADLK) /* a signal handler above the holder */
            return MP_EAGAIN;
        if (rc == MP_OWNERDEAD)
            mp__ring_repair(&l->ring);
        else if (rc < 0)
            return rc;
        mp__mutex_hold_lightly(m, self);
    }
    mp__fence_after_change(); /* pairs with mp__lane_rearm() */
    return 0;
}

void mp__lane_unlock(mp__lane *l)
{
    mp__mutex *m = &l->ring.put_lock;
    mp__mutex_freed(m, mp__mutex_free(m), mp__thread_self());
}

int mp__lane_ring(mp__lane *l, int fd)
{
    uint32_t bell = mp__load_relaxed(&l->bell);
    if (bell & RUNG)
        return 0;
    mp__token token = {MP__TOKEN_MAGIC, bell >> 1, 0};
    int rc = mp__socket_send(fd, &(struct iovec){&token, sizeof token}, 1, -1);
    if (rc < 0)
        return rc;
    MP_STEP("lane.bell.sent");
    mp__cas_seq(&l->bell, &bell, bell | RUNG);
    MP_STEP("lane.bell.rung");
    return 0;
}

int mp__lane_put(mp__lane *l, int fd, const void *data, size_t length, bool *owed)
{
    *owed = mp__load_relaxed(&l->dozing) != 0;
    uint64_t upto;
    if (!mp__ring_add_one(&l->ring, data, length, &upto)) {
        mp__ring_batch batch = mp__ring_put_begin(&l->ring);
        mp__ring_message m = {.kind = MP__RING_BYTES, .data = data, .length = length};
        int rc = mp__ring_add(&l->ring, &batch, &m);
        if (rc < 0)
            return rc;
        upto = mp__ring_pack(batch.at);
    }
    int rc = *owed ? 0 : mp__lane_ring(l, fd);
    if (rc < 0)
        return rc;
    mp__ring_publish_one(&l->ring, upto);
    MP_STEP("lane.put.published");
    return 0;
}

int mp__lane_note_begin(mp__lane *l, mp__ring_batch *batch, mp__note *note)
{
    *batch = mp__ring_put_begin(&l->ring);
    uint32_t next = (l->notes + 1) & NOTE_MASK;
    l->notes = next != 0 ? next : 1; /* now: it is not used again if we die */
    *note = (mp__note){l->notes, mp__load_relaxed(&l->bell) >> 1};
    mp__ring_message m = {.kind = MP__RING_NOTE, .data = note, .length = sizeof *note};
    return mp__ring_add(&l->ring, batch, &m);
}

/* Gives the bell its next serial, not rung. Returns what it was. */
static uint32_t next_serial(mp__lane *l)
{
    uint32_t bell = mp__load_relaxed(&l->bell);
    while (!mp__cas_seq(&l->bell, &bell, (bell | RUNG) + 1))
        continue;
    return bell;
}

void mp__lane_note_end(mp__lane *l, const mp__ring_batch *batch)
{
    MP_STEP("lane.note.sent");
    next_serial(l);
    MP_STEP("lane.note.unrung");
    mp__ring_publish(&l->ring, batch);
    MP_STEP("lane.note.published");
}

/* Half of it is free: whatever is to go into it fits. */
static bool has_room(void *arg)
{
    const mp__lane *l = arg;
    uint32_t head = mp__ring_unpack(mp__load_acquire(&l->ring.head)).unit;
    uint32_t tail = mp__ring_unpack(mp__load_acquire(&l->ring.tail)).unit;
    return tail - head <= MP__LANE_BYTES / sizeof(uint64_t) / 2;
}

int mp__lane_await_room(mp__lane *l, mp__deadline until)
{
    if (until.ns == 0)
        return MP_ETIMEDOUT;
    if (mp__spin_until(has_room, l))
        return 0;
    uint32_t ticket = mp__waitword_arm(&l->room);
    MP_STEP("lane.room.armed");
    return has_room(l) ? 0 : mp__waitword_sleep(&l->room, ticket, until);
}

/* ---- Receivers. */

void mp__lane_made_room(mp__lane *l)
{
    /* Behind the change of head, which is a full barrier; pairs with mp__waitword_arm(). */
    if ((mp__load_seq(&l->room.word) & MP__SLEEPERS) && has_room(l))
        mp__waitword_wake(&l->room, MP__WAKE_ALL);
}

#define CALM 16 /* pauses between looks: a sender that is left alone goes faster */

static bool has_message(void *arg)
{
    return mp__lane_has_message(arg);
}

bool mp__lane_spin(mp__lane *l)
{
    return mp__spin_calmly(has_message, l, CALM);
}

int mp__lane_await_put(mp__lane *l, mp__deadline until)
{
    int rc = mp__lane_lock(l, until);
    if (rc < 0)
        return rc;
    mp__lane_unlock(l);
    return MP__LOOK_AGAIN;
}

bool mp__lane_open(mp__lane *l)
{
    if (mp__load_relaxed(&l->retired) != 0 || mp__lane_has_message(l))
        return false;
    const mp__life *mine = mp__life_mine();
    if (mine == NULL)
        return false;
    int rc = mp__mutex_acquire(&l->ring.put_lock, MP__AT_ONCE, false);
    if (rc < 0)
        return false; /* another time */
    if (rc == MP_OWNERDEAD)
        mp__ring_repair(&l->ring);
    bool opens = !mp__lane_has_message(l) && mp__load_seq(&l->retired) == 0;
    if (opens) {
        next_serial(l);
        MP_STEP("lane.open.renewed");
        l->old_notes = l->notes;
        mp__store_relaxed(&l->draining, mp__load_relaxed(&l->bell) | 1);
        MP_STEP("lane.open.draining");
        /* Pairs with mp__lane_is_open(). */
        mp__store_release(&l->witness, mp__life_id_of(mine));
        MP_STEP("lane.open.witnessed");
    }
    mp__mutex_unlock(&l->ring.put_lock);
    return opens;
}

void mp__lane_drained(mp__lane *l)
{
    mp__store_release(&l->draining, 0);
}

int mp__lane_rearm(mp__lane *l, uint32_t *serial)
{
    uint32_t was = next_serial(l);
    uint32_t now = (was | RUNG) + 1;
    MP_STEP("lane.rearm.renewed");
    mp__fence_seq(); /* pairs with mp__lane_lock() */
    bool busy = mp__lane_put_goes_on(l);
    /* In this order: who has put since we looked at the ring holds the lock, or has not begun. */
    mp__fence_seq();
    if (busy || mp__lane_has_message(l)) {
        if (was & RUNG)
            mp__cas_seq(&l->bell, &now, now | RUNG); /* the token that is there counts */
        MP_STEP("lane.rearm.restored");
        return busy && !mp__lane_has_message(l) ? MP__PUT_BUSY : MP__LOOK_AGAIN;
    }
    *serial = now >> 1;
    return 0;
}

void mp__lane_take_tokens(int fd, uint32_t serial)
{
    for (;;) {
        mp__token token = {0};
        struct iovec part = {&token, sizeof token};
        size_t length;
        if (mp__socket_peek(fd, &part, 1, &length) <= 0 || token.magic != MP__TOKEN_MAGIC ||
            mp__lane_not_older(token.serial, serial))
            return;
        mp__socket_take(fd, NULL, 0);
    }
}
