/* SPDX-License-Identifier: MIT */
/*
 * Plain frames on a stream: 4 bytes of length, big-endian, and the bytes; or -1, 8 bytes of length,
 * and the bytes. One process at a time sends, and one receives; here is why its threads may share
 * it.
 *
 * Receiving. What has arrived of a frame is kept in the handle, so that a deadline in the middle of
 * it loses nothing, and any thread's next call goes on from there. Each step (one read that does
 * not block, and what follows from it) is under `guard`; nobody waits under it. Whoever finds the
 * message complete takes it. Never more is read than the frame at hand, so that the descriptor
 * tells of the next one, and of this one as long as bytes of it are missing. The private buffer
 * grows with what arrives, not with what is announced. Without room for the bytes the header alone
 * is taken from the stream.
 *
 * Sending. A thread holds `sending` for a whole frame. If the deadline (or mp_interrupt(), or a
 * close) cuts a frame off after its first byte, no other frame can follow, and writing has ended:
 * `torn` is set from the first byte to the last, which also tells of a thread that was ended
 * between.
 *
 * A fork. The child keeps what its parent has received of a frame, unless another thread was at it:
 * then the rest is that thread's, and the child begins at a frame's border. `in_step` says that a
 * thread was amidst a change: then the buffer is in doubt and is given up. The sending lock of
 * another thread is free in the child.
 */
#include "chan/frame.h"

#include "base/bits.h"
#include "os/clock.h"
#include "os/guard.h"
#include "os/mutex.h"
#include "os/socket.h"
#include "os/step.h"
#include "os/stream.h"

#include <mproc/error.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_HEADER ((size_t)4)
#define LONG_HEADER  ((size_t)12)
#define LONG_MARK    0xffffffffu
#define SHORT_MOST   0x7fffffffu
#define CHUNK        ((size_t)64 * 1024) /* the first size of the buffer, and what is kept of it */

/* The frame that is arriving. */
typedef struct reader {
    mp__guard guard;
    mp__stream stream;
    unsigned char header[LONG_HEADER];
    size_t header_got;
    bool header_done;
    uint64_t length; /* announced */
    unsigned char *data;
    size_t got, room;
    int ended; /* the code of all that follows, 0 while it goes on */
    _Atomic uint32_t
        in_step; /* read by the atfork hook alone, on behalf of a thread that is gone */
} reader;

typedef struct state {
    reader reader;
    mp__mutex sending;
    mp__stream out;
    bool torn;
} state;

static state *state_of(const mp_connection *c)
{
    return c->state;
}

int mp__frame_state(int fd, bool is_socket, void **out)
{
    state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return MP_ENOMEM;
    mp__guard_init(&s->reader.guard);
    s->reader.stream = s->out = (mp__stream){.fd = fd, .is_socket = is_socket};
    *out = s;
    return 0;
}

static void dispose(mp_connection *c)
{
    state *s = state_of(c);
    free(s->reader.data);
    free(s);
}

/* After a message: a small buffer stays for the next. */
static void begin_frame(reader *r)
{
    if (r->room > CHUNK) {
        free(r->data);
        r->data = NULL;
        r->room = 0;
    }
    r->header_got = r->got = 0;
    r->header_done = false;
    r->length = 0;
}

static void forked(mp_connection *c)
{
    state *s = state_of(c);
    reader *r = &s->reader;
    mp__guard_init(&r->guard);
    if (mp__load_relaxed(&r->in_step) != 0) {
        r->data = NULL;
        r->room = 0;
    }
    if (mp__load_relaxed(&c->calls) != 0)
        begin_frame(r);
    mp__store_relaxed(&r->in_step, 0);
    memset(&s->sending, 0, sizeof s->sending);
    s->torn = false;
}

static void step_begin(reader *r)
{
    mp__guard_lock(&r->guard);
    mp__store_relaxed(&r->in_step, 1);
    mp__fence_compiler();
}

static void step_end(reader *r)
{
    mp__fence_compiler();
    mp__store_relaxed(&r->in_step, 0);
    mp__guard_unlock(&r->guard);
}

