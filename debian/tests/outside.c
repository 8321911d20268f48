/* SPDX-License-Identifier: MIT */
/* A program that knows only the package: a child answers through a queue, a pool squares. */
#include <mproc.h>
#include <stdio.h>

static int answer(void *queue)
{
    return MP_PUT((mp_queue *)queue, 42, MP_FOREVER) < 0;
}

static int square(const void *in, void *out, void *context)
{
    (void)context;
    *(int *)out = *(const int *)in * *(const int *)in;
    return 0;
}

int main(void)
{
    mp_queue *queue;
    mp_process *process;
    mp_pool *pool;
    int got = 0, in[] = {1, 2, 3}, out[3] = {0};
    if (mp_version() != MP_VERSION || mp_queue_new(&queue) < 0)
        return 1;
    if (mp_process_new(&process, .target = answer, .arg = queue) < 0 || mp_process_start(process) < 0)
        return 2;
    if (MP_GET(queue, &got, 60) < 0 || mp_process_join(process, 60) < 0)
        return 3;
    if (mp_pool_new(&pool, .processes = 2) < 0 || MP_MAP(pool, square, in, out, 3) < 0)
        return 4;
    mp_pool_free(pool);
    mp_process_free(process);
    mp_queue_free(queue);
    printf("%d %d %d %d\n", got, out[0], out[1], out[2]);
    return 0;
}
