/* SPDX-License-Identifier: MIT */
/* A deadline, a cancel, a callback, a job after another. */
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

enum { COUNT = 5 };
static int square(const void *in, void *out, void *context)
{
    long x = *(const long *)in;
    (void)context;
    *(long *)out = x * x;
    return 0;
}

static mp_event *go;

static int square_later(const void *in, void *out, void *context)
{
    int rc = mp_event_wait(go, 60);
    return rc < 0 ? rc : square(in, out, context);
}

static void tell(mp_result *r, void *arg)
{
    long *value = arg;
    must(mp_result_get(r, value, sizeof *value, MP_NO_WAIT));
    printf("callback: %ld\n", *value);
}

int main(void)
{
    mp_result *r[COUNT], *chained;
    mp_job more = {
        .size = sizeof more, .task = square, .out_size = sizeof(long)};
    mp_pool *pool;
    long x, y;
    must(mp_event_new(&go)); /* workers know what existed before them */
    must(mp_pool_new(&pool, .processes = 1));
    for (int i = 0; i < COUNT; i++) {
        x = i + 2;
        must(mp_pool_apply_async(pool, &r[i], square_later, &x, sizeof x,
                                 sizeof x));
    }
    must(mp_result_add_done_callback(r[1], tell, &y));
    must(mp_result_then(r[0], &chained, &more)); /* its input: that output */
    if (mp_result_get(r[0], &x, sizeof x, 0.05) == MP_ETIMEDOUT)
        printf("not ready yet\n");
    if (mp_result_cancel(r[4]) == 0)
        printf("the last one is canceled\n");

    must(mp_event_set(go));
    printf("done: %ld of %d\n",
           must(mp_results_wait(r, COUNT, MP_ALL, MP_FOREVER)), COUNT);
    must(mp_result_get(chained, &x, sizeof x, MP_FOREVER));
    printf("the square of the first square: %ld\n", x);

    mp_result_free(chained);
    for (int i = 0; i < COUNT; i++)
        mp_result_free(r[i]);
    mp_pool_free(pool);
    mp_event_free(go);
    return 0;
}
