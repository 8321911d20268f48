/* SPDX-License-Identifier: MIT */
/* A bar on a terminal, else a line for each quarter. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static int work(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    mp_wait(NULL, 0, *(const int *)in / 1000.0);
    return 0;
}

/* Called in the thread that waits, some times a second, and once when all is done. */
static void quarters(size_t done, size_t total, void *arg)
{
    for (int *told = arg; (size_t)*told < 4 * done / total; ++*told)
        printf("%d %%\n", 25 * (*told + 1));
}

int main(void)
{
    int items[200], told = 0;
    for (int i = 0; i < 200; i++)
        items[i] = 1 + i % 5; /* milliseconds */
    mp_pool *pool;
    must(mp_pool_new(&pool, .processes = 4));
    mp_job job = {.size = sizeof job,
                  .task = work,
                  .in = items,
                  .in_size = sizeof *items,
                  .count = 200,
                  .progress = isatty(STDERR_FILENO) ? MP_PROGRESS_BAR : quarters,
                  .progress_arg = &told};
    must(mp_pool_run(pool, &job, MP_FOREVER));
    printf("done\n");
    must(mp_pool_close(pool));
    must(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    return 0;
}
