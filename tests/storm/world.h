/* SPDX-License-Identifier: MIT */
/* One of each object, and members of a family that operate them all at random, for ever: what they
 * check while others die around them. */
#ifndef MPROC_TESTS_STORM_WORLD_H
#define MPROC_TESTS_STORM_WORLD_H

#include "support/shared.h"

#include <mproc.h>

enum {
    MEMBERS = 6,
    PARTIES = 3,
    PERMITS = 2,
    NUMBERS = 4096, /* messages of one member between two checks */
    LARGEST = 6000,
    BLOCKS = 4,
    LARGEST_BLOCK = 70000
};

/* What a lock guards. The halves differ, and `inside` is set, only while its owner is at it. */
typedef struct guarded {
    word inside;
    _Atomic uint64_t left, right;
} guarded;

/* What a member writes down about itself; the next one in its place goes on from there. */
typedef struct member {
    word progress;
    word wants_permit;                      /* of the plain semaphore: it may hold one */
    word begun;                             /* messages with numbers below may have been put */
    _Atomic(unsigned char *) block[BLOCKS]; /* that it holds; the first bytes tell their size */
    _Atomic unsigned char put[NUMBERS], got[NUMBERS]; /* which messages were, for sure */
} member;

typedef struct world {
    mp_lock *lock;
    mp_rlock *rlock;
    mp_condition *condition;
    mp_semaphore *plain, *owned;
    mp_event *event;
    mp_barrier *barrier;
    mp_queue *queue;
    guarded by_lock, by_rlock, by_condition;
    word promised, woken; /* by notifies, and of waiters; under the condition's lock */
    word told;            /* how often MP_OWNERDEAD was */
    word rounds;          /* of the barrier that were complete */
    word waiting, go;     /* for who uses all of it between two storms */
    word stop;
    member member[MEMBERS];
} world;

static world *w;

/* Mostly short, for there is much to do; long enough to sleep, now and then. */
static inline double brief(random_state *r)
{
    return random_below(r, 8) == 0 ? random_below(r, 20) * 1e-3 : random_below(r, 500) * 1e-6;
}

/* Holds what it has for a while, now and then, so that some die with it. */
static inline void dwell(random_state *r)
{
    if (random_below(r, 4) == 0)
        nap(brief(r));
}

/* Called with the lock, which acquire has returned `rc` for. It takes its time, now and then: so
 * that some die in it. */
static inline int change(guarded *g, int rc)
{
    CHECK(rc == 0 || rc == MP_OWNERDEAD);
    if (rc == MP_OWNERDEAD) {
        mp__store_relaxed(&g->right, mp__load_relaxed(&g->left));
        mp__add_relaxed(&w->told, 1);
    } else {
        CHECK(mp__load_relaxed(&g->inside) == 0);
        CHECK(mp__load_relaxed(&g->left) == mp__load_relaxed(&g->right));
    }
    mp__store_relaxed(&g->inside, 1);
    mp__add_relaxed(&g->left, 1);
    uint64_t pauses = mp__load_relaxed(&g->left) % 16 == 0 ? 4000 : 10;
    for (uint64_t i = 0; i < pauses; i++)
        mp__pause();
    mp__add_relaxed(&g->right, 1);
    mp__store_relaxed(&g->inside, 0);
    return 0;
}

static inline int use_lock(void)
{
    CHECK(change(&w->by_lock, mp_lock_acquire(w->lock, LONG)) == 0);
    CHECK(mp_lock_release(w->lock) == 0);
    return 0;
}

static inline int use_rlock(random_state *r)
{
    int depth = 1 + (int)random_below(r, 3);
    CHECK(change(&w->by_rlock, mp_rlock_acquire(w->rlock, LONG)) == 0);
    CHECK(mp_rlock_depth(w->rlock) == 1);
    for (int i = 1; i < depth; i++)
        CHECK(mp_rlock_acquire(w->rlock, 0) == 0);
    for (int i = 0; i < depth; i++)
        CHECK(mp_rlock_release(w->rlock) == 0);
    return 0;
}

