/* SPDX-License-Identifier: MIT */
/*
 * What it costs that sleepers look again every 100 ms: the processor time, and how often it woke
 * up, of a process that waits in vain.
 *
 *   make bench && build/tests/bench/idle_cost [SECONDS]
 */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static double processor(const struct rusage *r)
{
    return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
           (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
}

typedef struct subject {
    mp_queue *queue;
    mp_lock *lock;
    mp_barrier *barrier;
    mp_connection *connection;
} subject;

static int wait_queue(subject *s, double seconds)
{
    char byte;
    return (int)mp_queue_get(s->queue, &byte, 1, seconds);
}

static int wait_lock(subject *s, double seconds)
{
    return mp_lock_acquire(s->lock, seconds);
}

static int wait_barrier(subject *s, double seconds)
{
    return mp_barrier_wait(s->barrier, seconds);
}

static int wait_connection(subject *s, double seconds)
{
    char byte;
    return (int)mp_connection_recv(s->connection, &byte, 1, seconds);
}

static const struct {
    const char *name;
    int (*wait)(subject *s, double seconds);
} kinds[] = {{"queue", wait_queue},
             {"lock", wait_lock},
             {"barrier", wait_barrier},
             {"connection", wait_connection}};

typedef struct order {
    subject s;
    size_t kind;
    double seconds;
} order;

static int measure(void *arg)
{
    order *o = arg;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    int rc = kinds[o->kind].wait(&o->s, o->seconds);
    getrusage(RUSAGE_SELF, &after);
    printf("%-10s %s after %g s: %.2f ms of processor time a second, woke %.1f times a second\n",
           kinds[o->kind].name, mp_errname(rc), o->seconds,
           1e3 * (processor(&after) - processor(&before)) / o->seconds,
           (double)(after.ru_nvcsw - before.ru_nvcsw) / o->seconds);
    return 0;
}

int main(int argc, char **argv)
{
    order o = {.seconds = argc > 1 ? atof(argv[1]) : 10};
    mp_connection *other;
    if (mp_queue_new(&o.s.queue) < 0 || mp_lock_new(&o.s.lock) < 0 ||
        mp_barrier_new(&o.s.barrier, 2) < 0 || mp_pipe(&o.s.connection, &other, false) < 0 ||
        mp_lock_acquire(o.s.lock, MP_NO_WAIT) < 0)
        return 1;
    for (o.kind = 0; o.kind < sizeof kinds / sizeof *kinds; o.kind++) {
        mp_process *p;
        if (mp_process_new(&p, .target = measure, .arg = &o, .arg_size = sizeof o) < 0 ||
            mp_process_start(p) < 0 || mp_process_join(p, MP_FOREVER) < 0)
            return 1;
        mp_process_free(p);
    }
    mp_lock_free(o.s.lock);
    mp_barrier_free(o.s.barrier);
    mp_queue_free(o.s.queue);
    mp_connection_free(o.s.connection);
    mp_connection_free(other);
    return 0;
}
