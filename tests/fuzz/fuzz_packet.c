/* SPDX-License-Identifier: MIT */
/*
 * Packets: anything that a peer can send on the socket of a pipe, with descriptors or without, and
 * calls of a receiver in any order in between. A model says what each call must return, and that no
 * descriptor is left.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS = 64, LONGEST = 70000, CARRIED = 40 };

typedef struct header {
    uint32_t magic, kind;
    uint64_t length;
} header;

enum { WHOLE = 1, SPILLED = 2, DESCRIPTOR = 3 };

/* What is carried: nothing, a file with so many bytes, or what is no file. */
enum cargo { NO_CARGO, FILE_CARGO, PIPE_CARGO };

typedef struct packet {
    uint8_t *bytes;
    size_t size;
    enum cargo cargo;
    size_t file;
} packet;

static packet packets[PACKETS]; /* sent and not yet received: [first, last) */
static int first, last, raw;

static uint8_t file_byte(size_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static int new_file(size_t size)
{
    static uint8_t bytes[LONGEST];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    DEMAND(fd >= 0);
    for (size_t i = 0; i < size; i++)
        bytes[i] = file_byte(i);
    DEMAND(write(fd, bytes, size) == (ssize_t)size);
    return fd;
}

static int new_cargo(const packet *p)
{
    int ends[2];
    if (p->cargo == FILE_CARGO)
        return new_file(p->file);
    DEMAND(pipe(ends) == 0);
    close(ends[1]);
    return ends[0];
}

/* Sends the packet with `carried` times its cargo. */
static bool send_packet(const packet *p, int carried)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CARRIED)];
        struct cmsghdr align;
    } control;
    struct iovec part = {p->bytes, p->size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    int fd = -1;
    if (carried > 0) {
        fd = new_cargo(p);
        memset(&control, 0, sizeof control);
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)carried);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&m);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)carried);
        for (int i = 0; i < carried; i++)
            memcpy(CMSG_DATA(rights) + (size_t)i * sizeof fd, &fd, sizeof fd);
    }
    ssize_t n = sendmsg(raw, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    DEMAND(n == (ssize_t)p->size || (n < 0 && (errno == EAGAIN || errno == EMSGSIZE)));
    if (fd >= 0)
        close(fd);
    return n >= 0;
}

static void keep(packet p, int carried)
{
    if (last < PACKETS && send_packet(&p, carried))
        packets[last++] = p;
    else
        free(p.bytes);
}

static void send_raw(input *in, size_t most)
{
    packet p = {.bytes = malloc(most + 1)};
    const uint8_t *bytes = next_bytes(in, most, &p.size);
    if (p.size > 0)
        memcpy(p.bytes, bytes, p.size);
    keep(p, 0);
}

/* Nearly one of ours. */
static void send_nearly(input *in)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 65519, 65520, 65521, 69000};
    uint8_t how = next_byte(in), what = next_byte(in), off = next_byte(in);
    size_t in_packet = sizes[how & 7];
    packet p = {.size = sizeof(header) + in_packet, .file = (off & 0x30) * (size_t)64};
    header h = {0x636f504du, (how >> 3 & 3) + (what & 64 ? 1 : 0), in_packet};
    p.bytes = malloc(p.size);
    memset(p.bytes, off, p.size);
    int carried = what & 3 ? what & 4 ? CARRIED : what & 3 : 0;
    p.cargo = carried == 0 ? NO_CARGO : what & 8 ? PIPE_CARGO : FILE_CARGO;
    if (h.kind == DESCRIPTOR && !(what & 16))
        h.length = 0;
    if (h.kind == SPILLED && !(what & 16))
        h.length += p.file; /* what the file holds */
    if (off & 128)
        h.length += (uint64_t)(off & 3) - 1; /* one less, or one or two more */
    if (off & 64)
        h.length |= UINT64_C(1) << (off & 4 ? 63 : 50); /* beyond all memory */
    if (how == 255)
        h.magic++;
    memcpy(p.bytes, &h, sizeof h);
    keep(p, carried);
}

