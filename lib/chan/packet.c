/* SPDX-License-Identifier: MIT */
/*
 * Messages as packets of a unix socket. Why a message is whole or absent, whoever dies when:
 *
 * - A message is exactly one packet, a send exactly one system call that puts it into the
 *   receiver's queue or does not. So senders, in any number of processes and threads, need no lock,
 *   and a sender that is killed has sent all of it or nothing.
 * - What exceeds INLINE_MOST bytes of a message is written to a nameless file of memory before the
 *   send, and travels with the packet as a descriptor. The kernel holds it while it is on its way,
 *   and frees it when the packet is dropped. The INLINE_MOST bytes stay in the packet although they
 *   could be in the file, so that large messages fill the socket's buffer: a few on their way block
 *   the next sender, and memory stays bounded.
 * - A receiver looks at the packet (MSG_PEEK), decides, and takes it, under the end's receive lock;
 *   so the packet it takes is the one it looked at. The look copies the bytes and duplicates the
 *   descriptor; taking it drops the packet. A receiver that dies before that one call leaves
 *   everything as it was, one that dies after it has received the message. So there is nothing to
 *   repair when the lock's owner died in it.
 * - A message that cannot be received (too large for the buffer, no memory, no descriptor left, or
 *   of the other kind) is not taken, and stays.
 * - A child that another thread forks meanwhile does not keep the file (os/owned.h).
 * - Nobody sleeps under the lock: all calls are non-blocking, and the file is read after it.
 *
 * The lock lies in a page that is shared with forked processes; the end of a pipe that was taken
 * over by its number has a lock of its own, which is why such an end must not be shared for
 * receiving.
 *
 * A packet that is none of ours is taken away and reported as EBADMSG, so that it does not stop the
 * connection for ever. An empty packet, which we never send, looks like the end of file.
 */
#include "chan/packet.h"

#include "base/bits.h"
#include "os/clock.h"
#include "os/mutex.h"
#include "os/owned.h"
#include "os/page.h"
#include "os/socket.h"
#include "os/spill.h"
#include "os/step.h"

#include <mproc/error.h>
#include <stdlib.h>

#define INLINE_MOST ((size_t)64 * 1024)
#define MAGIC       0x636f504du

enum kind {
    WHOLE = 1,     /* header and message */
    SPILLED = 2,   /* header, beginning of the message, and a descriptor of a file with the rest */
    DESCRIPTOR = 3 /* header, and the descriptor that is the message */
};

typedef struct header {
    uint32_t magic;
    uint32_t kind;
    uint64_t length; /* of the message */
} header;

_Static_assert(sizeof(header) == 16, "no padding goes over the wire");

/* The locks of a pipe's two ends, and how many handles of this process use them. */
typedef struct locks {
    mp__mutex *page; /* two, in shared memory */
    _Atomic uint32_t handles;
} locks;

typedef struct state {
    locks *locks;
    mp__mutex *receiving;
    size_t inline_most;
    mp__link rests; /* under mp__owned_lock() */
} state;

/* The file with the rest of a message that is being sent or received. A child that is forked
 * meanwhile finds it empty, in the list of its handle. */
typedef struct rest {
    mp__owned file;
    mp__link link;
} rest;

static state *state_of(const mp_connection *c)
{
    return c->state;
}

static locks *locks_new(void)
{
    locks *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->page = mp__page_new();
    if (l->page != NULL)
        return l;
    free(l);
    return NULL;
}

static void locks_drop(locks *l, uint32_t handles)
{
    if (mp__add_seq(&l->handles, -handles) != handles)
        return;
    mp__page_free(l->page);
    free(l);
}

static void *state_new(int fd, locks *l, int which)
{
    state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    size_t most = mp__socket_packet_most(fd) - sizeof(header);
    *s = (state){l, &l->page[which], mp__min_size(most, INLINE_MOST), MP__LIST(s->rests)};
    return s;
}

