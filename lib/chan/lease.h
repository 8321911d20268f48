/* SPDX-License-Identifier: MIT */
/* Who has what of a queue: the messages that each process got and has not done, and the blocks that
 * it holds. chan/lease.c tells the whole. */
#ifndef MPROC_CHAN_LEASE_H
#define MPROC_CHAN_LEASE_H

#include "chan/ring.h"
#include "os/mutex.h"
#include "sync/life.h"
#include "sync/waitword.h"

struct mp_queue;
struct mp__patience; /* chan/queue.h */

/* What a block is to who holds it; beside its address in a hold's word, for blocks lie at multiples
 * of 16. */
#define MP__HOLD_LOAN     1u /* not published yet */
#define MP__HOLD_USED     2u /* somebody reads it */
#define MP__HOLD_LEASED   4u /* its task is not done: of queues that redeliver */
#define MP__HOLD_RETURNED 8u /* a dead process's, for who gets next; with LOAN: being published */
#define MP__HOLD_BITS     15u

typedef struct mp__hold {
    _Atomic uint64_t word; /* a block's address and some of the bits; 0: free */
    uint64_t noted;        /* the seat's `got` when the block was only in view */
    uint64_t order;        /* of leased ones: the order of the messages, ... */
    uint64_t since;        /* ... and of the gets */
} mp__hold;

#define MP__HOLDS_IN_CHUNK 15

typedef struct mp__hold_chunk {
    _Atomic(struct mp__hold_chunk *) next;
    uint64_t unused[3];
    mp__hold hold[MP__HOLDS_IN_CHUNK];
} mp__hold_chunk;

/* A thread's place at a queue. Only that thread changes the first line, while it lives. */
typedef struct mp__seat {
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t got; /* messages, by all who ever sat here */
    _Atomic uint32_t busy;    /* so many messages are being taken, or were a moment ago */
    _Atomic uint32_t fate;    /* under the lock: what the last look has told */
    _Atomic int32_t pid;      /* the process, ... */
    _Atomic uint64_t started; /* ... and when it began */
    _Atomic uint64_t life;    /* the thread; 0: the seat is vacant */
    _Atomic(mp__hold_chunk *) holds;
    mp__hold_chunk *tried; /* where a free hold was found last */

    _Alignas(MP__CACHE_LINE) _Atomic uint64_t done; /* under the lock: tasks done, ... */
    _Atomic uint64_t lost;                          /* ... and messages gone with the dead */
    mp__hold hand;                                  /* what a get is copying */
} mp__seat;

#define MP__SEATS_IN_BLOCK 8

typedef struct mp__seat_block {
    _Atomic(struct mp__seat_block *) next;
    mp__seat seat[MP__SEATS_IN_BLOCK];
} mp__seat_block;

/* A change under the lock that is more than one store; who comes after a death completes it. */
enum mp__journal_kind { MP__JOURNAL_NOTHING, MP__JOURNAL_DONE, MP__JOURNAL_TAKE, MP__JOURNAL_MOVE };

typedef struct mp__journal {
    _Atomic uint32_t kind;
    mp__seat *seat;
    mp__hold *from, *to;
    uint64_t value, word, head;
} mp__journal;

typedef struct mp__books {
    uint64_t serial;       /* of the queue: addresses are used again */
    bool redelivers;       /* .on_death */
    _Atomic uint32_t laps; /* of the count of puts: see mp__lease_put() */
    _Atomic(mp__seat_block *) seats;

    /* Under put_lock: a loan on its way into the ring, and where tail stood then. */
    _Alignas(MP__CACHE_LINE) _Atomic(mp__hold *) publishing;
    uint64_t publishing_from;

    _Alignas(MP__CACHE_LINE) mp__mutex lock;
    uint64_t done, lost;       /* sums over the seats; lost: with `vanished` */
    uint64_t vanished;         /* taken by processes that died before they had counted it */
    int64_t looked;            /* when a get has last looked who is dead */
    uint64_t order, gets;      /* of the next message that is leased, and so many were */
    _Atomic uint32_t returned; /* how many are */
    _Atomic uint32_t zeros;    /* how often nothing was left to do */
    mp__waitword finished;     /* that goes up */
    mp__journal journal;
    mp__seat common; /* of those who have none, for want of memory */
} mp__books;

/* All seats but the common one, and the holds of a seat, in turn; NULL after the last. */
typedef struct mp__walk {
    mp__seat_block *block;
    uint32_t place;
} mp__walk;

typedef struct mp__grip {
    mp__hold *hand;
    mp__hold_chunk *chunk;
    uint32_t place;
} mp__grip;

mp__walk mp__walk_begin(struct mp_queue *q);
mp__seat *mp__walk_next(mp__walk *w);
mp__grip mp__grip_begin(mp__seat *s);
mp__hold *mp__grip_next(mp__grip *g);

/* What was got there and is neither done nor lost. */
uint64_t mp__seat_outstanding(const mp__seat *s);

/* The calling thread's life, which also tells who its process is; NULL: no memory for it. */
mp__life *mp__lease_myself(void);

