/* SPDX-License-Identifier: MIT */
/*
 * How soon others learn of a death: a process has what another one waits for, and gets SIGKILL;
 * from just before that until the other's call returns. Peers are what the kernel and the C library
 * do about it: waitpid(), a pipe that hangs up, a robust mutex.
 *
 * Who waits sleeps by then: the one that kills has let 3 ms pass.
 */
#include "support/bench.h"

#include <errno.h>
#include <mproc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct things {
    _Atomic bool has;      /* what the other waits for */
    _Atomic int64_t began; /* just before the kill */
    mp_lock *lock;
    mp_semaphore *owned;
    mp_barrier *barrier;
    mp_queue *queue;
    mp_connection *here, *there;
    int ends[2];
    pid_t child;
    pthread_mutex_t mutex;
} things;

/* What is measured: how it is made, how the dying one has it, and how the other waits. */
typedef struct scene {
    void (*make)(bench_party *p, things *t);
    void (*have)(bench_party *p, things *t);
    void (*wait)(bench_party *p, things *t);
    void (*unmake)(things *t);
} scene;

static void nap(long us)
{
    nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

static void play(bench_party *p, const scene *s)
{
    things *t = p->shared;
    atomic_store(&t->has, false);
    if (s->make != NULL)
        s->make(p, t);
    pid_t child = fork();
    if (child == 0) {
        s->have(p, t);
        atomic_store(&t->has, true);
        for (;;)
            pause();
    }
    t->child = child;
    while (!atomic_load(&t->has))
        nap(100);
    pid_t killer = fork();
    if (killer == 0) {
        nap(3000);
        atomic_store(&t->began, bench_now());
        kill(child, SIGKILL);
        _exit(0);
    }
    s->wait(p, t);
    bench_sample(p, bench_now() - atomic_load(&t->began));
    waitpid(killer, NULL, 0);
    waitpid(child, NULL, 0);
    if (s->unmake != NULL)
        s->unmake(t);
}

/* ---- ours */

static void make_lock(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_lock_new(&t->lock));
}

static void have_lock(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_lock_acquire(t->lock, 0));
}

static void wait_lock(bench_party *p, things *t)
{
    BENCH_CHECK(p, mp_lock_acquire(t->lock, 10) == MP_OWNERDEAD);
}

static void unmake_lock(things *t)
{
    mp_lock_release(t->lock);
    mp_lock_free(t->lock);
}

static void make_owned(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_semaphore_new(&t->owned, 1, .owned = MP_YES));
}

static void have_owned(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_semaphore_acquire(t->owned, 0));
}

static void wait_owned(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_semaphore_acquire(t->owned, 10));
}

static void unmake_owned(things *t)
{
    mp_semaphore_release(t->owned, 1);
    mp_semaphore_free(t->owned);
}

static void make_barrier(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_barrier_new(&t->barrier, 3));
}

static void have_barrier(bench_party *p, things *t)
{
    atomic_store(&t->has, true);
    BENCH_OURS(p, mp_barrier_wait(t->barrier, 10));
}

static void wait_barrier(bench_party *p, things *t)
{
    BENCH_CHECK(p, mp_barrier_wait(t->barrier, 10) == MP_EBROKEN);
}

static void unmake_barrier(things *t)
{
    mp_barrier_free(t->barrier);
}

static void make_queue(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_queue_new(&t->queue, .on_death = MP_REDELIVER));
    BENCH_OURS(p, MP_PUT(t->queue, 1, 0));
}

static void have_message(bench_party *p, things *t)
{
    int one;
    BENCH_OURS(p, MP_GET(t->queue, &one, 0));
}

static void wait_message(bench_party *p, things *t)
{
    int one;
    BENCH_OURS(p, MP_GET(t->queue, &one, 10));
}

static void wait_join(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_queue_join(t->queue, 10));
}

static void make_losing(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_queue_new(&t->queue));
    BENCH_OURS(p, MP_PUT(t->queue, 1, 0));
}

