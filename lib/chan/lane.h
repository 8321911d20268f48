/* SPDX-License-Identifier: MIT */
/* One direction of a pipe: a ring for small messages in memory that the family shares, beside the
 * socket that tells of them. lane.c has the argument. */
#ifndef MPROC_CHAN_LANE_H
#define MPROC_CHAN_LANE_H

#include "chan/ring.h"
#include "sync/life.h"
#include "sync/waitword.h"

#define MP__LANE_BYTES ((size_t)64 * 1024) /* of messages */

/* Read by every message and seldom written, but for the ring. */
typedef struct mp__lane {
    mp__mutex receiving;       /* of who takes packets from the socket */
    _Atomic uint64_t witness;  /* life of a receiver that has this end and the lane; 0: none */
    _Atomic uint32_t retired;  /* no witness may come */
    _Atomic uint32_t draining; /* packets older than the ring's messages may be in the socket: the
                                  bell's serial at that time, << 1 | 1; 0: no */
    _Atomic uint32_t bell;     /* serial << 1 | rung */
    _Atomic uint32_t dozing;   /* somebody waits in a receive; a hint */
    mp__waitword room;         /* senders that found the ring full */
    uint32_t notes;            /* number of the last; under put_lock */
    uint32_t old_notes;        /* the same when `draining` was set; under `receiving` */
    mp__ring ring;             /* with its messages behind it */
} mp__lane;

/* Of notes; they go round. 0 is none. */
#define MP__NOTE_BITS 24

/* Whether a note's number is later than another's. */
static inline bool mp__note_is_later(uint32_t a, uint32_t b)
{
    return (int32_t)((a - b) << (32 - MP__NOTE_BITS)) > 0;
}

#define MP__LANE_SIZE (offsetof(mp__lane, ring) + MP__RING_FIXED_SIZE(MP__LANE_BYTES))

/* Stands in the ring for a packet, in the order of messages. */
typedef struct mp__note {
    uint32_t number;
    uint32_t serial; /* the bell's: no token before the packet has a later one */
} mp__note;

/* What lies in the socket and is no message: "look at the ring". */
typedef struct mp__token {
    uint32_t magic;
    uint32_t serial;
    uint64_t zero;
} mp__token;

#define MP__TOKEN_MAGIC 0x746b6f74u

/* Private results, beside codes. */
#define MP__LOOK_AGAIN (-1) /* from the beginning */
#define MP__PUT_BUSY   (-2) /* a message is on its way into the ring */

/* In zeroed memory. */
void mp__lane_init(mp__lane *l);

/* No ring from now on: who holds the receiving end may be out of its reach. */
void mp__lane_retire(mp__lane *l);

/* ---- Senders. */

/* Takes put_lock; at most for 100 ms, at a try 1 ms. Returns 0, MP_ETIMEDOUT, MP_EAGAIN or
 * MP_EINTR. */
int mp__lane_lock(mp__lane *l, mp__deadline until);
void mp__lane_unlock(mp__lane *l);

/* With put_lock: whether messages go into the ring; if not they go as packets. */
static inline bool mp__lane_is_open(const mp__lane *l)
{
    uint64_t witness = mp__load_acquire(&l->witness); /* pairs with mp__lane_open() */
    return witness != 0 && !mp__life_is_over(witness);
}

/* With put_lock. Returns 0, and whether mp__lane_ring() is owed after the unlock; MP_EFULL: no room
 * in the ring; MP_EAGAIN: no room in the socket, for the token; another code. */
int mp__lane_put(mp__lane *l, int fd, const void *data, size_t length, bool *owed);

/* Makes the socket readable. Returns 0; MP_EAGAIN: no room in the socket; another code. */
int mp__lane_ring(mp__lane *l, int fd);

/* With put_lock, around the sending of a packet: takes a number and room for its note, puts it. */
int mp__lane_note_begin(mp__lane *l, mp__ring_batch *batch, mp__note *note);
void mp__lane_note_end(mp__lane *l, const mp__ring_batch *batch);

/* Waits for room in the ring, at most 100 ms. Returns 0: try again; MP_ETIMEDOUT; MP_EINTR. */
int mp__lane_await_room(mp__lane *l, mp__deadline until);

/* ---- Receivers. */

static inline bool mp__lane_has_message(const mp__lane *l)
{
    return mp__ring_size(&l->ring) != 0;
}

/* After a message was taken. */
void mp__lane_made_room(mp__lane *l);

/* Waits a little, spinning, for a message. */
bool mp__lane_spin(mp__lane *l);

/* Whether a message is on its way into the ring. */
static inline bool mp__lane_put_goes_on(const mp__lane *l)
{
    return !mp__robust_abandoned(mp__load_seq(&l->ring.put_lock.word));
}

/* Until who is putting has put. Returns MP__LOOK_AGAIN, or why not. */
int mp__lane_await_put(mp__lane *l, mp__deadline until);

/* Whether this receiver is about to wait. */
static inline void mp__lane_doze(mp__lane *l, bool waits)
{
    if (mp__load_relaxed(&l->dozing) != waits)
        mp__store_relaxed(&l->dozing, waits);
}

/* What follows is called with `receiving`. */

/* Makes this thread the witness if there is none, and the ring is empty. Returns whether it is;
 * then what is in the socket comes first. */
bool mp__lane_open(mp__lane *l);

/* The socket is empty, or at what was sent by those who have seen the witness. */
void mp__lane_drained(mp__lane *l);

/* Nothing but tokens, if any, is at hand. Returns 0: those older than the serial are to be taken
 * away; MP__LOOK_AGAIN or MP__PUT_BUSY: a message is there or comes, and they stay. */
int mp__lane_rearm(mp__lane *l, uint32_t *serial);

/* Takes tokens that are older away, up to the first packet that is something else. */
void mp__lane_take_tokens(int fd, uint32_t serial);

/* Whether serial a is not older than b. */
static inline bool mp__lane_not_older(uint32_t a, uint32_t b)
{
    return (int32_t)((a - b) << 1) >= 0;
}

/* ---- A process closes its copy of the receiving end, before it is closed. */
void mp__lane_leave(mp__lane *l);

#endif
