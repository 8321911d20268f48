/* SPDX-License-Identifier: MIT */
/*
 * Messages of mp_pipe(). Small ones go through a ring (chan/lane.c) while a receiver of the family
 * is there, all others as packets of a unix socket. Why a message in a packet is whole or absent,
 * whoever dies when:
 *
 * - It is exactly one packet, a send exactly one system call that puts it into the receiver's queue
 *   or does not. So a sender that is killed has sent all of it or nothing.
 * - What exceeds 64 KiB of a message is written to a nameless file of memory before the send, and
 *   travels with the packet as a descriptor. The kernel holds it while it is on its way, and frees
 *   it when the packet is dropped. The 64 KiB stay in the packet although they could be in the
 *   file, so that large messages fill the socket's buffer: a few on their way block the next
 *   sender, and memory stays bounded.
 * - A receiver looks at the packet (MSG_PEEK), decides, and takes it, under the end's receive lock;
 *   so the packet it takes is the one it looked at. The look copies the bytes and duplicates the
 *   descriptor; taking it drops the packet. A receiver that dies before that one call leaves
 *   everything as it was (with a note in the ring: before the note is taken), one that dies after
 *   it has received the message. So there is nothing to repair when the lock's owner died in it.
 * - A message that cannot be received (too large for the buffer, no memory, no descriptor left, or
 *   of the other kind) is not taken, and stays.
 * - A child that another thread forks meanwhile does not keep the file (os/owned.h).
 * - Nobody sleeps under the lock: all calls are non-blocking, and the file is read after it.
 *
 * The lock lies in memory that is shared with forked processes; the end of a pipe that was taken
 * over by its number has a lock of its own, which is why such an end must not be shared for
 * receiving.
 *
 * A packet that is none of ours is taken away and reported as EBADMSG, so that it does not stop the
 * connection for ever. An empty packet, which we never send, looks like the end of file.
 */
#include "chan/packet.h"

#include "base/bits.h"
#include "chan/parcel.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/spill.h"
#include "os/step.h"

#include <mproc/error.h>
#include <stdlib.h>
#include <string.h>

/* A packet that is at the head of the socket. */
typedef struct incoming {
    mp__parcel h;     /* its kind without the number */
    uint32_t number;  /* of its note; 0: it has none */
    size_t packet;    /* the length of the whole packet */
    size_t in_packet; /* bytes of the message in it */
    int carried;      /* a duplicate of the descriptor of a DESCRIPTOR, or -1 */
    mp__rest *rest;   /* the file of a SPILLED, or NULL */
} incoming;

static bool is_ours(const incoming *in)
{
    const mp__parcel *h = &in->h;
    if (in->packet < sizeof *h || (h->magic != MP__PARCEL_MAGIC && h->magic != MP__NOTED_MAGIC))
        return false;
    switch (h->kind) {
    case MP__WHOLE:
        return h->length == in->in_packet;
    case MP__SPILLED:
        return h->length > in->in_packet && h->length <= PTRDIFF_MAX;
    case MP__DESCRIPTOR:
        return h->length == 0 && in->in_packet == 0;
    default:
        return false;
    }
}

/* The file with the rest. It is there as a whole, or the packet is none of ours: so nobody
 * allocates what is only announced. */
static int open_rest(mp_connection *c, incoming *in)
{
    int rc = mp__rest_new(c, &in->rest, true);
    if (rc == 0 && !mp__spill_holds(in->rest->file.fd, in->h.length - in->in_packet))
        return MP_ESYS(EBADMSG);
    return rc;
}

