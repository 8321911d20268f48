/* SPDX-License-Identifier: MIT */
/* A limit that is reached, what is in use, and what was forgotten. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

#define MIB ((size_t)1 << 20)
enum { MOST = 16 };

static void show_usage(const char *when)
{
    mp_shared_usage usage = {.size = sizeof usage};

    must(mp_shared_stats(&usage));
    printf("%s: %zu blocks, %zu KiB\n", when, usage.blocks,
           (usage.in_use + 1023) / 1024);
}

int main(void)
{
    mp_arena_options options = {.size = sizeof options, .limit = 8 * MIB};
    void *blocks[MOST] = {NULL};
    int n = 0;

    must(mp_arena_configure(&options)); /* or MPROC_ARENA_LIMIT=8M */
    show_usage("at first");
    while (n < MOST && (blocks[n] = mp_shared_alloc(MIB)) != NULL)
        n++;
    printf("full: %s\n", mp_errname(mp_shared_error()));
    show_usage("full");

    mp_shared_free(blocks[n - 1]);
    blocks[n - 1] = mp_shared_alloc(MIB);
    printf("one less, one more: %s\n", mp_errname(mp_shared_error()));
    while (n > 0)
        mp_shared_free(blocks[--n]);

    long *forgotten = MP_VALUE(long, 5);
    must(mp_shared_error());
    show_usage("at last");
    return *forgotten != 5;
}