static void unmake_queue(things *t)
{
    mp_queue_free(t->queue);
}

static void make_connection(bench_party *p, things *t)
{
    BENCH_OURS(p, mp_pipe(&t->here, &t->there, true));
}

static void have_connection(bench_party *p, things *t)
{
    (void)p;
    mp_connection_free(t->here);
}

static void wait_connection(bench_party *p, things *t)
{
    char byte;
    mp_connection_free(t->there);
    BENCH_CHECK(p, mp_connection_recv(t->here, &byte, 1, 10) == MP_EEOF);
}

static void unmake_connection(things *t)
{
    mp_connection_free(t->here);
}

/* ---- peers */

static void have_nothing(bench_party *p, things *t)
{
    (void)p, (void)t;
}

static void wait_child(bench_party *p, things *t)
{
    BENCH_CHECK(p, waitpid(t->child, NULL, 0) == t->child);
}

static void make_pipe(bench_party *p, things *t)
{
    BENCH_CHECK(p, pipe(t->ends) == 0);
}

static void wait_pipe(bench_party *p, things *t)
{
    close(t->ends[1]);
    BENCH_CHECK(p, poll(&(struct pollfd){t->ends[0], POLLIN, 0}, 1, 10000) == 1);
    close(t->ends[0]);
}

static void make_mutex(bench_party *p, things *t)
{
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    BENCH_CHECK(p, pthread_mutex_init(&t->mutex, &how) == 0);
}

static void have_mutex(bench_party *p, things *t)
{
    BENCH_CHECK(p, pthread_mutex_lock(&t->mutex) == 0);
}

static void wait_mutex(bench_party *p, things *t)
{
    BENCH_CHECK(p, pthread_mutex_lock(&t->mutex) == EOWNERDEAD);
}

static void unmake_mutex(things *t)
{
    pthread_mutex_consistent(&t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

#define SCENE(name, ...)                                                                           \
    static void party_##name(bench_party *p)                                                       \
    {                                                                                              \
        static const scene s = {__VA_ARGS__};                                                      \
        while (bench_go_on(p, 0))                                                                  \
            play(p, &s);                                                                           \
        bench_report_samples(p, 1);                                                                \
    }
SCENE(lock, make_lock, have_lock, wait_lock, unmake_lock)
SCENE(owned, make_owned, have_owned, wait_owned, unmake_owned)
SCENE(barrier, make_barrier, have_barrier, wait_barrier, unmake_barrier)
SCENE(redelivered, make_queue, have_message, wait_message, unmake_queue)
SCENE(joined, make_losing, have_message, wait_join, unmake_queue)
SCENE(connection, make_connection, have_connection, wait_connection, unmake_connection)
SCENE(waitpid, NULL, have_nothing, wait_child, NULL)
SCENE(pipe, make_pipe, have_nothing, wait_pipe, NULL)
SCENE(mutex, make_mutex, have_mutex, wait_mutex, unmake_mutex)

static const bench_contender contenders[] = {
    {.name = "ours", .party = party_lock}, /* a lock */
    {.name = "ours-semaphore", .party = party_owned},
    {.name = "ours-barrier", .party = party_barrier},
    {.name = "ours-connection", .party = party_connection},
    {.name = "ours-redelivered", .party = party_redelivered},
    {.name = "ours-queue-join", .party = party_joined},
    {.name = "waitpid", .party = party_waitpid},
    {.name = "pipe", .party = party_pipe},
    {.name = "pthread-robust", .party = party_mutex},
    {0},
};

static const bench_metric metrics[] = {{
    .name = "noticed",
    .contenders = contenders,
    .parties = 1,
    .placements = BENCH_FREE,
    .unit = BENCH_US,
    .seconds = 0.3,
}};

int main(void)
{
    return bench_main("death", metrics, sizeof metrics / sizeof *metrics);
}
