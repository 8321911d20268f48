/* SPDX-License-Identifier: MIT */
/* For tests of steps: waiting until a victim sleeps, has stopped or has died, whichever comes; and
 * which steps the trials of a program have come to. */
#ifndef MPROC_TESTS_STILL_H
#define MPROC_TESTS_STILL_H

#include "support/steps.h"

static inline void until_still(pid_t pid)
{
    for (siginfo_t info = {0};;) {
        char path[64], text[512] = "";
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid != 0)
            return;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        size_t length = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
        if (f != NULL)
            fclose(f);
        text[length] = '\0';
        const char *name_end = strrchr(text, ')');
        if (name_end != NULL && strncmp(name_end, ") S", 3) == 0)
            return;
        nap(0.0005);
    }
}

static const char *steps_seen[STEPS_MOST];
static int steps_seen_count;

static inline void see(const char *step)
{
    for (int i = 0; i < steps_seen_count; i++)
        if (strcmp(steps_seen[i], step) == 0)
            return;
    if (steps_seen_count == STEPS_MOST)
        abort();
    steps_seen[steps_seen_count++] = step;
}

#endif