/* Waits briefly, or notifies. */
static inline int use_condition(random_state *r)
{
    CHECK(change(&w->by_condition, mp_condition_acquire(w->condition, LONG)) == 0);
    if (random_below(r, 2)) {
        int rc = mp_condition_wait(w->condition, brief(r));
        CHECK(rc == 0 || rc == MP_OWNERDEAD || rc == MP_ETIMEDOUT);
        if (rc == 0)
            mp__add_relaxed(&w->woken, 1);
        CHECK(change(&w->by_condition, rc == MP_OWNERDEAD ? rc : 0) == 0);
    } else {
        int n = 1 + (int)random_below(r, 4);
        int rc =
            n == 4 ? mp_condition_notify_all(w->condition) : mp_condition_notify(w->condition, n);
        CHECK(rc >= 0 && rc < MEMBERS && (n == 4 || rc <= n));
        mp__add_relaxed(&w->promised, (uint32_t)rc);
    }
    CHECK(mp_condition_release(w->condition) == 0);
    return 0;
}

static inline int use_plain(member *me, random_state *r)
{
    mp__store_seq(&me->wants_permit, 1);
    int rc = mp_semaphore_acquire(w->plain, brief(r));
    CHECK(rc == 0 || rc == MP_ETIMEDOUT);
    if (rc == 0)
        dwell(r);
    if (rc == 0)
        CHECK(mp_semaphore_release(w->plain, 1) == 0); /* MP_ESTATE: there are too many */
    mp__store_seq(&me->wants_permit, 0);
    return 0;
}

static inline int use_owned(random_state *r)
{
    int got = 0;
    for (int i = 0; i < 1 + (int)random_below(r, PERMITS); i++) {
        int rc = mp_semaphore_acquire(w->owned, brief(r));
        CHECK(rc == 0 || rc == MP_ETIMEDOUT || rc == MP_EAGAIN);
        got += rc == 0;
    }
    if (got > 0)
        dwell(r);
    CHECK(got == 0 || mp_semaphore_release(w->owned, got) == 0);
    CHECK(mp_semaphore_release(w->owned, 1) == MP_EPERM);
    return 0;
}

static inline int use_event(random_state *r)
{
    switch (random_below(r, 4)) {
    case 0:
        CHECK(mp_event_set(w->event) == 0);
        return 0;
    case 1:
        CHECK(mp_event_clear(w->event) == 0);
        return 0;
    default: {
        int rc = mp_event_wait(w->event, brief(r));
        CHECK(rc == 0 || rc == MP_ETIMEDOUT);
        return 0;
    }
    }
}

static inline int use_barrier(random_state *r)
{
    int rc = mp_barrier_wait(w->barrier, brief(r));
    CHECK((rc >= 0 && rc < PARTIES) || rc == MP_EBROKEN);
    if (rc == PARTIES - 1)
        mp__add_relaxed(&w->rounds, 1);
    if (rc == MP_EBROKEN)
        CHECK(mp_barrier_reset(w->barrier) == 0);
    return 0;
}

typedef struct message {
    uint32_t producer, number, length, sum;
} message;

static inline uint32_t compose(unsigned char *to, uint32_t producer, uint32_t number)
{
    uint32_t most = number % 16 == 0 ? LARGEST - (uint32_t)sizeof(message) : 300;
    message m = {producer, number, (uint32_t)sizeof m + number * 2654435761u % most, 0};
    for (uint32_t i = sizeof m; i < m.length; i++)
        m.sum = m.sum * 33 + (to[i] = (unsigned char)(number * 3 + i));
    memcpy(to, &m, sizeof m);
    return m.length;
}

/* A message that was got: whole, after all that this process has got of its producer (`next`), and
 * never got before. */
