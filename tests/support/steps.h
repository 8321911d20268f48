/* SPDX-License-Identifier: MIT */
/*
 * Deaths and stops at the marked steps of a protocol (os/step.h), for tests/steps/test_step_*.c,
 * which are built and run by `make check-steps` alone.
 *
 * A test of an object makes a scenario, a function that a child runs and that comes through the
 * steps, and lets each_step() kill it at every one of them:
 *
 *     static int scenario(void *arg) { ... return 0; }             in the child, with CHECK()
 *     static int trial(const char *step, int nth, void *arg)       in the test, with assert_...()
 *     {
 *         make the object; start others that wait or work on it
 *         int how = kill_at(step, nth, SIGKILL, scenario, arg);
 *         assert_int_not_equal(how, STEP_FAILED);
 *         the others go on within bounds; validate; use the object again
 *         return how;
 *     }
 *     each_step("semaphore.", 20, trial, NULL);
 *
 * A step that no test has killed or stopped a process at fails `make check-steps` at its end. More
 * than one scenario may be needed to come to all of them.
 */
#ifndef MPROC_TESTS_STEPS_H
#define MPROC_TESTS_STEPS_H

#include "os/step.h"
#include "support/child.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

enum { STEPS_MOST = 512 };

typedef struct step_list {
    int count;
    const char *name[STEPS_MOST]; /* sorted, each once */
    const char *prefix;
} step_list;

static inline void step_insert(const char *name, void *arg)
{
    step_list *l = arg;
    int at = 0;
    if (strncmp(name, l->prefix, strlen(l->prefix)) != 0)
        return;
    while (at < l->count && strcmp(l->name[at], name) < 0)
        at++;
    if (at < l->count && strcmp(l->name[at], name) == 0)
        return;
    if (l->count == STEPS_MOST)
        abort();
    memmove(&l->name[at + 1], &l->name[at], (size_t)(l->count++ - at) * sizeof l->name[0]);
    l->name[at] = name;
}

/* The steps of this program whose names begin so, "queue." for instance. */
static inline step_list steps_of(const char *prefix)
{
    step_list l = {.prefix = prefix};
    mp__step_each(step_insert, &l);
    return l;
}

/* Writes down that a test has ended or stopped a process at this step. */
static inline void step_record(const char *name)
{
    char path[1024], line[128];
    const char *o = getenv("O"); /* the runner's: the build directory */
    if (o == NULL || snprintf(path, sizeof path, "%s/tests/steps-reached", o) >= (int)sizeof path)
        return;
    int n = snprintf(line, sizeof line, "%s\n", name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || n >= (int)sizeof line || write(fd, line, (size_t)n) != n)
        abort();
    close(fd);
}

/* What became of a child that was to get a signal at a step. */
enum {
    STEP_PASSED = 0,  /* it never came there so often, and returned 0 */
    STEP_REACHED = 1, /* the signal has ended or stopped it there */
    STEP_FAILED = -1  /* it returned something else, or something else has ended it */
};

/* What the child of step_start() begins with. */
typedef struct step_order {
    const char *step;
    int nth, signal;
    int (*run)(void *);
    void *arg;
} step_order;

static inline int step_obey(void *arg)
{
    step_order *o = arg;
    mp__step_arm(o->step, o->nth, o->signal);
    return o->run(o->arg);
}

/* Starts a child that runs `run` and gets the signal when it comes to the step the nth time. With
 * step NULL it gets none. For step_end(), or, with SIGSTOP, step_await_stop(). */
static inline pid_t step_start(const char *step, int nth, int signal, int (*run)(void *), void *arg)
{
    step_order o = {step, nth, signal, run, arg};
    return child_start(step_obey, &o);
}

/* Waits for its end. */
static inline int step_end(pid_t pid, const char *step, int signal)
{
    int end = child_end(pid);
    if (end == 0)
        return STEP_PASSED;
    if (end != -signal) {
        fprintf(stderr, "at step %s: child ended with %d\n", step, end);
        return STEP_FAILED;
    }
    step_record(step);
    return STEP_REACHED;
}

/* Waits until it has stopped at the step (STEP_REACHED: it is owed to step_go_on() or child_kill())
 * or has ended. */
static inline int step_await_stop(pid_t pid, const char *step)
{
    int status;
    while (waitpid(pid, &status, WUNTRACED) < 0)
        if (errno != EINTR)
            return STEP_FAILED;
    if (WIFSTOPPED(status)) {
        step_record(step);
        return STEP_REACHED;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? STEP_PASSED : STEP_FAILED;
}

/* Lets a stopped child run to its end; returns its exit status as child_end() does. */
static inline int step_go_on(pid_t pid)
{
    kill(pid, SIGCONT);
    return child_end(pid);
}

/* All in one: a child runs `run` and is ended by the signal at the step, or runs through. */
static inline int kill_at(const char *step, int nth, int signal, int (*run)(void *), void *arg)
{
    return step_end(step_start(step, nth, signal, run, arg), step, signal);
}

/* The same with SIGSTOP: *stopped is the child, which stands at the step if the result is
 * STEP_REACHED; else 0. */
static inline int stop_at(const char *step, int nth, int (*run)(void *), void *arg, pid_t *stopped)
{
    pid_t pid = step_start(step, nth, SIGSTOP, run, arg);
    int how = step_await_stop(pid, step);
    *stopped = how == STEP_REACHED ? pid : 0;
    return how;
}

/* Calls trial(step, nth, arg) for each step with this prefix and nth = 1, 2, ... until it returns
 * something else than STEP_REACHED, at most `most` times. Returns for how many of the steps it was
 * STEP_REACHED at all; 0 if there are none, so that a test can insist. */
static inline int each_step(const char *prefix, int most,
                            int (*trial)(const char *step, int nth, void *arg), void *arg)
{
    step_list l = steps_of(prefix);
    int reached = 0;
    for (int i = 0; i < l.count; i++) {
        int nth = 1;
        while (nth <= most && trial(l.name[i], nth, arg) == STEP_REACHED)
            nth++;
        reached += nth > 1;
        if (getenv("MP_TEST_STEPS") != NULL) /* by hand: what was reached, and how often */
            printf("%s: %d\n", l.name[i], nth - 1);
    }
    return reached;
}

#endif