/* Reads up to `size` bytes. Returns how many (> 0), or a code; MP_ETIMEDOUT: none are there. */
static ssize_t read_some(reader *r, void *to, size_t size)
{
    ssize_t n = mp__stream_read(&r->stream, to, size);
    if (n > 0)
        return n;
    if (n == MP_EAGAIN)
        return MP_ETIMEDOUT;
    if (n < 0)
        return n;
    if (r->header_got == 0)
        return MP_EEOF;
    return r->ended = MP_EPIPE;
}

static uint64_t big_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* How many bytes of header there are, as far as it is known. */
static size_t header_size(const reader *r)
{
    bool is_long = r->header_got >= SHORT_HEADER && big_endian(r->header, 4) == LONG_MARK;
    return is_long ? LONG_HEADER : SHORT_HEADER;
}

/* Completes the header. Returns 0 or a code. */
static int read_header(reader *r)
{
    while (r->header_got < header_size(r)) {
        ssize_t n = read_some(r, r->header + r->header_got, header_size(r) - r->header_got);
        if (n < 0)
            return (int)n;
        r->header_got += (size_t)n;
    }
    bool is_long = r->header_got == LONG_HEADER;
    r->length = is_long ? big_endian(r->header + 4, 8) : big_endian(r->header, 4);
    if (r->length > (is_long ? (uint64_t)PTRDIFF_MAX : SHORT_MOST)) /* negative, or beyond memory */
        return r->ended = MP_ESYS(EPROTO);
    r->header_done = true;
    return 0;
}

/* Makes room for more, at least doubling it, but never beyond the message. */
static int make_room(reader *r)
{
    size_t room = (size_t)r->length;
    if (room > CHUNK)
        room =
            mp__min_size(room, mp__max_size(CHUNK, r->got <= PTRDIFF_MAX / 2 ? 2 * r->got : room));
    else
        room = CHUNK;
    if (r->room >= room && r->data != NULL)
        return 0;
    unsigned char *data = realloc(r->data, room);
    if (data == NULL)
        return MP_ENOMEM;
    r->data = data;
    r->room = room;
    return 0;
}

/* Completes the message. Returns 0 or a code. */
static int read_payload(reader *r)
{
    while (r->got < r->length) {
        if (r->got == r->room) {
            int rc = make_room(r);
            if (rc < 0)
                return rc;
        }
        size_t most = mp__min_size(r->room, (size_t)r->length) - r->got;
        ssize_t n = read_some(r, r->data + r->got, most);
        if (n < 0)
            return (int)n;
        r->got += (size_t)n;
    }
    return 0;
}

/* Hands the buffer itself over. */
static int give_memory(reader *r, mp__receipt *receipt)
{
    void *data = realloc(r->data, mp__max_size((size_t)r->length, 1));
    if (data == NULL)
        return MP_ENOMEM;
    receipt->buffer = data;
    r->data = NULL;
    r->room = 0;
    return 0;
}

static ssize_t step(reader *r, mp__receipt *receipt)
{
    if (r->ended != 0)
        return r->ended;
    int rc = r->header_done ? 0 : read_header(r);
    if (rc < 0)
        return rc;
    ssize_t length = (ssize_t)r->length;
    if (receipt->want == MP__WANT_SIZE)
        return length;
    if (receipt->want == MP__WANT_BYTES && r->length > receipt->capacity)
        return MP_EMSGSIZE;
    rc = read_payload(r);
    if (rc < 0)
        return rc;
    if (receipt->want == MP__WANT_MEMORY)
        rc = give_memory(r, receipt);
    else if (length > 0)
        memcpy(receipt->buffer, r->data, (size_t)length);
    if (rc < 0)
        return rc;
    begin_frame(r);
    return length;
}

static ssize_t receive(mp_connection *c, mp__receipt *receipt, mp__deadline until)
{
    (void)until;
    if (receipt->want == MP__WANT_DESCRIPTOR)
        return MP_ESTATE;
    if (!mp__fd_is(c->fd, &c->identity)) /* never read what has become the program's file */
        return MP_ESYS(EBADF);
    reader *r = &state_of(c)->reader;
    step_begin(r);
    ssize_t rc = step(r, receipt);
    step_end(r);
    return rc;
}

