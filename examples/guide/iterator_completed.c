/* SPDX-License-Identifier: MIT */
/* Three pieces of work, whose results are taken as they come. */
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

enum { COUNT = 3 };

static mp_event *go[COUNT];

/* It takes as long as main likes. */
static int run(const void *in, void *out, void *context)
{
    int i = *(const int *)in;

    (void)context;
    *(int *)out = 100 + i;
    return mp_event_wait(go[i], 60);
}

int main(void)
{
    static const int order[COUNT] = {2, 0, 1};
    mp_result *r[COUNT];
    mp_iterator *it;
    mp_pool *pool;
    size_t index;
    int out;

    for (int i = 0; i < COUNT; i++)
        must(mp_event_new(&go[i]));
    must(mp_pool_new(&pool, .processes = COUNT));
    for (int i = 0; i < COUNT; i++)
        must(mp_pool_apply_async(pool, &r[i], run, &i, sizeof i, sizeof out));

    must(mp_as_completed(&it, r, COUNT));
    if (mp_iterator_next(it, &out, &index, 0.05) == MP_ETIMEDOUT)
        printf("nothing yet\n");
    for (int i = 0; i < COUNT; i++) {
        must(mp_event_set(go[order[i]]));
        must(mp_iterator_next(it, &out, &index, MP_FOREVER));
        printf("r[%zu]: %d\n", index, out);
    }
    if (mp_iterator_next(it, &out, &index, MP_FOREVER) == MP_EEOF)
        printf("no more\n");

    mp_iterator_free(it); /* the results stay */
    for (int i = 0; i < COUNT; i++)
        mp_result_free(r[i]);
    mp_pool_free(pool);
    for (int i = 0; i < COUNT; i++)
        mp_event_free(go[i]);
    return 0;
}