static bool is_ours(const packet *p, header *h)
{
    size_t in_packet = p->size - sizeof *h;
    if (p->size < sizeof *h)
        return false;
    memcpy(h, p->bytes, sizeof *h);
    if (h->magic != 0x636f504du)
        return false;
    return (h->kind == WHOLE && h->length == in_packet) ||
           (h->kind == SPILLED && h->length > in_packet && h->length <= PTRDIFF_MAX) ||
           (h->kind == DESCRIPTOR && h->length == 0 && in_packet == 0);
}

/* Whether what the header announces has come along. */
static bool is_there(const packet *p, const header *h)
{
    if (h->kind == SPILLED)
        return p->cargo == FILE_CARGO && p->file >= h->length - (p->size - sizeof *h);
    return h->kind == WHOLE || p->cargo != NO_CARGO;
}

/* What a call must return; *taken: whether the packet is gone then. */
static ssize_t expected(const packet *p, enum wish wish, size_t capacity, bool *taken)
{
    header h;
    *taken = false;
    if (p->size == 0) /* looks like the end */
        return MP_EEOF;
    if (is_ours(p, &h)) {
        if ((h.kind == DESCRIPTOR) != (wish == WISH_DESCRIPTOR))
            return MP_ESTATE;
        if (wish == WISH_BYTES && h.length > capacity)
            return MP_EMSGSIZE;
        if (wish == WISH_SIZE)
            return (ssize_t)h.length;
        if (is_there(p, &h)) {
            *taken = true;
            return (ssize_t)h.length;
        }
    }
    *taken = wish != WISH_SIZE;
    return MP_ESYS(EBADMSG);
}

static bool is_right(const packet *p, const uint8_t *data, size_t length)
{
    size_t in_packet = p->size - sizeof(header);
    if (length > 0 && memcmp(data, p->bytes + sizeof(header), in_packet) != 0)
        return false;
    for (size_t i = in_packet; i < length; i++)
        if (data[i] != file_byte(i - in_packet))
            return false;
    return true;
}

static ssize_t receive(mp_connection *c, enum wish wish, size_t capacity)
{
    void *data;
    bool taken = false;
    packet *p = first < last ? &packets[first] : NULL;
    ssize_t want = p != NULL  ? expected(p, wish, capacity, &taken)
                   : raw >= 0 ? MP_ETIMEDOUT
                              : MP_EEOF;
    ssize_t rc = ask(c, wish, capacity, &data);
    if (wish == WISH_DESCRIPTOR && rc >= 0) {
        DEMAND(want == 0 && fcntl((int)rc, F_GETFD) == FD_CLOEXEC);
        close((int)rc);
        rc = 0;
    }
    DEMAND(rc == want);
    if (rc >= 0 && (wish == WISH_BYTES || wish == WISH_MEMORY))
        DEMAND(is_right(p, data, (size_t)rc));
    free(data);
    if (taken) {
        free(p->bytes);
        first++;
    }
    return rc;
}

static void one_call(mp_connection *c, input *in)
{
    uint8_t op = next_byte(in);
    switch (op & 7) {
    case 0:
        send_raw(in, op >> 3);
        break;
    case 1:
    case 2:
        send_nearly(in);
        break;
    case 3:
        receive(c, WISH_BYTES, op >> 3 == 31 ? LONGEST * 2 : op >> 3);
        break;
    case 4:
        receive(c, WISH_MEMORY, 0);
        break;
    case 5:
        receive(c, WISH_SIZE, 0);
        break;
    case 6:
        DEMAND(mp_connection_poll(c, 0) == (first < last));
        break;
    default:
        receive(c, WISH_DESCRIPTOR, 0);
        break;
    }
}

/* Whatever there is comes out, or is reported and gone: nothing but an empty packet stops the
 * connection. */
static void drain(mp_connection *c)
{
    close(raw);
    raw = -1;
    for (ssize_t rc = 0; rc != MP_EEOF;) {
        rc = receive(c, WISH_MEMORY, 0);
        if (rc == MP_ESTATE)
            receive(c, WISH_DESCRIPTOR, 0);
    }
    for (; first < last; first++)
        free(packets[first].bytes);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 128; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int ends[2], before = open_descriptors();
    mp_connection *c;
    DEMAND(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    raw = ends[1];
    DEMAND(mp_connection_create(&c, ends[0], NULL) == 0);
    first = last = 0;
    while (in.left > 0)
        one_call(c, &in);
    drain(c);
    mp_connection_free(c);
    DEMAND(open_descriptors() == before);
    return 0;
}