int mp__packet_state_pair(int fd, void *states[2])
{
    locks *l = locks_new();
    if (l == NULL)
        return MP_ENOMEM;
    mp__store_relaxed(&l->handles, 2);
    states[0] = state_new(fd, l, 0);
    states[1] = state_new(fd, l, 1);
    if (states[0] != NULL && states[1] != NULL)
        return 0;
    free(states[0]);
    free(states[1]);
    locks_drop(l, 2);
    return MP_ENOMEM;
}

int mp__packet_state(int fd, void **out)
{
    locks *l = locks_new();
    if (l == NULL)
        return MP_ENOMEM;
    mp__store_relaxed(&l->handles, 1);
    *out = state_new(fd, l, 0);
    if (*out != NULL)
        return 0;
    locks_drop(l, 1);
    return MP_ENOMEM;
}

void mp__packet_dispose_state(void *given)
{
    state *s = given;
    if (s == NULL)
        return;
    mp__list_for_each (link, &s->rests)
        free(mp__container(link, rest, link));
    locks_drop(s->locks, 1);
    free(s);
}

static void dispose(mp_connection *c)
{
    mp__packet_dispose_state(c->state);
}

static int send_packet(mp_connection *c, const struct iovec *parts, int carried, mp__deadline until)
{
    for (;;) {
        int rc = mp__socket_send(c->fd, parts, 2, carried);
        MP_STEP("packet.send.sent");
        if (rc != MP_EAGAIN)
            return rc;
        rc = mp__connection_await(c, true, until);
        if (rc < 0)
            return rc;
    }
}

/* A file with the rest of a message: a new one, or that which the packet at the head of the socket
 * carries. Returns 0 or a code. */
static int rest_new(mp_connection *c, rest **out, bool carried)
{
    rest *r = malloc(sizeof *r);
    if (r == NULL)
        return MP_ENOMEM;
    mp__owned_lock();
    int rc = carried ? mp__socket_peek_carried(c->fd) : mp__spill_new();
    if (rc >= 0)
        rc = mp__owned_adopt(&r->file, rc);
    if (rc >= 0)
        mp__list_append(&state_of(c)->rests, &r->link);
    mp__owned_unlock();
    if (rc < 0)
        free(r);
    else
        *out = r;
    return rc;
}

static void rest_free(rest *r)
{
    if (r == NULL)
        return;
    mp__owned_lock();
    mp__owned_close_locked(&r->file);
    mp__list_remove(&r->link);
    mp__owned_unlock();
    free(r);
}

static int send_bytes(mp_connection *c, const void *data, size_t length, mp__deadline until)
{
    size_t in_packet = mp__min_size(length, state_of(c)->inline_most);
    header h = {MAGIC, WHOLE, length};
    struct iovec parts[2] = {{&h, sizeof h}, {(void *)data, in_packet}};
    if (in_packet == length)
        return send_packet(c, parts, -1, until);

    rest *r;
    int rc = rest_new(c, &r, false);
    if (rc < 0)
        return rc;
    rc = mp__spill_write(r->file.fd, (const char *)data + in_packet, length - in_packet);
    h.kind = SPILLED;
    MP_STEP("packet.send.spilled");
    if (rc == 0)
        rc = send_packet(c, parts, r->file.fd, until);
    rest_free(r);
    return rc;
}

static int send_fd(mp_connection *c, int fd, mp__deadline until)
{
    header h = {MAGIC, DESCRIPTOR, 0};
    struct iovec parts[2] = {{&h, sizeof h}, {NULL, 0}};
    return send_packet(c, parts, fd, until);
}

/* A message that is being received. */
typedef struct incoming {
    header h;
    size_t packet;    /* the length of the whole packet */
    size_t in_packet; /* bytes of the message in it */
    int carried;      /* a duplicate of the descriptor of a DESCRIPTOR, or -1 */
    rest *rest;       /* the file of a SPILLED, or NULL */
} incoming;

static bool is_ours(const incoming *in)
{
    const header *h = &in->h;
    if (in->packet < sizeof *h || h->magic != MAGIC)
        return false;
    switch (h->kind) {
    case WHOLE:
        return h->length == in->in_packet;
    case SPILLED:
        return h->length > in->in_packet && h->length <= PTRDIFF_MAX;
    case DESCRIPTOR:
        return h->length == 0 && in->in_packet == 0;
    default:
        return false;
    }
}

