/* SPDX-License-Identifier: MIT */
/* Maps a function; then one that kills the worker of an item. */
#include <mproc.h>
#include <signal.h>
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

enum { COUNT = 8 };

static int square(const void *in, void *out, void *context)
{
    long x = *(const long *)in;

    (void)context;
    *(long *)out = x * x;
    return 0;
}

static int fragile_square(const void *in, void *out, void *context)
{
    if (*(const long *)in == 5)
        raise(SIGKILL); /* as the kernel does it when memory is out */
    return square(in, out, context);
}

static void print(const char *what, const long *values)
{
    printf("%s:", what);
    for (int i = 0; i < COUNT; i++)
        printf(" %ld", values[i]);
    printf("\n");
}

int main(void)
{
    long in[COUNT], out[COUNT], some[COUNT] = {0};
    mp_task_error error;
    mp_pool *pool;

    for (int i = 0; i < COUNT; i++)
        in[i] = i;
    must(mp_pool_new(&pool, .processes = 4));
    must(MP_MAP(pool, square, in, out, COUNT));
    print("squares", out);

    if (MP_MAP(pool, fragile_square, in, some, COUNT) == MP_ECRASHED &&
        must(mp_last_task_error(&error)) == 1)
        printf("item %zu: its worker has died\n", error.index);
    print("the others", some);

    must(MP_MAP(pool, square, in, out, COUNT)); /* four workers, as before */
    print("squares", out);
    must(mp_pool_close(pool));
    must(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    return 0;
}
