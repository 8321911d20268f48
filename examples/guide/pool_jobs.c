/* SPDX-License-Identifier: MIT */
/* Workers with a table of their own; one is killed, and its item runs again. */
#include <mproc.h>
#include <signal.h>
#include <stdatomic.h>
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

/* Once in each worker, also in one that replaces another. */
static int make_table(void *arg)
{
    long *table = malloc(COUNT * sizeof *table);
    (void)arg;
    for (long i = 0; table != NULL && i < COUNT; i++)
        table[i] = 10 * i;
    mp_worker_set_data(table);
    return table != NULL ? 0 : mp_task_fail(-1, "no memory");
}

static void free_table(void *arg)
{
    (void)arg;
    free(mp_worker_data());
}

static int look_up(const void *in, void *out, void *context)
{
    const long *table = mp_worker_data();
    atomic_int *tries = context;
    int i = *(const int *)in;
    if (i == 3 && ++*tries == 1)
        return raise(SIGKILL);
    *(long *)out = table[i];
    return 0;
}

int main(void)
{
    int in[COUNT];
    long out[COUNT];
    atomic_int *tries = MP_VALUE(atomic_int, 0);
    must(mp_shared_error());
    mp_job job = {.size = sizeof job,
                  .task = look_up,
                  .context = tries,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = COUNT,
                  .retries = 1};
    mp_pool *pool;
    for (int i = 0; i < COUNT; i++)
        in[i] = i;
    must(mp_pool_new(&pool, .processes = 2, .initializer = make_table,
                     .finalizer = free_table));
    must(mp_pool_run(pool, &job, MP_FOREVER));
    for (int i = 0; i < COUNT; i++)
        printf("%ld%c", out[i], i < COUNT - 1 ? ' ' : '\n');
    printf("item 3 was tried %d times\n", *tries);
    must(mp_pool_close(pool));
    must(mp_pool_join(pool, MP_FOREVER)); /* the finalizers have run */
    mp_pool_free(pool);
    mp_shared_free(tries);
    return 0;
}
