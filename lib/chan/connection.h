/* SPDX-License-Identifier: MIT */
/* The handle of a connection, and what its two transports (packet.h, frame.h) have in common. */
#ifndef MPROC_CHAN_CONNECTION_H
#define MPROC_CHAN_CONNECTION_H

#include "base/atomic.h"
#include "base/deadline.h"
#include "base/list.h"
#include "os/fd.h"

#include <mproc/connection.h>

/* What a receiver wants of the next message. */
enum mp__want {
    MP__WANT_BYTES,     /* to be copied to `buffer`, if it has at most `capacity` */
    MP__WANT_SIZE,      /* its length; it stays */
    MP__WANT_MEMORY,    /* its bytes, in memory of its own: `buffer` is set */
    MP__WANT_DESCRIPTOR /* the descriptor that it carries */
};

typedef struct mp__receipt {
    enum mp__want want;
    void *buffer;
    size_t capacity;
} mp__receipt;

/* Calls of a transport. `until` bounds what they may wait for a lock, or for room. */
typedef struct mp__transport {
    /* One try. Returns the length or descriptor; MP_ETIMEDOUT: nothing is there; another code. */
    ssize_t (*receive)(mp_connection *c, mp__receipt *receipt, mp__deadline until);
    /* Returns 0 or a code; MP_ETIMEDOUT: nothing was sent. */
    int (*send)(mp_connection *c, const void *data, size_t length, mp__deadline until);
    int (*send_fd)(mp_connection *c, int fd, mp__deadline until);
    /* The descriptor may be readable although there is no message. */
    bool hides;
    /* Whether a receiver finds something that poll() does not tell of; and if not, what poll()
     * tells is true. */
    bool (*pending)(mp_connection *c);
    /* This process is about to close its copy. NULL: nothing to do; so for what follows. */
    void (*leave)(mp_connection *c);
    /* Its descriptor is about to be sent to a process that may know nothing but that. */
    void (*retire)(mp_connection *c);
    /* In a forked child, for each handle: other threads and what they held are gone. */
    void (*forked)(mp_connection *c);
    void (*dispose)(mp_connection *c);
} mp__transport;

struct mp_connection {
    uint32_t magic;
    int fd;
    mp__fd_identity identity;
    bool may_read, may_write;       /* the directions that it was made for */
    _Atomic uint32_t closed;        /* 0: open; see connection.c */
    _Atomic uint32_t calls;         /* in progress in this process; a closer sleeps on it */
    _Atomic uint32_t ended_writing; /* a frame was cut off: nothing can follow it */
    const mp__transport *transport;
    void *state;   /* the transport's */
    mp__link link; /* in the list of this process's connections */
};

/* What a new connection is made of; the transport's state goes to it. */
typedef struct mp__connection_parts {
    int fd;
    bool may_read, may_write;
    const mp__transport *transport;
    void *state;
} mp__connection_parts;

/* Returns 0 or a code; then the parts are still the caller's. */
int mp__connection_make(mp_connection **out, const mp__connection_parts *parts);

/* Begins a call in the given directions: the descriptor stays open until the call leaves. Returns
 * 0, MP_EINVAL: no connection; MP_ECLOSED; MP_ESTATE: it was not made for this. */
int mp__connection_enter(mp_connection *c, bool reads, bool writes);
void mp__connection_leave(mp_connection *c);

/* Waits for the descriptor, at most 100 ms at once: who has called mp__connection_enter() then
 * tries again, ready or not. Returns 0, or MP_ETIMEDOUT, MP_ECLOSED, MP_EINTR, another code. */
int mp__connection_await(mp_connection *c, bool for_writing, mp__deadline until);

/* Closed since the call began? */
static inline bool mp__connection_is_closed(const mp_connection *c)
{
    return mp__load_relaxed(&c->closed) != 0;
}

#endif
