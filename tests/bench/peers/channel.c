/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <time.h>

unsigned char *bench_bytes;

unsigned char *bench_buffer(bench_party *p, size_t length)
{
    unsigned char *bytes = aligned_alloc(4096, (length + 4095) / 4096 * 4096);
    BENCH_CHECK(p, bytes != NULL);
    memset(bytes, BENCH_DATA, length);
    return bytes;
}

void bench_meet(_Atomic int *counter, int all)
{
    atomic_fetch_add(counter, 1);
    while (atomic_load(counter) < all)
        nanosleep(&(struct timespec){0, 100000}, NULL);
}