/* Whether somebody of the process of `me` sits there, or did last. */
bool mp__seat_is_of(const mp__seat *s, const mp__life *me);

/* The queue's own part; what was held goes with it. */
void mp__books_init(mp__books *b, bool redelivers);
void mp__books_fini(mp__books *b);

/* Where the calling thread remembers its seat. */
static inline mp__thread_seat *mp__thread_seat_of(const struct mp_queue *q)
{
    uintptr_t p = (uintptr_t)q;
    return &mp__thread_this.seats[(p >> 7 ^ p >> 12) % MP__THREAD_SEATS];
}

/* Finds a seat for the calling thread; waits for the lock as mp__books_try_lock() does. Returns 0,
 * MP_ENOMEM, MP_EAGAIN or MP_EINTR; *out is then the common one. */
int mp__lease_sit(struct mp_queue *q, struct mp__patience *p, mp__seat **out);

/* A hold in the calling thread's seat; NULL: no memory. It is taken by writing its word. */
mp__hold *mp__hold_new(mp__seat *s);

/* The block of a word. */
static inline mp__ring_block *mp__hold_block(uint64_t word)
{
    return (mp__ring_block *)(uintptr_t)(word & ~(uint64_t)MP__HOLD_BITS);
}

static inline uint64_t mp__hold_word(const mp__ring_block *block, uint32_t bits)
{
    return (uint64_t)(uintptr_t)block | bits;
}

/* Takes the messages of a view that is true only if nobody was faster; the seat is the calling
 * thread's. As mp__ring_take(). */
bool mp__lease_take_common(mp__ring *r, const mp__ring_view *v, mp__seat *common);

static inline bool mp__lease_take(mp__ring *r, const mp__ring_view *v, mp__seat *s)
{
    uint32_t n = mp__ring_viewed(v);
    mp__store_relaxed(&s->busy, n); /* before head moves: take() is a full barrier */
    MP_STEP("lease.take.busy");
    bool taken = mp__ring_take(r, v);
    MP_STEP("lease.take.taken");
    if (taken)
        mp__store_relaxed(&s->got, mp__load_relaxed(&s->got) + n);
    MP_STEP("lease.take.counted");
    mp__store_release(&s->busy, 0); /* pairs with look_for_gap(): after the count */
    return taken;
}

#define MP__LAP       (1u << 31)
#define MP__LAP_LOOKS 4096u /* more than the largest batch, and than all who may die one by one */

/* The count of puts has 32 bits; `laps` goes up with each half of their range. Under put_lock,
 * after a put; one who dies before it leaves it to the next, of which some thousand look. */
static inline void mp__lease_put(mp__books *b, uint32_t count)
{
    if (__builtin_expect((count & (MP__LAP - 1)) >= MP__LAP_LOOKS, 1))
        return;
    uint32_t laps = mp__load_relaxed(&b->laps);
    if ((laps ^ count >> 31) & 1)
        mp__store_release(&b->laps, laps + 1); /* pairs with mp__books_unfinished() */
}

/* Takes a bit from a hold of that block, and frees the block with the last one. Returns whether the
 * bit was there. */
bool mp__hold_drop(mp__hold *h, const mp__ring_block *block, uint32_t bit);

/* The hold of a block that the calling process has with these bits, or NULL. The block may be any
 * pointer. */
mp__hold *mp__hold_find(struct mp_queue *q, const mp__ring_block *block, uint32_t bits);

/* ---- With the lock. */

/* Takes the lock, and completes what the last holder has left; the second not beyond the call's
 * deadline, but at least 1 ms, and no longer for NULL. It returns 0, MP_EAGAIN or MP_EINTR. */
void mp__books_lock(struct mp_queue *q);
int mp__books_try_lock(struct mp_queue *q, struct mp__patience *p);
/* Gives it up, and wakes whom what has happened concerns. */
void mp__books_unlock(struct mp_queue *q);

/* How many messages were put and are neither done nor lost. */
uint64_t mp__books_unfinished(struct mp_queue *q);

/* Counts what went with the dead, or puts it back. Returns whether somebody may just be dying. */
bool mp__books_settle(struct mp_queue *q);

/* A task of this process is done, else one of another's. Returns 0 or MP_ESTATE. */
int mp__books_done(struct mp_queue *q);

/* ---- Of queues that redeliver. */

/* Which message a get takes: 0, and its length; or MP_EMSGSIZE: not this one. */
typedef int mp__lease_wanted(void *arg, size_t length);

/* The next message into a hold of the seat, if it is wanted; with the lock. Returns 0; what
 * `wanted` says; or MP_EEMPTY. *put_before: it came from the ring, where there is room now. */
int mp__lease_get(struct mp_queue *q, mp__seat *s, mp__hold *into, mp__lease_wanted *wanted,
                  void *arg);

/* Whether other processes have messages that may still come back; exactly, if `exactly`. Puts back
 * what the dead have. */
bool mp__lease_recall(struct mp_queue *q, bool exactly);

#endif
