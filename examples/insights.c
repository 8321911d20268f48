/* SPDX-License-Identifier: MIT */
/* What four workers did with their time: a progress bar, a table, and a trace for Perfetto. */
#include "support.h"

#include <signal.h>

enum { COUNT = 60, BAD = 17 };

/* Some pages take longer to fetch than others; one kills its worker, the first time. */
static int fetch(const void *in, void *out, void *context)
{
    int page = *(const int *)in;
    _Atomic int *crashes = context;

    nap(page % 20 == 19 ? 0.3 : 0.02 + 0.01 * (page % 5));
    if (page == BAD && (*crashes)++ == 0)
        raise(SIGKILL);
    *(int *)out = 100 * page;
    return 0;
}

static int connect_first(void *arg)
{
    (void)arg;
    nap(0.1);
    return 0;
}

int main(int argc, char **argv)
{
    int pages[COUNT], sizes[COUNT];
    _Atomic int *crashes = MP_VALUE(_Atomic int, 0);
    mp_job job = {.size = sizeof job,
                  .task = fetch,
                  .context = (void *)crashes,
                  .retries = 1,
                  .in = pages,
                  .in_size = sizeof *pages,
                  .out = sizes,
                  .out_size = sizeof *sizes,
                  .count = COUNT,
                  .chunksize = 1};
    mp_insights seen;
    mp_pool *pool;

    for (int i = 0; i < COUNT; i++)
        pages[i] = i;
    CHECK(mp_pool_new(&pool, .processes = 4, .initializer = connect_first, .insights = MP_YES,
                      .trace = argc > 1 ? argv[1] : NULL, .progress = MP_PROGRESS_BAR));
    CHECK(mp_pool_run(pool, &job, MP_FOREVER));
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_print_insights(pool, stdout);
    CHECK(mp_pool_insights(pool, &seen));
    if (seen.trace == 1)
        printf("\nOpen %s at https://ui.perfetto.dev\n", argv[1]);
    CHECK(seen.trace);
    mp_pool_free(pool);
    mp_shared_free((void *)crashes);
    return 0;
}