/* The file with the rest. It is there as a whole, or the packet is none of ours: so nobody allocates
 * what is only announced. */
static int open_rest(mp_connection *c, incoming *in)
{
    int rc = rest_new(c, &in->rest, true);
    if (rc == 0 && !mp__spill_holds(in->rest->file.fd, in->h.length - in->in_packet))
        return MP_ESYS(EBADMSG);
    return rc;
}

/* Whether the packet can be received, with its descriptor if it has one. Returns 0 or a code. */
static int judge(mp_connection *c, incoming *in, const mp__receipt *receipt)
{
    if (!is_ours(in))
        return MP_ESYS(EBADMSG);
    if ((in->h.kind == DESCRIPTOR) != (receipt->want == MP__WANT_DESCRIPTOR))
        return MP_ESTATE;
    if (receipt->want == MP__WANT_BYTES && in->h.length > receipt->capacity)
        return MP_EMSGSIZE;
    if (receipt->want == MP__WANT_SIZE || in->h.kind == WHOLE)
        return 0;
    if (in->h.kind == SPILLED)
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

/* Takes a packet that was judged. */
static int take(mp_connection *c, incoming *in, mp__receipt *receipt)
{
    if (receipt->want != MP__WANT_MEMORY)
        return mp__socket_take(c->fd, NULL, 0); /* the look has copied it */
    void *memory = malloc(mp__max_size(in->h.length, 1));
    if (memory == NULL)
        return MP_ENOMEM;
    struct iovec parts[2] = {{&in->h, sizeof in->h}, {memory, in->in_packet}};
    int rc = mp__socket_take(c->fd, parts, 2);
    if (rc == 1)
        receipt->buffer = memory;
    else
        free(memory);
    return rc;
}

/* Looks, decides and takes. Returns the result of the call, but for the rest of the message. */
static ssize_t receive_locked(mp_connection *c, incoming *in, mp__receipt *receipt)
{
    bool copies = receipt->want == MP__WANT_BYTES && receipt->capacity > 0;
    struct iovec parts[2] = {{&in->h, sizeof in->h}, {receipt->buffer, receipt->capacity}};
    int rc = mp__socket_peek(c->fd, parts, copies ? 2 : 1, &in->packet);
    if (rc <= 0)
        return rc == 0 ? MP_EEOF : rc;
    in->in_packet = in->packet - mp__min_size(in->packet, sizeof in->h);
    MP_STEP("packet.receive.looked");

    rc = judge(c, in, receipt);
    if (rc == MP_ESYS(EBADMSG))
        return drop_foreign(c, receipt);
    if (rc == 0 && receipt->want != MP__WANT_SIZE) {
        MP_STEP("packet.receive.judged");
        rc = take(c, in, receipt);
        MP_STEP("packet.receive.taken");
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

static ssize_t receive(mp_connection *c, mp__receipt *receipt, mp__deadline until)
{
    mp__mutex *receiving = state_of(c)->receiving;
    ssize_t rc = lock(receiving, until);
    if (rc < 0)
        return rc;
    incoming in = {.carried = -1};
    rc = receive_locked(c, &in, receipt);
    mp__mutex_unlock(receiving);
    MP_STEP("packet.receive.unlocked");

    if (rc >= 0 && in.carried >= 0)
        return in.carried;
    if (rc >= 0 && in.rest != NULL) {
        int failure = complete(&in, receipt);
        rc = failure < 0 ? failure : rc;
    }
    mp__fd_close(in.carried);
    rest_free(in.rest);
    return rc == MP_EAGAIN ? MP_ETIMEDOUT : rc;
}

static bool pending(mp_connection *c)
{
    (void)c;
    return false;
}

static void forked(mp_connection *c)
{
    (void)c; /* the lock is shared: its holder lives on in the parent */
}

const mp__transport mp__packet_transport = {receive, send_bytes, send_fd, pending, forked, dispose};