static bool pending(mp_connection *c)
{
    reader *r = &state_of(c)->reader;
    mp__guard_lock(&r->guard);
    bool answer = r->header_got > 0 || r->ended != 0;
    mp__guard_unlock(&r->guard);
    return answer;
}

static int end_writing(mp_connection *c)
{
    mp__store_relaxed(&c->ended_writing, 1);
    if (state_of(c)->out.is_socket)
        mp__socket_end_sending(c->fd); /* so that the receiver learns of it, too */
    return MP_EPIPE;
}

/* Drops what was sent from the front. */
static void advance(struct iovec parts[2], size_t n)
{
    for (int i = 0; i < 2; i++) {
        size_t done = mp__min_size(n, parts[i].iov_len);
        parts[i].iov_base = done > 0 ? (char *)parts[i].iov_base + done : parts[i].iov_base;
        parts[i].iov_len -= done;
        n -= done;
    }
}

static int write_frame(mp_connection *c, struct iovec parts[2], mp__deadline until)
{
    state *s = state_of(c);
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        int skip = parts[0].iov_len == 0;
        ssize_t n = mp__stream_write(&s->out, parts + skip, 2 - skip);
        if (n >= 0) {
            s->torn = true;
            MP_STEP("frame.send.part_sent");
            advance(parts, (size_t)n);
            continue;
        }
        int rc = n == MP_EAGAIN ? mp__connection_await(c, true, until) : (int)n;
        if (rc < 0)
            return rc;
    }
    s->torn = false;
    return 0;
}

/* The lock is held for as long as a frame takes; between looks for a close it sleeps 100 ms. */
static int lock_sending(mp_connection *c, mp__deadline until)
{
    for (;;) {
        mp__deadline slice = mp__deadline_look_again(until);
        int rc = mp__mutex_acquire(&state_of(c)->sending, slice, true);
        if (rc >= 0)
            return 0;
        if (rc != MP_ETIMEDOUT)
            return rc == MP_EDEADLK ? MP_EAGAIN : rc;
        if (mp__connection_is_closed(c))
            return MP_ECLOSED;
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
    }
}

static int send_locked(mp_connection *c, struct iovec parts[2], mp__deadline until)
{
    state *s = state_of(c);
    if (mp__load_relaxed(&c->ended_writing) != 0)
        return MP_EPIPE;
    if (s->torn) /* the thread that sent it has ended */
        return end_writing(c);
    if (!mp__fd_is(c->fd, &c->identity))
        return MP_ESYS(EBADF);
    int rc = write_frame(c, parts, until);
    if (rc < 0 && s->torn) {
        s->torn = false;
        end_writing(c);
        return rc == MP_ETIMEDOUT ? MP_EPIPE : rc;
    }
    return rc;
}

static size_t put_big_endian(unsigned char *bytes, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(value >> 8 * (count - 1 - i));
    return count;
}

static size_t put_header(unsigned char *header, size_t length)
{
    if (length <= SHORT_MOST)
        return put_big_endian(header, length, SHORT_HEADER);
    put_big_endian(header, LONG_MARK, SHORT_HEADER);
    return SHORT_HEADER + put_big_endian(header + SHORT_HEADER, length, 8);
}

static int send_bytes(mp_connection *c, const void *data, size_t length, mp__deadline until)
{
    int rc = lock_sending(c, until);
    if (rc < 0)
        return rc;
    unsigned char header[LONG_HEADER];
    struct iovec parts[2] = {{header, put_header(header, length)}, {(void *)data, length}};
    rc = send_locked(c, parts, until);
    mp__mutex_unlock(&state_of(c)->sending);
    return rc;
}

static int send_fd(mp_connection *c, int fd, mp__deadline until)
{
    (void)c, (void)fd, (void)until;
    return MP_ESTATE;
}

const mp__transport mp__frame_transport = {.receive = receive,
                                           .send = send_bytes,
                                           .send_fd = send_fd,
                                           .pending = pending,
                                           .forked = forked,
                                           .dispose = dispose};
