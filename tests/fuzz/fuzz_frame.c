/* SPDX-License-Identifier: MIT */
/*
 * Plain frames: any bytes, cut anywhere, on a pipe or a stream socket, and calls of a receiver in
 * any order in between. A model reads the same bytes in the plainest way and says what each call
 * must return.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM ((size_t)60000) /* less than a pipe holds */

typedef struct stream {
    uint8_t bytes[ROOM];
    size_t sent, at; /* all; where the frame at hand begins */
    bool closed;
    int ended; /* the code of all that follows */
    int fd;
} stream;

static void deliver(stream *s, const uint8_t *bytes, size_t count)
{
    if (count > ROOM - s->sent)
        count = ROOM - s->sent;
    if (count == 0)
        return;
    ssize_t n = write(s->fd, bytes, count);
    DEMAND(n >= 0 || errno == EAGAIN);
    if (n > 0)
        memcpy(s->bytes + s->sent, bytes, (size_t)n);
    s->sent += n > 0 ? (size_t)n : 0;
}

/* A header that announces something, so that not only chance makes frames. */
static void deliver_header(stream *s, input *in)
{
    static const uint8_t sizes[] = {1, 2, 4, 8};
    uint8_t how = next_byte(in);
    uint64_t length = next_number(in, sizes[how & 3]);
    uint8_t header[12] = {0xff, 0xff, 0xff, 0xff};
    bool is_long = (how & 4) != 0;
    for (int i = 0; i < (is_long ? 8 : 4); i++)
        header[is_long ? 4 + i : i] = (uint8_t)(length >> 8 * ((is_long ? 7 : 3) - i));
    deliver(s, header, is_long ? 12 : 4);
}

static void deliver_many(stream *s, input *in)
{
    static uint8_t zeroes[256 * 64];
    deliver(s, zeroes, (size_t)next_byte(in) * 64);
}

static uint64_t number_at(const stream *s, size_t at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | s->bytes[at + (size_t)i];
    return value;
}

/* What is announced: 0; or that it is not yet told; or that it is none. */
static int announced(const stream *s, uint64_t *length, size_t *header)
{
    size_t have = s->sent - s->at;
    *header = 4;
    if (have < 4)
        return MP_ETIMEDOUT;
    *length = number_at(s, s->at, 4);
    if (*length == 0xffffffff) {
        *header = 12;
        if (have < 12)
            return MP_ETIMEDOUT;
        *length = number_at(s, s->at + 4, 8);
        return *length > PTRDIFF_MAX ? MP_ESYS(EPROTO) : 0;
    }
    return *length > 0x7fffffff ? MP_ESYS(EPROTO) : 0;
}

/* What a call must return; `s` goes on to where the stream is after it. *payload: where the bytes
 * are that it must bring. */
static ssize_t expected(stream *s, enum wish wish, size_t capacity, const uint8_t **payload)
{
    uint64_t length;
    size_t header;
    *payload = NULL;
    if (wish == WISH_DESCRIPTOR)
        return MP_ESTATE;
    if (s->ended != 0)
        return s->ended;
    int rc = announced(s, &length, &header);
    if (rc == 0 && wish == WISH_SIZE)
        return (ssize_t)length;
    if (rc == 0 && wish == WISH_BYTES && length > capacity)
        return MP_EMSGSIZE;
    if (rc == 0 && s->sent - s->at - header < length)
        rc = MP_ETIMEDOUT;
    if (rc == MP_ETIMEDOUT && s->closed)
        return s->sent == s->at ? MP_EEOF : (s->ended = MP_EPIPE);
    if (rc == MP_ESYS(EPROTO))
        s->ended = rc;
    if (rc < 0)
        return rc;
    *payload = s->bytes + s->at + header;
    s->at += header + (size_t)length;
    return (ssize_t)length;
}

static ssize_t receive(mp_connection *c, stream *s, enum wish wish, size_t capacity)
{
    const uint8_t *payload;
    void *data;
    ssize_t want = expected(s, wish, capacity, &payload), rc = ask(c, wish, capacity, &data);
    DEMAND(rc == want);
    DEMAND(payload == NULL || want == 0 || memcmp(data, payload, (size_t)want) == 0);
    free(data);
    return rc;
}

static void one_call(mp_connection *c, stream *s, input *in)
{
    size_t count;
    const uint8_t *bytes;
    uint8_t op = next_byte(in);
    switch (op & 7) {
    case 0:
        bytes = next_bytes(in, op >> 3, &count);
        deliver(s, bytes, count);
        break;
    case 1:
        deliver_header(s, in);
        break;
    case 2:
        deliver_many(s, in);
        break;
    case 3:
        receive(c, s, WISH_BYTES, op >> 3 == 31 ? ROOM : op >> 3);
        break;
    case 4:
        receive(c, s, WISH_MEMORY, 0);
        break;
    case 5:
        receive(c, s, WISH_SIZE, 0);
        break;
    case 6:
        DEMAND(mp_connection_poll(c, 0) == (s->sent > s->at || s->ended != 0));
        break;
    default:
        receive(c, s, op & 8 ? WISH_DESCRIPTOR : WISH_BYTES, 0);
        break;
    }
}

/* After the last byte: what is whole comes, and then the end, which lasts. */
static void drain(mp_connection *c, stream *s)
{
    ssize_t rc;
    close(s->fd);
    s->closed = true;
    DEMAND(mp_connection_poll(c, 0) == 1);
    do
        rc = receive(c, s, WISH_MEMORY, 0);
    while (rc >= 0);
    DEMAND(rc == MP_EEOF || rc == MP_EPIPE || rc == MP_ESYS(EPROTO));
    DEMAND(receive(c, s, WISH_SIZE, 0) == rc && mp_connection_poll(c, 0) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static stream s;
    input in = {data, size};
    int ends[2];
    mp_connection *c;
    bool is_socket = (next_byte(&in) & 1) != 0;
    DEMAND((is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
    DEMAND(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    DEMAND(mp_connection_create(&c, ends[0], NULL) == 0);
    s.sent = s.at = 0;
    s.closed = false;
    s.ended = 0;
    s.fd = ends[1];
    while (in.left > 0)
        one_call(c, &s, &in);
    drain(c, &s);
    mp_connection_free(c);
    return 0;
}
