/* SPDX-License-Identifier: MIT */
/* A library that is linked with ours, for programs that know nothing of it. */
#include <mproc.h>

int plugin_sum_of_squares(int count);

static int square(const void *in, void *out, void *context)
{
    (void)context;
    int value = *(const int *)in;
    *(int *)out = value * value;
    return 0;
}

int plugin_sum_of_squares(int count)
{
    int in[100], out[100], sum = 0;
    if (count > 100)
        return -1;
    for (int i = 0; i < count; i++)
        in[i] = i;
    mp_pool *pool;
    if (mp_pool_new(&pool, .processes = 2) < 0)
        return -1;
    int rc = MP_MAP(pool, square, in, out, (size_t)count);
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    mp_pool_free(pool);
    for (int i = 0; i < count; i++)
        sum += out[i];
    return rc < 0 ? -1 : sum;
}
