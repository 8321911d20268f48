/* SPDX-License-Identifier: MIT */
/* Sending on a pipe; chan/lane.c says when a message goes into the ring, chan/packet.c what it is
 * as a packet. */
#include "chan/parcel.h"

#include "base/bits.h"
#include "os/clock.h"
#include "os/poller.h"
#include "os/socket.h"
#include "os/spill.h"
#include "os/step.h"

#include <mproc/error.h>

typedef struct outgoing {
    enum mp__parcel_kind kind;
    const void *data;
    size_t length;
    size_t in_packet; /* bytes of it */
    int carried;
} outgoing;

/* One system call. Returns 0; MP_EAGAIN: no room; another code. */
static int send_packet(mp_connection *c, const outgoing *o, uint32_t number)
{
    mp__parcel h = {number != 0 ? MP__NOTED_MAGIC : MP__PARCEL_MAGIC,
                    (uint32_t)o->kind | number << MP__NOTED_SHIFT, o->length};
    struct iovec parts[2] = {{&h, sizeof h}, {(void *)o->data, o->in_packet}};
    int rc = mp__socket_send(c->fd, parts, 2, o->carried);
    MP_STEP("packet.send.sent");
    return rc;
}

static int send_noted(mp_connection *c, const outgoing *o)
{
    mp__lane *lane = mp__packets_of(c)->out;
    mp__ring_batch batch;
    mp__note note;
    int rc = mp__lane_note_begin(lane, &batch, &note);
    if (rc == 0)
        rc = send_packet(c, o, note.number);
    if (rc == 0)
        mp__lane_note_end(lane, &batch);
    return rc;
}

/* With put_lock. Returns 0, and whether the bell is to be rung; MP_EFULL, MP_EAGAIN: no room in
 * ring, in socket; another code. */
static int send_locked(mp_connection *c, const outgoing *o, bool *owed)
{
    mp__lane *lane = mp__packets_of(c)->out;
    if (!mp__lane_is_open(lane))
        return send_packet(c, o, 0);
    if (o->kind == MP__WHOLE && o->length <= MP__RING_INLINE_MOST)
        return mp__lane_put(lane, c->fd, o->data, o->length, owed);
    return send_noted(c, o);
}

/* Returns 0: try again; or the code to return. */
static int await_room(mp_connection *c, mp__deadline until)
{
    int rc = mp__lane_await_room(mp__packets_of(c)->out, until);
    if (rc < 0)
        return rc;
    if (mp__connection_is_closed(c))
        return MP_ECLOSED;
    return mp__poll_one(c->fd, 0, MP__AT_ONCE) > 0 ? MP_EPIPE : 0;
}

/* The same after mp__lane_lock() has failed. */
static int await_lock(mp_connection *c, int rc, mp__deadline until)
{
    if (rc != MP_ETIMEDOUT)
        return rc;
    if (mp__connection_is_closed(c))
        return MP_ECLOSED;
    return mp__deadline_passed(until) ? MP_ETIMEDOUT : 0;
}

static int send_once(mp_connection *c, const outgoing *o, mp__deadline until)
{
    mp__lane *lane = mp__packets_of(c)->out;
    int rc;
    if (lane == NULL) {
        rc = send_packet(c, o, 0);
    } else {
        rc = mp__lane_lock(lane, until);
        if (rc < 0) {
            rc = await_lock(c, rc, until);
            return rc == 0 ? MP__LOOK_AGAIN : rc;
        }
        bool owed = false;
        rc = send_locked(c, o, &owed);
        mp__lane_unlock(lane);
        MP_STEP("packet.send.unlocked");
        /* Without room for a token the socket is readable as it is. */
        if (rc == 0 && owed && mp__lane_ring(lane, c->fd) == MP_EPIPE)
            rc = MP_EPIPE;
    }
    if (rc == MP_EFULL)
        rc = await_room(c, until);
    else if (rc == MP_EAGAIN)
        rc = mp__connection_await(c, true, until);
    else
        return rc;
    return rc == 0 ? MP__LOOK_AGAIN : rc;
}

static int send_it(mp_connection *c, const outgoing *o, mp__deadline until)
{
    int rc;
    do
        rc = send_once(c, o, until);
    while (rc == MP__LOOK_AGAIN);
    return rc;
}

static int send_large(mp_connection *c, outgoing *o, mp__deadline until)
{
    mp__rest *r;
    int rc = mp__rest_new(c, &r, false);
    if (rc < 0)
        return rc;
    rc =
        mp__spill_write(r->file.fd, (const char *)o->data + o->in_packet, o->length - o->in_packet);
    o->kind = MP__SPILLED;
    o->carried = r->file.fd;
    MP_STEP("packet.send.spilled");
    if (rc == 0)
        rc = send_it(c, o, until);
    mp__rest_free(r);
    return rc;
}

int mp__packet_send(mp_connection *c, const void *data, size_t length, mp__deadline until)
{
    size_t in_packet = mp__min_size(length, mp__packets_of(c)->inline_most);
    outgoing o = {MP__WHOLE, data, length, in_packet, -1};
    return in_packet == length ? send_it(c, &o, until) : send_large(c, &o, until);
}

int mp__packet_send_fd(mp_connection *c, int fd, mp__deadline until)
{
    outgoing o = {MP__DESCRIPTOR, NULL, 0, 0, fd};
    return send_it(c, &o, until);
}
