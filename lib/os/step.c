/* SPDX-License-Identifier: MIT */
#include "os/step.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char *target;
static int left;
static int deadly;

void mp__step_arm(const char *name, int nth, int signal)
{
    target = name;
    left = nth;
    deadly = signal;
}

void mp__step_reach(const char *name)
{
    if (target == NULL || strcmp(name, target) != 0 || --left > 0)
        return;
    target = NULL;
    kill(getpid(), deadly);
}

#ifdef MPROC_STEPS
/* The linker makes a section of the steps, and these. */
extern const char *const __start_mp_steps[];
extern const char *const __stop_mp_steps[];

void mp__step_each(void (*f)(const char *name, void *arg), void *arg)
{
    for (const char *const *step = __start_mp_steps; step < __stop_mp_steps; step++)
        f(*step, arg);
}
#else
void mp__step_each(void (*f)(const char *name, void *arg), void *arg)
{
    (void)f;
    (void)arg;
}
#endif
