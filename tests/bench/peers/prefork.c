/* SPDX-License-Identifier: MIT */
/* Processes by hand: what a program does that has no pool. A worker ends when its parent does. */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MOST 8

/* fork(), and 0 in a child that ends with the parent. */
static int fork_worker(void)
{
    int self = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != self)
            _exit(1);
    }
    return pid;
}

static bool ended_well(int pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- A fork for each map */

static void run_part(const bench_map *m, size_t part)
{
    size_t end = m->count * (part + 1) / BENCH_WORKERS;
    for (size_t i = m->count * part / BENCH_WORKERS; i < end; i++)
        m->task(m->in + i, m->out + i, NULL);
}

bool bench_fork_per_map(const bench_map *map)
{
    int pids[BENCH_WORKERS];
    for (size_t i = 0; i < BENCH_WORKERS; i++)
        if ((pids[i] = fork_worker()) == 0) {
            run_part(map, i);
            _exit(0);
        }
    bool well = true;
    for (size_t i = 0; i < BENCH_WORKERS; i++)
        well = pids[i] > 0 && ended_well(pids[i]) && well;
    return well;
}

/* ---- A worker at a socket */

typedef struct message {
    uint64_t number;
    long value;
} message;

static bool read_all(int fd, void *to, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = read(fd, (char *)to + done, length - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* So short a message is not torn. */
static bool write_all(int fd, const void *from, size_t length)
{
    return write(fd, from, length) == (ssize_t)length;
}

static _Noreturn void serve(int in, int out, bench_task task)
{
    message m;
    while (read_all(in, &m, sizeof m)) {
        task(&m.value, &m.value, NULL);
        if (!write_all(out, &m, sizeof m))
            _exit(1);
    }
    _exit(0);
}

bool bench_socket_start(bench_socket_worker *worker, bench_task task)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    worker->pid = fork_worker();
    if (worker->pid == 0) {
        close(ends[0]);
        serve(ends[1], ends[1], task);
    }
    close(ends[1]);
    worker->socket = ends[0];
    return worker->pid > 0;
}

bool bench_socket_apply(const bench_socket_worker *worker, long in, long *out)
{
    message m = {1, in};
    if (!write_all(worker->socket, &m, sizeof m) || !read_all(worker->socket, &m, sizeof m))
        return false;
    *out = m.value;
    return true;
}

bool bench_socket_stop(const bench_socket_worker *worker)
{
    close(worker->socket);
    return ended_well(worker->pid);
}

/* ---- Workers with a pipe each */

typedef struct crew {
    int tasks[WORKERS_MOST], pids[WORKERS_MOST];
    int results[2];
    int workers;
} crew;

static bool add_worker(crew *c, bench_task task)
{
    int ends[2];
    if (pipe(ends) < 0)
        return false;
    int pid = fork_worker();
    if (pid == 0) {
        for (int i = 0; i < c->workers; i++)
            close(c->tasks[i]);
        close(ends[1]);
        close(c->results[0]);
        serve(ends[0], c->results[1], task);
    }
    close(ends[0]);
    c->tasks[c->workers] = ends[1];
    c->pids[c->workers] = pid;
    c->workers += pid > 0;
    return pid > 0;
}

static bool use_crew(const crew *c)
{
    message m = {0, 3};
    for (int i = 0; i < c->workers; i++)
        if (!write_all(c->tasks[i], &m, sizeof m))
            return false;
    for (int i = 0; i < c->workers; i++)
        if (!read_all(c->results[0], &m, sizeof m) || m.value != 9)
            return false;
    return true;
}

bool bench_prefork(int workers, bench_task task)
{
    crew c = {.workers = 0};
    if (workers > WORKERS_MOST || pipe(c.results) < 0)
        return false;
    bool well = true;
    while (well && c.workers < workers)
        well = add_worker(&c, task);
    well = well && use_crew(&c);
    for (int i = 0; i < c.workers; i++)
        close(c.tasks[i]);
    for (int i = 0; i < c.workers; i++)
        well = ended_well(c.pids[i]) && well;
    close(c.results[0]);
    close(c.results[1]);
    return well;
}
