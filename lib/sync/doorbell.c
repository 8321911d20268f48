/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * A doorbell is a socket of the waiter's with a random name (os/datagram.h); who rings sends it a
 * byte. The waiter: join(); arm(); looks at the object; polls the socket; drains it; arms again;
 * looks; and so on; leave(). The publisher: changes the object; a full barrier; any(), ring().
 * Arming ends with a full barrier, too: so either the publisher sees the armed plate, or the waiter
 * sees the change.
 *
 * A plate's state counts how often it was armed. Who rings reads the state, then the name, sends,
 * and only then takes the very state that he read back to "not armed". So
 * - who dies before that has rung, or not, and leaves the plate armed: others ring, perhaps twice;
 * - one who is late finds another count, because the waiter has drained and armed meanwhile, and
 *   leaves that alone: a plate that is not armed always has a byte in its socket, or an owner who
 *   has drained and is about to arm;
 * - a plate that has changed hands between the two reads is armed with another count by the time
 *   its new owner relies on it.
 *
 * A socket that takes no more bytes is readable, as good as rung.
 *
 * The list only grows, at its head, until the object is freed; so anybody may walk it at any time,
 * and die there. A plate is free when its name is 0: a newcomer takes one by a compare-and-swap, or
 * adds one. Names are random and never come back, so leaving and reaping take back only what they
 * mean. A plate whose owner has died stays until somebody rings in vain, or until a newcomer who
 * finds the list full, and grown to twice its length, asks after all of them. Who dies between
 * taking the memory of a plate and adding it loses that memory.
 *
 * The list's word says that a plate may be armed. Who has rung all of them clears exactly the word
 * that it found at first; who has armed meanwhile has changed it. Who dies before leaves the bit:
 * it costs the next publisher a walk. So publishers pay for nobody who was rung and does not look,
 * nor for one who was killed, but once.
 *
 * What a death between the change and the ring costs is the object's matter: see chan/queue.c,
 * sync/event.c and pool/claim.c.
 */
#include "sync/doorbell.h"

#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>

#define ARMED 1u
#define ONCE  2u

static bool take_free(mp__doorplate *plate, mp__datagram_name name)
{
    mp__datagram_name nobody = 0;
    return mp__load_relaxed(&plate->name) == 0 && mp__cas_seq(&plate->name, &nobody, name);
}

static mp__doorplate *find_free(mp__doorbells *d, mp__datagram_name name)
{
    /* Pairs with add(). */
    for (mp__doorplate *p = mp__load_acquire(&d->first); p != NULL; p = p->next)
        if (take_free(p, name))
            return p;
    return NULL;
}

static void reap(mp__doorplate *plate, mp__datagram_name name)
{
    mp__cas_seq(&plate->name, &name, 0);
}

static void reap_the_gone(mp__doorbells *d)
{
    for (mp__doorplate *p = mp__load_acquire(&d->first); p != NULL; p = p->next) {
        mp__datagram_name name = mp__load_relaxed(&p->name);
        if (name != 0 && !mp__datagram_exists(name))
            reap(p, name);
    }
}

static mp__doorplate *add(mp__doorbells *d, mp__datagram_name name)
{
    mp__doorplate *plate = mp_shared_calloc(1, sizeof *plate);
    if (plate == NULL)
        return NULL;
    MP_STEP("doorbell.join.made");
    mp__store_relaxed(&plate->name, name);
    plate->next = mp__load_relaxed(&d->first);
    while (!mp__cas_release(&d->first, &plate->next, plate)) /* pairs with whoever walks the list */
        continue;
    mp__add_relaxed(&d->count, 1);
    return plate;
}

int mp__doorbells_join(mp__doorbells *d, mp__datagram_name name, bool insists,
                       mp__doorplate **plate)
{
    mp__doorplate *p = find_free(d, name);
    uint32_t count = mp__load_relaxed(&d->count);
    if (p == NULL && count > 1 && (count & (count - 1)) == 0) {
        reap_the_gone(d);
        p = find_free(d, name);
    }
    if (p == NULL)
        p = add(d, name);
    if (p == NULL)
        return mp_shared_error();
    MP_STEP("doorbell.join.joined");
    mp__store_relaxed(&p->insists, insists);
    *plate = p;
    return 0;
}

void mp__doorplate_arm(mp__doorbells *d, mp__doorplate *plate)
{
    uint64_t state = mp__load_relaxed(&plate->state);
    while (!mp__cas_seq(&plate->state, &state, ((state | ARMED) + ONCE)))
        continue;
    MP_STEP("doorbell.arm.plate");
    uint32_t word = mp__load_relaxed(&d->word);
    while (!mp__cas_seq(&d->word, &word, ((word | ARMED) + ONCE)))
        continue;
    MP_STEP("doorbell.arm.armed");
    mp__fence_after_change(); /* pairs with the barrier before mp__doorbells_any() */
}

void mp__doorplate_leave(mp__doorplate *plate, mp__datagram_name name)
{
    reap(plate, name);
    MP_STEP("doorbell.leave.left");
}

/* Returns 0, or why its owner could not be told. */
static int ring_one(mp__doorplate *plate)
{
    uint64_t state = mp__load_acquire(&plate->state); /* before the name */
    mp__datagram_name name = mp__load_acquire(&plate->name);
    if (!(state & ARMED) || name == 0)
        return 0;
    int rc = mp__datagram_send(name);
    MP_STEP("doorbell.ring.sent");
    if (rc == MP_EPIPE) {
        reap(plate, name);
        MP_STEP("doorbell.ring.reaped");
        return 0;
    }
    if (rc < 0)
        return rc;
    mp__cas_seq(&plate->state, &state, state & ~(uint64_t)ARMED);
    MP_STEP("doorbell.ring.told");
    return 0;
}

int mp__doorbells_ring(mp__doorbells *d)
{
    uint32_t word = mp__load_acquire(&d->word);
    if (!(word & ARMED))
        return 0;
    int failure = 0;
    bool all = true;
    for (mp__doorplate *p = mp__load_acquire(&d->first); p != NULL; p = p->next) {
        int rc = ring_one(p);
        all = all && rc == 0;
        if (rc < 0 && mp__load_relaxed(&p->insists))
            failure = rc;
    }
    if (all)
        mp__cas_seq(&d->word, &word, word & ~ARMED);
    MP_STEP("doorbell.ring.cleared");
    return failure;
}

void mp__doorbells_fini(mp__doorbells *d)
{
    mp__doorplate *p = mp__load_acquire(&d->first);
    mp__store_relaxed(&d->first, NULL);
    while (p != NULL) {
        mp__doorplate *next = p->next;
        mp_shared_free(p);
        p = next;
    }
}
