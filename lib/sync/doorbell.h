/* SPDX-License-Identifier: MIT */
/* Doorbells: descriptors that become readable when something happens to an object in shared memory,
 * for those who cannot sleep on its words. An object that nobody has registered with pays one look
 * at a word. sync/doorbell.c tells why it is right. */
#ifndef MPROC_SYNC_DOORBELL_H
#define MPROC_SYNC_DOORBELL_H

#include "base/atomic.h"
#include "os/datagram.h"

typedef struct mp__doorplate mp__doorplate;

/* An object's list of who is registered. Zeroed memory is an empty one. */
typedef struct mp__doorbells {
    _Atomic(mp__doorplate *) first;
    _Atomic uint32_t word;  /* bit 0: somebody may be armed; the rest counts arms */
    _Atomic uint32_t count; /* plates in the list: a hint */
} mp__doorbells;

/* One registration, in the arena. */
struct mp__doorplate {
    mp__doorplate *next;             /* fixed when it joins the list */
    _Atomic(mp__datagram_name) name; /* whose it is; 0: nobody's */
    _Atomic uint64_t state;          /* bit 0: armed; the rest counts arms */
    _Atomic uint32_t insists;        /* its owner does not look by himself now and then */
};

/* ---- The waiter. */

/* Registers a socket, not yet armed. `insists`: who rings must be told if it fails. Returns 0 or
 * MP_ENOMEM. */
int mp__doorbells_join(mp__doorbells *d, mp__datagram_name name, bool insists,
                       mp__doorplate **plate);

/* From now on the next ring makes the socket readable. A full barrier: the waiter looks at the
 * object after it. What was received before is drained before it. */
void mp__doorplate_arm(mp__doorbells *d, mp__doorplate *plate);

/* Whether nobody has rung since it was armed. */
static inline bool mp__doorplate_is_armed(const mp__doorplate *plate)
{
    return (mp__load_relaxed(&plate->state) & 1) != 0;
}

/* Ends the registration; harmless if it has ended, also when the object is gone. */
void mp__doorplate_leave(mp__doorplate *plate, mp__datagram_name name);

/* ---- The object. */

/* Rings all that are armed. Returns 0; or the code of the system for which one that insists could
 * not be told, and stays armed. Async-signal-safe. */
int mp__doorbells_ring(mp__doorbells *d);

/* Whether that is worth a call. Behind a full barrier, that comes after the change of the
 * object. */
static inline bool mp__doorbells_any(const mp__doorbells *d)
{
    return __builtin_expect((mp__load_relaxed(&d->word) & 1) != 0, 0); /* pairs with arm() */
}

/* The object is being freed. */
void mp__doorbells_fini(mp__doorbells *d);

#endif