/* Whether the packet can be received, with its descriptor if it has one. Returns 0 or a code. */
static int judge(mp_connection *c, incoming *in, const mp__receipt *receipt)
{
    if (!is_ours(in))
        return MP_ESYS(EBADMSG);
    if ((in->h.kind == MP__DESCRIPTOR) != (receipt->want == MP__WANT_DESCRIPTOR))
        return MP_ESTATE;
    if (receipt->want == MP__WANT_BYTES && in->h.length > receipt->capacity)
        return MP_EMSGSIZE;
    if (receipt->want == MP__WANT_SIZE || in->h.kind == MP__WHOLE)
        return 0;
    if (in->h.kind == MP__SPILLED)
        return open_rest(c, in);
    int fd = mp__socket_peek_carried(c->fd);
    in->carried = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* Nothing is taken from a descriptor that has become somebody else's. */
static int drop_foreign(mp_connection *c, const mp__receipt *receipt)
{
    if (!mp__fd_is(c->fd, &c->identity))
        return MP_ESYS(EBADF);
    if (receipt->want != MP__WANT_SIZE)
        mp__socket_take(c->fd, NULL, 0);
    return MP_ESYS(EBADMSG);
}

/* The note at the head of the ring, if there is one; and of the call. */
typedef struct noted {
    bool there;
    bool waits; /* the caller polls if nothing is there */
    mp__note note;
    mp__ring_view view;
} noted;

/* Takes the note that the packet belongs to, if any, and then the packet, which was judged. */
static int take(mp_connection *c, incoming *in, const noted *n, mp__receipt *receipt)
{
    struct iovec parts[2] = {{&in->h, sizeof in->h}, {NULL, in->in_packet}};
    bool to_memory = receipt->want == MP__WANT_MEMORY; /* else the look has copied it */
    if (to_memory && (parts[1].iov_base = malloc(mp__max_size(in->h.length, 1))) == NULL)
        return MP_ENOMEM;
    if (n->there)
        mp__ring_take(&mp__packets_of(c)->in->ring, &n->view);
    MP_STEP("packet.receive.note_taken");
    int rc = mp__socket_take(c->fd, parts, to_memory ? 2 : 0);
    MP_STEP("packet.receive.taken");
    if (n->there)
        mp__lane_made_room(mp__packets_of(c)->in);
    if (to_memory && rc == 1)
        receipt->buffer = parts[1].iov_base;
    else
        free(parts[1].iov_base);
    return rc;
}

/* The packet of this note is gone, with a receiver or with one who is none of us. */
static int drop_note(mp_connection *c, const noted *n)
{
    mp__ring_take(&mp__packets_of(c)->in->ring, &n->view);
    return MP__LOOK_AGAIN;
}

static int drop_packet(mp_connection *c)
{
    mp__socket_take(c->fd, NULL, 0);
    MP_STEP("packet.receive.dropped");
    return MP__LOOK_AGAIN;
}

static bool is_draining(const mp__lane *lane)
{
    return mp__load_acquire(&lane->draining) != 0;
}

/* Nothing is in the socket. */
static int at_nothing(mp_connection *c, const noted *n)
{
    mp__lane *lane = mp__packets_of(c)->in;
    if (n->there)
        return drop_note(c, n);
    if (lane == NULL)
        return MP_EAGAIN;
    if (is_draining(lane))
        mp__lane_drained(lane);
    if (!mp__lane_is_open(lane) && mp__lane_open(lane))
        return MP__LOOK_AGAIN;
    if (mp__load_relaxed(&lane->bell) & 1) { /* rung since we looked, if all is in order */
        uint32_t serial;
        int rc = mp__lane_rearm(lane, &serial);
        return rc == 0 ? MP_EAGAIN : rc;
    }
    return mp__lane_has_message(lane) ? MP__LOOK_AGAIN : MP_EAGAIN;
}

static int at_end(mp_connection *c, const noted *n)
{
    mp__lane *lane = mp__packets_of(c)->in;
    if (n->there)
        return drop_note(c, n);
    if (lane == NULL || !mp__lane_has_message(lane))
        return MP_EEOF;
    mp__lane_drained(lane);
    return MP__LOOK_AGAIN;
}

static int at_token(mp_connection *c, uint32_t serial, const noted *n)
{
    mp__lane *lane = mp__packets_of(c)->in;
    if (lane == NULL)
        return drop_packet(c);
    uint32_t draining = mp__load_relaxed(&lane->draining);
    if (draining != 0 && mp__lane_not_older(serial, draining >> 1)) {
        mp__lane_drained(lane);
        return MP__LOOK_AGAIN;
    }
    if (draining != 0 || (n->there && mp__lane_not_older(n->note.serial, serial)))
        return drop_packet(c);
    if (n->there)
        return drop_note(c, n);
    uint32_t current;
    int rc = mp__lane_rearm(lane, &current);
    if (rc < 0 || mp__lane_not_older(serial, current))
        return rc < 0 ? rc : MP__LOOK_AGAIN;
    MP_STEP("packet.receive.rearmed");
    drop_packet(c);
    return n->waits ? MP_EAGAIN : MP__LOOK_AGAIN; /* poll() tells of what is behind it */
}

/* A packet with a number, for which there is not the note. */
static int at_orphan(mp_connection *c, uint32_t number, const noted *n)
{
    mp__lane *lane = mp__packets_of(c)->in;
    if (n->there)
        return mp__note_is_later(number, n->note.number) ? drop_note(c, n) : drop_packet(c);
    if (is_draining(lane)) {
        if (!mp__note_is_later(number, lane->old_notes))
            return drop_packet(c);
        mp__lane_drained(lane);
        return MP__LOOK_AGAIN;
    }
    if (mp__lane_put_goes_on(lane))
        return MP__PUT_BUSY;
    if (mp__lane_has_message(lane))
        return MP__LOOK_AGAIN;
    return drop_packet(c);
}

/* What is at the head of the ring when the socket is looked at. */
static int look_at_ring(mp__lane *lane, noted *n)
{
    if (lane == NULL || is_draining(lane) || !mp__ring_look(&lane->ring, &n->view))
        return 0;
    const mp__ring_message *m = &n->view.message;
    if (m->kind != MP__RING_NOTE || m->length != sizeof n->note)
        return MP__LOOK_AGAIN;
    mp__ring_copy(&n->note, m);
    n->there = mp__ring_is_current(&lane->ring, &n->view);
    return n->there ? 0 : MP__LOOK_AGAIN;
}

/* Looks at the head of the socket. Returns 0: it is a message, to be judged; or another result. */
static int look(mp_connection *c, incoming *in, noted *n, const mp__receipt *receipt)
{
    mp__lane *lane = mp__packets_of(c)->in;
    int rc = look_at_ring(lane, n);
    if (rc < 0)
        return rc;
    bool copies = receipt->want == MP__WANT_BYTES && receipt->capacity > 0;
    struct iovec parts[2] = {{&in->h, sizeof in->h}, {receipt->buffer, receipt->capacity}};
    rc = mp__socket_peek(c->fd, parts, copies ? 2 : 1, &in->packet);
    if (rc <= 0)
        return rc == 0 ? at_end(c, n) : rc == MP_EAGAIN ? at_nothing(c, n) : rc;
    in->in_packet = in->packet - mp__min_size(in->packet, sizeof in->h);
    MP_STEP("packet.receive.looked");
    if (in->packet == sizeof(mp__token) && in->h.magic == MP__TOKEN_MAGIC)
        return at_token(c, in->h.kind, n);
    if (in->packet < sizeof in->h || in->h.magic != MP__NOTED_MAGIC) {
        n->there = false; /* of one who has taken an end over, or older than the note */
        return 0;
    }
    in->number = in->h.kind >> MP__NOTED_SHIFT;
    in->h.kind &= (1u << MP__NOTED_SHIFT) - 1;
    if (lane != NULL && !(n->there && n->note.number == in->number))
        return at_orphan(c, in->number, n);
    return 0;
}

/* Looks, decides and takes. Returns the result of the call, but for the rest of the message. */
static ssize_t receive_locked(mp_connection *c, incoming *in, mp__receipt *receipt, bool waits)
{
    noted n = {.waits = waits};
    int rc = look(c, in, &n, receipt);
    if (rc < 0)
        return rc;
    rc = judge(c, in, receipt);
    if (rc == MP_ESYS(EBADMSG))
        return drop_foreign(c, receipt);
    mp__lane *lane = mp__packets_of(c)->in;
    if (in->number == 0 && lane != NULL && !mp__lane_is_open(lane))
        mp__lane_open(lane);
    if (rc == 0 && receipt->want != MP__WANT_SIZE) {
        MP_STEP("packet.receive.judged");
        rc = take(c, in, &n, receipt);
        if (rc == 0) /* on an end that is shared against the rules another was faster */
            return MP_EAGAIN;
    }
    return rc < 0 ? rc : (ssize_t)in->h.length;
}

/* Reads the rest of a message that was taken. */
static int complete(const incoming *in, mp__receipt *receipt)
{
    int rc = mp__spill_read(in->rest->file.fd, (char *)receipt->buffer + in->in_packet,
                            in->h.length - in->in_packet);
    if (rc < 0 && receipt->want == MP__WANT_MEMORY)
        free(receipt->buffer);
    return rc;
}

/* At a try it may take 1 ms, else 100: then the caller looks whether the connection was closed. */
static int lock(mp__mutex *m, mp__deadline until)
{
    int rc = mp__mutex_acquire(m, MP__AT_ONCE, false);
    if (rc == MP_ETIMEDOUT)
        rc = until.ns == 0 ? mp__mutex_lock_briefly(m)
                           : mp__mutex_acquire(m, mp__deadline_look_again(until), true);
    if (rc == MP_EDEADLK) /* a signal handler above the holder */
        return MP_EAGAIN;
    return rc == MP_OWNERDEAD ? 0 : rc;
}

static ssize_t receive_packet(mp_connection *c, mp__receipt *receipt, mp__deadline until)
{
    mp__mutex *receiving = mp__packets_of(c)->receiving;
    ssize_t rc = lock(receiving, until);
    if (rc < 0)
        return rc;
    incoming in = {.carried = -1};
    rc = receive_locked(c, &in, receipt, until.ns != 0);
    mp__mutex_unlock(receiving);
    MP_STEP("packet.receive.unlocked");

    if (rc >= 0 && in.carried >= 0)
        return in.carried;
    if (rc >= 0 && in.rest != NULL) {
        int failure = complete(&in, receipt);
        rc = failure < 0 ? failure : rc;
    }
    mp__fd_close(in.carried);
    mp__rest_free(in.rest);
    return rc == MP_EAGAIN ? MP_ETIMEDOUT : rc;
}

/* Whether the message in the view is received: 0, or why not. */
static int accept_view(const mp__ring_view *v, mp__receipt *receipt)
{
    size_t length = v->message.length;
    switch (receipt->want) {
    case MP__WANT_BYTES:
        if (length > receipt->capacity)
            return MP_EMSGSIZE;
        mp__ring_copy(receipt->buffer, &v->message);
        return 0;
    case MP__WANT_MEMORY:
        receipt->buffer = malloc(mp__max_size(length, 1));
        if (receipt->buffer == NULL)
            return MP_ENOMEM;
        mp__ring_copy(receipt->buffer, &v->message);
        return 0;
    case MP__WANT_SIZE:
        return (int)length;
    default:
        return MP_ESTATE;
    }
}

/* Takes a small message from the ring, without any lock. MP_ETIMEDOUT: it is empty;
 * MP__LOOK_AGAIN: the next message is a packet. */
static ssize_t receive_small(mp__lane *lane, mp__receipt *receipt)
{
    mp__ring *r = &lane->ring;
    mp__ring_view v;
    while (mp__ring_glance(r, &v) || mp__ring_look(r, &v)) {
        if (is_draining(lane)) /* after that look: see chan/lane.c */
            return MP__LOOK_AGAIN;
        int rc = v.message.kind == MP__RING_BYTES ? accept_view(&v, receipt) : MP__LOOK_AGAIN;
        if (rc != 0 || receipt->want == MP__WANT_SIZE) {
            if (mp__ring_is_current(r, &v))
                return rc;
            continue;
        }
        MP_STEP("packet.receive.copied");
        if (mp__ring_take(r, &v)) {
            MP_STEP("packet.receive.small_taken");
            mp__lane_made_room(lane);
            return (ssize_t)v.message.length;
        }
        if (receipt->want == MP__WANT_MEMORY)
            free(receipt->buffer);
    }
    return MP_ETIMEDOUT;
}

/* One look at the ring, and if that is empty at the socket. */
static ssize_t receive_once(mp_connection *c, mp__receipt *receipt, mp__deadline until)
{
    mp__lane *lane = mp__packets_of(c)->in;
    ssize_t rc = MP__LOOK_AGAIN;
    if (lane != NULL) {
        rc = receive_small(lane, receipt);
        if (rc == MP_ETIMEDOUT && until.ns != 0 && mp__lane_is_open(lane) && mp__lane_spin(lane))
            return MP__LOOK_AGAIN;
    }
    if (rc == MP_ETIMEDOUT || rc == MP__LOOK_AGAIN)
        rc = receive_packet(c, receipt, until);
    return rc == MP__PUT_BUSY ? mp__lane_await_put(lane, until) : rc;
}

static ssize_t receive(mp_connection *c, mp__receipt *receipt, mp__deadline until)
{
    ssize_t rc;
    do
        rc = receive_once(c, receipt, until);
    while (rc == MP__LOOK_AGAIN);
    mp__lane *lane = mp__packets_of(c)->in;
    if (lane != NULL)
        mp__lane_doze(lane, rc == MP_ETIMEDOUT && until.ns != 0);
    return rc;
}

/* Tokens that tell of nothing are taken away, so that poll() tells the truth. */
static bool pending(mp_connection *c)
{
    mp__packets *p = mp__packets_of(c);
    mp__lane *lane = p->in;
    if (lane == NULL || is_draining(lane))
        return false;
    if (!mp__lane_has_message(lane) && (mp__load_relaxed(&lane->bell) & 1) &&
        lock(p->receiving, MP__AT_ONCE) == 0) {
        uint32_t serial;
        if (!mp__lane_has_message(lane) && mp__lane_rearm(lane, &serial) == 0)
            mp__lane_take_tokens(c->fd, serial);
        mp__mutex_unlock(p->receiving);
    }
    return mp__lane_has_message(lane);
}

static void leave(mp_connection *c)
{
    if (mp__packets_of(c)->in != NULL)
        mp__lane_leave(mp__packets_of(c)->in);
}

static void retire(mp_connection *c)
{
    if (mp__packets_of(c)->in != NULL)
        mp__lane_retire(mp__packets_of(c)->in);
}

static void forked(mp_connection *c)
{
    (void)c; /* the lock is shared: its holder lives on in the parent */
}

static void dispose(mp_connection *c)
{
    mp__packet_dispose_state(c->state);
}

const mp__transport mp__packet_transport = {.receive = receive,
                                            .send = mp__packet_send,
                                            .send_fd = mp__packet_send_fd,
                                            .hides = true,
                                            .pending = pending,
                                            .leave = leave,
                                            .retire = retire,
                                            .forked = forked,
                                            .dispose = dispose};
