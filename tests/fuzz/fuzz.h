/* SPDX-License-Identifier: MIT */
/* What the fuzzers share: an input that is read piece by piece and then yields zeroes, and what is
 * demanded of the library, whose violation libFuzzer reports as a crash with its input. */
#ifndef MPROC_TESTS_FUZZ_H
#define MPROC_TESTS_FUZZ_H

#include <mproc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An announced length that nobody has memory for is an error code, as without sanitizers. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

typedef struct input {
    const uint8_t *data;
    size_t left;
} input;

static inline uint8_t next_byte(input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

static inline uint64_t next_number(input *in, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | next_byte(in);
    return value;
}

/* Up to `most` bytes of the input itself. */
static inline const uint8_t *next_bytes(input *in, size_t most, size_t *count)
{
    const uint8_t *bytes = in->data;
    *count = most < in->left ? most : in->left;
    in->data += *count;
    in->left -= *count;
    return bytes;
}

/* How a message is asked for. */
enum wish { WISH_BYTES, WISH_MEMORY, WISH_SIZE, WISH_DESCRIPTOR };

/* Asks for the next message at once. The bytes, if any, are at *data, to be freed. The place is
 * just as large as was said, so that the sanitizer sees what is written behind it. */
static inline ssize_t ask(mp_connection *c, enum wish wish, size_t capacity, void **data)
{
    size_t length = 12345;
    ssize_t rc;
    *data = NULL;
    switch (wish) {
    case WISH_BYTES:
        *data = capacity > 0 ? malloc(capacity) : NULL;
        return mp_connection_recv(c, *data, capacity, 0);
    case WISH_MEMORY:
        rc = mp_connection_recv_alloc(c, data, &length, 0);
        DEMAND((*data != NULL) == (rc == 0) && (rc == 0 || length == 0));
        return rc == 0 ? (ssize_t)length : rc;
    case WISH_SIZE:
        return mp_connection_next_size(c, 0);
    default:
        return mp_connection_recv_fd(c, 0);
    }
}

#endif
