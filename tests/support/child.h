/* SPDX-License-Identifier: MIT */
/* Forked children of tests: they run one function, whose result is their exit status (0: all is
 * well), and never a test's asserts. CHECK() in such a function says where it failed. */
#ifndef MPROC_TESTS_CHILD_H
#define MPROC_TESTS_CHILD_H

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #condition);                 \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* A child's exit status: here (under valgrind) it cannot be tested. */
#define CANNOT 77

/* How long a test waits for what must happen: for ever, as far as a sane machine is concerned. */
#define LONG 60.0

static inline pid_t child_start(int (*run)(void *), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* Never an orphan, whatever becomes of the test. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(240);
        _exit(run(arg));
    }
    return pid;
}

/* The exit status, or minus the number of the signal. */
static inline int child_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int child_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    return child_end(pid);
}

/* Whether the child has stopped; false: it has ended, and is no child any more. */
static inline bool child_stopped(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, WUNTRACED) < 0)
        if (errno != EINTR)
            return false;
    return WIFSTOPPED(status);
}

static inline bool child_stop(pid_t pid)
{
    kill(pid, SIGSTOP);
    return child_stopped(pid);
}

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void nap(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* Whether no pair of descriptors can be had, as a limit says: valgrind has one of its own. */
static inline int descriptors_are_limited(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return 1;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static inline int open_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

/* The state letter of a process; 0: there is none. */
static inline char state_of(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    const char *end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    fclose(f);
    return end != NULL ? end[2] : 0;
}

/* Whether all children, orphans that came to us included, have ended; reaps them. */
static inline bool no_children_left(void)
{
    double end = seconds() + LONG;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            return errno == ECHILD;
        if (pid == 0 && seconds() > end)
            return false;
        if (pid == 0)
            nap(0.001);
    }
}

/* Waits until the thread or process sleeps in the kernel, is stopped, or has died. */
static inline void until_asleep(pid_t tid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
    for (int i = 0; i < 60000; i++) {
        FILE *f = fopen(path, "r");
        if (f == NULL)
            return;
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        char *end = text;
        for (char *p = text; *p != '\0'; p++)
            if (*p == ')')
                end = p;
        if (end[0] != '\0' && end[1] != '\0' && strchr("STZ", end[2]) != NULL)
            return;
        nap(0.001);
    }
}

#endif
