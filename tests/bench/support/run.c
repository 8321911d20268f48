/* SPDX-License-Identifier: MIT */
/*
 * One run of one contender: benchmark -> host -> parties.
 *
 * Nothing of a run outlives it, however it ends: the host leads a process group, which is killed
 * when its time is over or the benchmark is interrupted; host and parties are killed with their
 * parent; and the benchmark adopts and waits for all that is left.
 */
#include "bench.h"

#include "internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED_BYTES 65536
#define PATIENCE     10 /* seconds that a run may take beyond its measuring */
#define WARM_UP      10e-3
#define WARM_UP_FREE 30e-3 /* the scheduler has to find out who had better run apart */

static volatile sig_atomic_t host; /* the process group to kill, or 0 */
static cpu_set_t allowed;
static char interpreter[1024];

int64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void nap(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

int bench_processors(void)
{
    return CPU_COUNT(&allowed);
}

unsigned bench_processor(int i)
{
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && i-- == 0)
            return cpu;
    return 0;
}

/* Which of the processors a party gets; -1: any. */
static int place(unsigned placement, int party)
{
    if (placement == BENCH_FREE)
        return -1;
    return placement == BENCH_PINNED ? party % 2 : 0;
}

/* ---- in the processes of a run */

void bench_fail(bench_party *p, const char *format, ...)
{
    if (atomic_fetch_add(&p->page->complained, 1) == 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(p->page->why, sizeof p->page->why, format, args);
        va_end(args);
    }
    _exit(1);
}

bool bench_next_phase(bench_party *p, uint32_t phase)
{
    int64_t now = bench_now();
    if (phase == BENCH_STOP && p->phase == BENCH_MEASURE) {
        p->page->result[p->index].count = p->count;
        p->page->result[p->index].began = p->began;
        p->page->result[p->index].ended = now;
    }
    p->phase = phase;
    p->count = 0;
    p->began = now;
    return phase != BENCH_STOP;
}

void bench_report(bench_party *p, double value)
{
    p->page->result[p->index].count = 0;
    p->page->result[p->index].value = value;
    p->page->result[p->index].reported = true;
}

static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static _Noreturn void be_party(bench_party *p, const bench_contender *c)
{
    int processor = place(p->placement, p->index);
    if (processor >= 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(bench_processor(processor), &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0)
            bench_fail(p, "cannot pin: %s", strerror(errno));
    }
    atomic_fetch_add(&p->page->ready, 1);
    while (atomic_load(&p->page->phase) == BENCH_GATE)
        sched_yield();
    p->phase = BENCH_WARM; /* even if it is later by now: the next look will tell */
    if (c->peer == NULL)
        c->party(p);
    else if (c->one_way)
        c->peer->one_way(p);
    else
        c->peer->round_trip(p);
    _exit(0);
}

/* Waits for a party, and fails with it. */
static void reap(bench_party *p)
{
    int status;
    pid_t pid = wait(&status);
    if (pid < 0)
        bench_fail(p, "wait: %s", strerror(errno));
    if (WIFSIGNALED(status))
        bench_fail(p, "a party was killed by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        bench_fail(p, "a party exited with %d", WEXITSTATUS(status));
}

/* What was counted is counted from the first to begin to the last to end: on one processor they
 * work one after the other. Returns whether there is a figure. */
static bool add_up(bench_page *page, int parties)
{
    int64_t began = INT64_MAX, ended = 0;
    uint64_t count = 0;
    bool reported = false;
    for (int i = 0; i < parties; i++) {
        page->value += page->result[i].value;
        reported = reported || page->result[i].reported;
        if (page->result[i].count == 0)
            continue;
        count += page->result[i].count;
        began = page->result[i].began < began ? page->result[i].began : began;
        ended = page->result[i].ended > ended ? page->result[i].ended : ended;
    }
    if (count > 0)
        page->value = (double)count * 1e9 / (double)(ended - began);
    return reported || count > 0;
}

static void say(bench_party *p, uint32_t phase, double seconds)
{
    atomic_store(&p->page->phase, phase);
    nap(seconds);
}

static _Noreturn void run_parties(bench_party *p, const bench_contender *c)
{
    p->shared = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p->shared == MAP_FAILED)
        bench_fail(p, "mmap: %s", strerror(errno));
    if (c->peer != NULL)
        c->peer->prepare(p);
    else if (c->prepare != NULL)
        c->prepare(p);
    pid_t self = getpid();
    for (p->index = 0; p->index < p->parties; p->index++) {
        pid_t pid = fork();
        if (pid < 0)
            bench_fail(p, "fork: %s", strerror(errno));
        if (pid == 0) {
            die_with(self);
            be_party(p, c);
        }
    }
    while (atomic_load(&p->page->ready) < (uint32_t)p->parties)
        nap(100e-6);
    say(p, BENCH_WARM, p->placement == BENCH_FREE ? WARM_UP_FREE : WARM_UP);
    say(p, BENCH_MEASURE, p->seconds);
    say(p, BENCH_STOP, 0);
    for (int i = 0; i < p->parties; i++)
        reap(p);
    if (!add_up(p->page, p->parties))
        bench_fail(p, "nothing was done in the time");
    p->page->done = true;
    _exit(0);
}

