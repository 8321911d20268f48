/* SPDX-License-Identifier: MIT */
/* A text, a failure, a crash, an endless item, a patient one. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

enum { COUNT = 5 };

static int task(const void *in, void *out, void *context)
{
    const char *text = "any text";

    (void)in, (void)out, (void)context;
    if (mp_task_index() == 1)
        return mp_task_fail(-7, "no page %d", 404);
    if (mp_task_index() == 2)
        return raise(SIGSEGV);
    while (mp_task_index() == 3)
        mp_wait(NULL, 0, 1);
    while (mp_task_index() == 4 && !mp_task_overdue()) /* the soft limit */
        text = "as much as there was time for";
    return mp_task_return(text, strlen(text));
}

int main(void)
{
    mp_task_error errors[COUNT] = {0};
    mp_pool *pool;
    mp_result *r;
    mp_job job = {.size = sizeof job,
                  .task = task,
                  .count = COUNT,
                  .chunksize = 1,
                  .errors = errors,
                  .time_limit = 1,
                  .soft_limit = 0.1};

    must(mp_pool_new(&pool, .processes = 2));
    must(mp_pool_submit(pool, &r, &job));
    must(mp_result_wait(r, MP_FOREVER)); /* until all is decided */
    for (size_t i = 0; i < COUNT; i++) {
        const void *text;
        size_t length;
        int rc = mp_result_data(r, i, &text, &length);
        if (rc == 0)
            printf("%zu: %.*s\n", i, (int)length, (const char *)text);
        else if (rc == MP_ETASK)
            printf("%zu failed: %s\n", i, errors[i].text);
        else if (rc == MP_ECRASHED)
            printf("%zu crashed: signal %d\n", i, errors[i].signal);
        else if (rc == MP_ETASKTIMEOUT)
            printf("%zu was killed: it took too long\n", i);
        else
            must(rc);
    }
    mp_result_free(r);
    mp_pool_free(pool);
    return 0;
}
