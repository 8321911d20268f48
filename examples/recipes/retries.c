/* SPDX-License-Identifier: MIT */
/* Eight downloads: one kills its worker the first time, one every time, one never ends. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static int download(const void *in, void *out, void *context)
{
    int page = *(const int *)in;
    _Atomic int *tries = context; /* one for each page, in shared memory */
    int nth = ++tries[page];
    if (page == 5 || (page == 2 && nth == 1))
        raise(SIGKILL);
    if (page == 6)
        mp_wait(NULL, 0, 3600);
    if (page == 7)
        return mp_task_fail(-404, "page %d: not found", page);
    *(int *)out = 100 * page;
    return 0;
}

int main(void)
{
    int pages[8] = {0, 1, 2, 3, 4, 5, 6, 7}, sizes[8] = {0};
    mp_task_error errors[8] = {0};
    mp_pool *pool;
    _Atomic int *tries = MP_ARRAY(_Atomic int, 8);
    must(mp_shared_error());
    must(mp_pool_new(&pool, .processes = 2, .task_timeout = 1));

    mp_job job = {.size = sizeof job,
                  .task = download,
                  .context = (void *)tries,
                  .in = pages,
                  .in_size = sizeof *pages,
                  .out = sizes,
                  .out_size = sizeof *sizes,
                  .count = 8,
                  .retries = 2,
                  .errors = errors};
    int rc = mp_pool_run(pool, &job, MP_FOREVER); /* the code of the lowest item that failed */
    for (int i = 0; i < 8; i++)
        if (errors[i].code == 0)
            printf("page %d: %d bytes, try %d\n", i, sizes[i], tries[i]);
        else
            printf("page %d: %s: %s, try %d\n", i, mp_errname(errors[i].code), errors[i].text,
                   tries[i]);
    mp_pool_free(pool);
    return rc == MP_ECRASHED ? 0 : 1;
}
