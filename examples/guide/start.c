/* SPDX-License-Identifier: MIT */
/* Five minutes: a process, a queue, and a pool of which a worker is killed. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* [must] */
/* Ends the program with the reason if a call has failed. */
static void must(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", mp_errname(rc), mp_strerror(rc));
    exit(EXIT_FAILURE);
}
/* [must] */

/* [process] */
static int greet(void *name)
{
    printf("hello from %s\n", (const char *)name);
    return 7;
}

static void a_process(void)
{
    mp_process *child;
    must(mp_process_new(&child, .target = greet, .arg = (void *)"a child"));
    must(mp_process_start(child));
    must(mp_process_join(child, MP_FOREVER));
    printf("it ended with %d\n", mp_process_exitcode(child));
    must(mp_process_free(child));
}
/* [process] */

/* [queue] */
struct reading {
    int sensor;
    double value;
};

static int measure(void *arg)
{
    mp_queue *queue = arg;
    for (int i = 1; i <= 3; i++) {
        struct reading reading = {i, i / 4.0};
        must(MP_PUT(queue, reading, MP_FOREVER));
    }
    must(mp_queue_close(queue)); /* nothing more will come */
    return 0;
}

static void a_queue(void)
{
    mp_queue *queue;
    mp_process *child;
    struct reading reading;
    int rc;
    must(mp_queue_new(&queue));
    must(mp_process_new(&child, .target = measure, .arg = queue));
    must(mp_process_start(child));
    while ((rc = MP_GET(queue, &reading, 10.0)) == 0)
        printf("sensor %d: %.2f\n", reading.sensor, reading.value);
    if (rc != MP_ECLOSED)
        must(rc); /* MP_EEMPTY: nothing came for ten seconds */
    must(mp_process_join(child, MP_FOREVER));
    must(mp_process_free(child));
    mp_queue_free(queue);
}
/* [queue] */

/* [pool] */
static int fragile(const void *in, void *out, void *context)
{
    int n = *(const int *)in;
    (void)context;
    if (n == 4)
        raise(SIGKILL); /* as the kernel does it when memory is out */
    *(int *)out = n * n;
    return 0;
}

static void a_pool(void)
{
    int in[] = {1, 2, 3, 4, 5, 6}, out[6] = {0};
    mp_task_error error;
    mp_pool *pool;
    must(mp_pool_new(&pool, .processes = 2));
    if (MP_MAP(pool, fragile, in, out, 6) == MP_ECRASHED &&
        mp_last_task_error(&error) == 1)
        printf("item %zu: signal %d killed its worker\n", error.index,
               error.signal);
    for (int i = 0; i < 6; i++)
        printf("%d%c", out[i], i < 5 ? ' ' : '\n');
    mp_pool_free(pool);
}
/* [pool] */

int main(void)
{
    a_process();
    a_queue();
    a_pool();
    return 0;
}
