/* SPDX-License-Identifier: MIT */
/* A program that knows only the installed library: a process, a queue and a pool. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, mp_strerror(rc));
    exit(1);
}

static int put_answer(void *queue)
{
    return MP_PUT((mp_queue *)queue, 42L, MP_FOREVER) < 0;
}

static int square(const void *in, void *out, void *context)
{
    (void)context;
    int value = *(const int *)in;
    *(int *)out = value * value;
    return 0;
}

int main(void)
{
    if (mp_version() != MP_VERSION)
        return 1;
    mp_queue *queue;
    mp_process *process;
    long answer = 0;
    must(mp_queue_new(&queue), "queue");
    must(mp_process_new(&process, .target = put_answer, .arg = queue), "process");
    must(mp_process_start(process), "start");
    must(MP_GET(queue, &answer, MP_FOREVER), "get");
    must(mp_process_join(process, MP_FOREVER), "join");
    int exitcode = mp_process_exitcode(process);
    must(mp_process_free(process), "free");
    mp_queue_free(queue);

    mp_pool *pool;
    int in[] = {1, 2, 3};
    int out[3];
    must(mp_pool_new(&pool, .processes = 2), "pool");
    must(MP_MAP(pool, square, in, out, 3), "map");
    must(mp_pool_close(pool), "close");
    must(mp_pool_join(pool, MP_FOREVER), "join");
    mp_pool_free(pool);
    printf("C %ld %d %d %d %d\n", answer, exitcode, out[0], out[1], out[2]);
    return 0;
}
