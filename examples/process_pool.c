/* SPDX-License-Identifier: MIT */
/* A pool of four workers maps a function over a hundred numbers. */
#include "support.h"

enum { COUNT = 100 };

static int function_square(const void *in, void *out, void *context)
{
    const int *data = in;
    int *result = out;

    (void)context;
    *result = *data * *data;
    return 0;
}

int main(void)
{
    int inputs[COUNT], outputs[COUNT];
    mp_pool *pool;

    for (int i = 0; i < COUNT; i++)
        inputs[i] = i;
    CHECK(mp_pool_new(&pool, .processes = 4));
    CHECK(MP_MAP(pool, function_square, inputs, outputs, COUNT));
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);

    for (int i = 0; i < COUNT; i++)
        printf("%s%d", i == 0 ? "Pool    : [" : ", ", outputs[i]);
    printf("]\n");
    return 0;
}
