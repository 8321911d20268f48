/* SPDX-License-Identifier: MIT */
/* What the sending and the receiving of packets have in common: packet_send.c, packet.c. */
#ifndef MPROC_CHAN_PARCEL_H
#define MPROC_CHAN_PARCEL_H

#include "chan/connection.h"
#include "chan/lane.h"
#include "os/owned.h"

/* Each has a header. */
enum mp__parcel_kind {
    MP__WHOLE = 1,     /* the message */
    MP__SPILLED = 2,   /* its beginning, and a descriptor of a file with the rest */
    MP__DESCRIPTOR = 3 /* the descriptor that is the message */
};

#define MP__PARCEL_MAGIC 0x636f504du
#define MP__NOTED_MAGIC  0x6e6f504du /* with a note in the ring: its number is above the kind */
#define MP__NOTED_SHIFT  8

/* Of every packet that is a message. */
typedef struct mp__parcel {
    uint32_t magic;
    uint32_t kind;
    uint64_t length; /* of the message */
} mp__parcel;

_Static_assert(sizeof(mp__parcel) == 16, "no padding goes over the wire");

/* What the handles of a pipe's two ends share in this process. */
typedef struct mp__lanes mp__lanes;

/* The transport's state of a handle. */
typedef struct mp__packets {
    mp__lanes *lanes;
    mp__mutex *receiving;
    mp__lane *in, *out; /* NULL for an end that was taken over */
    size_t inline_most;
    mp__link rests; /* under mp__owned_lock() */
} mp__packets;

static inline mp__packets *mp__packets_of(const mp_connection *c)
{
    return c->state;
}

/* The file with the rest of a message that is being sent or received. A child that is forked
 * meanwhile finds it empty, in the list of its handle. */
typedef struct mp__rest {
    mp__owned file;
    mp__link link;
} mp__rest;

/* A new file, or that which the packet at the head of the socket carries. Returns 0 or a code. */
int mp__rest_new(mp_connection *c, mp__rest **out, bool carried);
void mp__rest_free(mp__rest *r); /* NULL is allowed */

/* Of the transport. */
int mp__packet_send(mp_connection *c, const void *data, size_t length, mp__deadline until);
int mp__packet_send_fd(mp_connection *c, int fd, mp__deadline until);

#endif
