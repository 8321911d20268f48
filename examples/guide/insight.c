/* SPDX-License-Identifier: MIT */
/* Two workers visit pages; what did they do with their time? */
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

enum { COUNT = 50 };

static int visit(const void *in, void *out, void *context)
{
    int page = *(const int *)in;

    (void)out, (void)context;
    mp_wait(NULL, 0, page == 33 ? 0.4 : 0.001); /* one is far away */
    return page % 10 == 9 ? mp_task_fail(-404, "no page %d", page) : 0;
}

int main(int argc, char **argv)
{
    int pages[COUNT];
    mp_task_error errors[COUNT];
    mp_job job = {.size = sizeof job,
                  .task = visit,
                  .in = pages,
                  .in_size = sizeof *pages,
                  .count = COUNT,
                  .errors = errors};
    mp_insights seen;
    mp_pool *pool;

    for (int i = 0; i < COUNT; i++)
        pages[i] = i;
    /* The trace is a timeline for Perfetto; the bar appears on a terminal. */
    must(mp_pool_new(&pool, .processes = 2, .insights = MP_YES,
                     .trace = argc > 1 ? argv[1] : NULL,
                     .progress = MP_PROGRESS_BAR));
    if (mp_pool_run(pool, &job, MP_FOREVER) != MP_ETASK) /* some fail */
        return EXIT_FAILURE;
    must(mp_pool_insights(pool, &seen));
    printf("%d items, %d failed\n", (int)seen.total.items,
           (int)seen.total.failed);
    printf("slowest: item %zu\n", seen.slowest[0].index);
    printf("at least 0.4 seconds: %d\n", seen.slowest[0].seconds >= 0.4);
    printf("busy for 0.449 at least: %d\n", seen.total.busy >= 0.449);
    if (argc > 1)
        mp_pool_print_insights(pool, stdout); /* all of it, as a table */
    must(mp_pool_close(pool));
    must(mp_pool_join(pool, MP_FOREVER)); /* the trace is written */
    mp_pool_free(pool);
    return 0;
}
