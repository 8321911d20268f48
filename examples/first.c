/* SPDX-License-Identifier: MIT */
#include <mproc.h>
#include <stdio.h>

static int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

int main(void)
{
    long in[100], out[100];
    for (int i = 0; i < 100; i++)
        in[i] = i;

    mp_pool *pool;
    int rc = mp_pool_new(&pool, .processes = 4);
    if (rc == 0)
        rc = MP_MAP(pool, square, in, out, 100);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", mp_errname(rc), mp_strerror(rc));
    else
        printf("%ld\n", out[99]);
    mp_pool_free(pool);
    return rc < 0;
}