/* The script prints one figure: a rate, or seconds. */
static _Noreturn void run_python(bench_party *p, const bench_contender *c)
{
    char command[4096], line[256] = "";
    char first[16] = "-1", second[16] = "-1";
    if (p->placement != BENCH_FREE) {
        snprintf(first, sizeof first, "%u", bench_processor(place(p->placement, 0)));
        snprintf(second, sizeof second, "%u", bench_processor(place(p->placement, 1)));
    }
    if (bench_python() == NULL)
        bench_fail(p, "there is no python3");
    snprintf(command, sizeof command, "exec '%s' '%s/python.py' %s %d %g %s %s %zu 2>&1",
             bench_python(), BENCH_SOURCES, c->python, p->parties, p->seconds, first, second,
             p->length);
    FILE *out = popen(command, "re");
    char *end = line;
    while (out != NULL && fgets(line, sizeof line, out) != NULL)
        p->page->value = strtod(line, &end); /* the last line */
    if (out == NULL || pclose(out) != 0 || end == line || *end != '\n')
        bench_fail(p, "python: %.*s", (int)strcspn(line, "\n"), line);
    p->page->done = true;
    _exit(0);
}

/* ---- in the benchmark */

static void kill_host(void)
{
    if (host != 0)
        kill((pid_t)-host, SIGKILL);
}

static void interrupted(int signal)
{
    kill_host();
    while (host != 0 && waitpid(-1, NULL, 0) > 0)
        ;
    _exit(128 + signal);
}

void bench_run_init(void)
{
    sched_getaffinity(0, sizeof allowed, &allowed);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    /* Asked once: what is found in PATH may be a script that takes longer than the run. */
    const char *name = getenv("PYTHON");
    char command[1200];
    snprintf(command, sizeof command,
             "'%.1000s' -c 'import sys; print(sys.executable)' 2>/dev/null",
             name == NULL || name[0] == '\0' ? "python3" : name);
    FILE *out = popen(command, "re");
    if (out == NULL)
        return;
    if (fgets(interpreter, sizeof interpreter, out) != NULL)
        interpreter[strcspn(interpreter, "\n")] = '\0';
    if (pclose(out) != 0)
        interpreter[0] = '\0';
}

const char *bench_python(void)
{
    return interpreter[0] != '\0' ? interpreter : NULL;
}

/* Waits for the host, at most until `end`, then for all that it left behind. Returns whether the
 * host ended in time. */
static bool clean_up(pid_t pid, int64_t end, const sigset_t *chld)
{
    bool in_time = true, host_is_gone = false;
    for (;;) {
        pid_t gone = waitpid(-1, NULL, WNOHANG);
        if (gone < 0)
            return in_time;
        if (gone == pid)
            host_is_gone = true;
        if (gone > 0)
            continue;
        if (host_is_gone || bench_now() > end) {
            in_time = in_time && host_is_gone;
            kill(-pid, SIGKILL);
        }
        sigtimedwait(chld, NULL, &(struct timespec){0, 20000000});
    }
}

bool bench_run_once(bench_page *page, const bench_metric *m, const bench_contender *c,
                    unsigned placement, double seconds)
{
    memset(page, 0, sizeof *page);
    bench_party p = {.page = page,
                     .parties = m->parties,
                     .argument = m->argument,
                     .length = m->length,
                     .placement = placement,
                     .seconds = seconds};
    sigset_t chld, before;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &before);
    fflush(stdout);
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        die_with(self);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (c->python != NULL)
            run_python(&p, c);
        run_parties(&p, c);
    }
    if (pid > 0) {
        setpgid(pid, pid);
        host = pid;
        page->hung = !clean_up(pid, bench_now() + (int64_t)((seconds + PATIENCE) * 1e9), &chld);
        if (page->hung)
            snprintf(page->why, sizeof page->why, "not done after %g s", seconds + PATIENCE);
        host = 0;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    bool time = m->unit == BENCH_NS || m->unit == BENCH_US || m->unit == BENCH_MS;
    if (page->done && c->python == NULL && time && page->result[0].count > 0)
        page->value = 1 / page->value; /* it is a rate */
    if (!page->done && page->why[0] == '\0')
        snprintf(page->why, sizeof page->why, "it ended without a figure");
    return page->done;
}
