/* SPDX-License-Identifier: MIT */
#include "os/dispositions.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define ENDINGS (sizeof ending / sizeof *ending)

static bool was_ignored[ENDINGS];

static void set(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

void mp__dispositions_of_helper(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL}, was;
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, &by_default, &was) == 0 && was.sa_handler == SIG_IGN)
            set(number, SIG_IGN);
    set(SIGCHLD, SIG_DFL); /* also if the program ignores it: the helper waits for its children */
    for (size_t i = 0; i < ENDINGS; i++) {
        struct sigaction now;
        was_ignored[i] = sigaction(ending[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN;
        set(ending[i], SIG_IGN);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void mp__dispositions_of_worker(void)
{
    for (size_t i = 0; i < ENDINGS; i++)
        if (ending[i] != SIGINT && !was_ignored[i])
            set(ending[i], SIG_DFL);
}
