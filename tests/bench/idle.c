/* SPDX-License-Identifier: MIT */
/*
 * What waiting costs: the processor time of a process that waits in vain, and how often it fell
 * asleep, a second; for most of it is how often it looks again meanwhile.
 */
#include "support/bench.h"

#include <mproc.h>
#include <sys/resource.h>
#include <time.h>

typedef struct things {
    mp_queue *queue, *full;
    mp_lock *lock;
    mp_rlock *rlock;
    mp_semaphore *semaphore;
    mp_semaphore *owned;
    mp_event *event;
    mp_condition *condition;
    mp_barrier *barrier;
    mp_connection *connection;
} things;

static void make(bench_party *p)
{
    things *t = p->shared;
    mp_connection *other; /* stays open */
    BENCH_OURS(p, mp_queue_new(&t->queue));
    BENCH_OURS(p, mp_queue_new(&t->full, .maxsize = 1));
    BENCH_OURS(p, mp_queue_put(t->full, "", 0, MP_NO_WAIT));
    BENCH_OURS(p, mp_lock_new(&t->lock));
    BENCH_OURS(p, mp_rlock_new(&t->rlock));
    BENCH_OURS(p, mp_semaphore_new(&t->semaphore, 0));
    BENCH_OURS(p, mp_semaphore_new(&t->owned, 1, .owned = MP_YES));
    BENCH_OURS(p, mp_event_new(&t->event));
    BENCH_OURS(p, mp_condition_new(&t->condition));
    BENCH_OURS(p, mp_barrier_new(&t->barrier, 2));
    BENCH_OURS(p, mp_pipe(&t->connection, &other, false));
    /* The host holds them. */
    BENCH_OURS(p, mp_lock_acquire(t->lock, MP_NO_WAIT));
    BENCH_OURS(p, mp_rlock_acquire(t->rlock, MP_NO_WAIT));
    BENCH_OURS(p, mp_semaphore_acquire(t->owned, MP_NO_WAIT));
}

static int wait_queue(things *t, double seconds)
{
    char byte;
    return (int)mp_queue_get(t->queue, &byte, 1, seconds);
}

static int wait_full(things *t, double seconds)
{
    return mp_queue_put(t->full, "", 0, seconds);
}

static int wait_lock(things *t, double seconds)
{
    return mp_lock_acquire(t->lock, seconds);
}

static int wait_rlock(things *t, double seconds)
{
    return mp_rlock_acquire(t->rlock, seconds);
}

static int wait_semaphore(things *t, double seconds)
{
    return mp_semaphore_acquire(t->semaphore, seconds);
}

static int wait_owned(things *t, double seconds)
{
    return mp_semaphore_acquire(t->owned, seconds);
}

static int wait_event(things *t, double seconds)
{
    return mp_event_wait(t->event, seconds);
}

static int wait_condition(things *t, double seconds)
{
    int rc = mp_condition_acquire(t->condition, seconds);
    return rc < 0 ? rc : mp_condition_wait(t->condition, seconds);
}

static int wait_barrier(things *t, double seconds)
{
    return mp_barrier_wait(t->barrier, seconds);
}

static int wait_connection(things *t, double seconds)
{
    char byte;
    return (int)mp_connection_recv(t->connection, &byte, 1, seconds);
}

static int wait_several(things *t, double seconds)
{
    mp_waitable items[] = {{.kind = MP_WAIT_CONNECTION, .object = t->connection},
                           {.kind = MP_WAIT_QUEUE, .object = t->queue},
                           {.kind = MP_WAIT_EVENT, .object = t->event}};
    int found = mp_wait(items, 3, seconds);
    return found == 0 ? MP_ETIMEDOUT : found;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double sleeps(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_nvcsw;
}

enum { PROCESSOR_MS, SLEEPS }; /* the metric's argument */

static void measure(bench_party *p, int (*wait)(things *t, double seconds))
{
    double time = processor_seconds(), times = sleeps();
    int rc = wait(p->shared, p->seconds);
    if (rc >= 0)
        bench_fail(p, "there was something to get");
    if (rc != MP_ETIMEDOUT && rc != MP_EEMPTY && rc != MP_EFULL && rc != MP_EBROKEN)
        bench_fail(p, "%s", mp_errname(rc));
    times = sleeps() - times;
    time = processor_seconds() - time;
    bench_report(p, (p->argument == SLEEPS ? times : time * 1e3) / p->seconds);
}

#define PARTY(what)                                                                                \
    static void party_##what(bench_party *p)                                                       \
    {                                                                                              \
        measure(p, wait_##what);                                                                   \
    }                                                                                              \
    static const bench_contender what##_contenders[] = {                                           \
        {.name = "ours", .prepare = make, .party = party_##what},                                  \
        {0},                                                                                       \
    };
PARTY(queue)
PARTY(full)
PARTY(lock)
PARTY(rlock)
PARTY(semaphore)
PARTY(owned)
PARTY(event)
PARTY(condition)
PARTY(barrier)
PARTY(connection)
PARTY(several)

#define METRIC(text, subject, what, in, most, left_out)                                            \
    {                                                                                              \
        .name = text, .contenders = subject##_contenders, .parties = 1, .placements = BENCH_ALONE, \
        .unit = (in), .argument = (what), .seconds = 1, .runs = 1, .need = {.at_most = (most)},    \
        .thorough = (left_out) ? BENCH_ALONE : 0                                                   \
    }
#define METRICS(subject, text, left_out)                                                           \
    METRIC(text, subject, PROCESSOR_MS, BENCH_MS_PER_S, 0, left_out),                              \
        METRIC(text "-sleeps", subject, SLEEPS, BENCH_PER_S, 0, true)
/* Half a millisecond is more than falling asleep takes; a run may take half a second. */
#define NOTHING(subject, text)                                                                     \
    METRIC(text, subject, PROCESSOR_MS, BENCH_MS_PER_S, 0.5, false),                               \
        METRIC(text "-sleeps", subject, SLEEPS, BENCH_PER_S, 2, false)

static const bench_metric metrics[] = {
    NOTHING(queue, "queue"),
    NOTHING(full, "queue-full"),
    NOTHING(connection, "connection"),
    METRICS(several, "wait-for-several", false),
    METRICS(lock, "lock", false),
    METRICS(rlock, "rlock", true),
    METRICS(semaphore, "semaphore", true),
    METRICS(owned, "semaphore-owned", true),
    METRICS(event, "event", false),
    METRICS(condition, "condition", true),
    METRICS(barrier, "barrier", true),
};

int main(void)
{
    return bench_main("idle", metrics, sizeof metrics / sizeof *metrics);
}