static inline int note(const unsigned char *from, size_t length, uint32_t next[MEMBERS])
{
    static unsigned char expected[LARGEST];
    message m;
    CHECK(length >= sizeof m);
    memcpy(&m, from, sizeof m);
    CHECK(m.producer < MEMBERS && m.number < NUMBERS);
    CHECK(compose(expected, m.producer, m.number) == length);
    CHECK(memcmp(expected, from, length) == 0);
    CHECK(m.number >= next[m.producer]);
    next[m.producer] = m.number + 1;
    CHECK(mp__add_seq(&w->member[m.producer].got[m.number], 1) == 0);
    return 0;
}

static inline int use_queue(uint32_t me, uint32_t next[MEMBERS], random_state *r)
{
    static unsigned char bytes[LARGEST];
    member *mine = &w->member[me];
    double timeout = brief(r);
    uint32_t number = mp__load_seq(&mine->begun);
    if (number < NUMBERS && random_below(r, 2)) {
        uint32_t length = compose(bytes, me, number);
        mp__store_seq(&mine->begun, number + 1);
        int rc = mp_queue_put(w->queue, bytes, length, timeout);
        CHECK(rc == 0 || rc == MP_EFULL || rc == MP_EAGAIN);
        if (rc == 0)
            mp__store_seq(&mine->put[number], 1);
    } else {
        ssize_t length = mp_queue_get(w->queue, bytes, sizeof bytes, timeout);
        CHECK(length > 0 || length == MP_EEMPTY || length == MP_EAGAIN);
        if (length > 0)
            CHECK(note(bytes, (size_t)length, next) == 0);
    }
    return 0;
}

/* Allocates, fills, looks whether it is still as it was, frees. Blocks of a dead member are freed
 * by the next in its place; only one that is in flight at the death is lost. */
static inline int use_memory(member *me, random_state *r)
{
    uint32_t i = random_below(r, BLOCKS);
    unsigned char *block = mp__load_seq(&me->block[i]);
    uint32_t size;
    if (block == NULL) {
        size = 8 + random_below(r, random_below(r, 4) ? 500 : LARGEST_BLOCK - 8);
        block = mp_shared_alloc(size);
        CHECK(block != NULL);
        memset(block, (int)(size & 255), size);
        memcpy(block, &size, sizeof size);
        mp__store_seq(&me->block[i], block);
        return 0;
    }
    memcpy(&size, block, sizeof size);
    CHECK(size >= 8 && size <= LARGEST_BLOCK);
    for (uint32_t k = sizeof size; k < size; k++)
        CHECK(block[k] == (size & 255));
    mp__store_seq(&me->block[i], NULL);
    mp_shared_free(block);
    CHECK(mp_shared_error() == 0);
    return 0;
}

/* A member: its place is the argument. */
static inline int live(void *arg)
{
    uint32_t place = (uint32_t)(uintptr_t)arg;
    member *me = &w->member[place];
    uint32_t next[MEMBERS] = {0};
    random_state r = ((uint64_t)getpid() * 7919 + (uint64_t)clock()) | 1;
    while (!mp__load_seq(&w->stop)) {
        switch (random_below(&r, 9)) {
        case 0:
            CHECK(use_lock() == 0);
            break;
        case 1:
            CHECK(use_rlock(&r) == 0);
            break;
        case 2:
            CHECK(use_condition(&r) == 0);
            break;
        case 3:
            CHECK(use_plain(me, &r) == 0);
            break;
        case 4:
            CHECK(use_owned(&r) == 0);
            break;
        case 5:
            CHECK(use_event(&r) == 0);
            break;
        case 6:
            CHECK(use_barrier(&r) == 0);
            break;
        case 7:
            CHECK(use_queue(place, next, &r) == 0);
            break;
        default:
            CHECK(use_memory(me, &r) == 0);
            break;
        }
        mp__add_relaxed(&me->progress, 1);
    }
    return 0;
}

#endif
