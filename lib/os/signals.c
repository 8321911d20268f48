/* SPDX-License-Identifier: MIT */
#include "os/signals.h"

#include <errno.h>
#include <mproc/error.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* The C library has had a function for the names only since 2.32. */
#define NAMED(number) [number] = #number
static const char *const names[] = {
    NAMED(SIGHUP),    NAMED(SIGINT),  NAMED(SIGQUIT),  NAMED(SIGILL),  NAMED(SIGTRAP),
    NAMED(SIGABRT),   NAMED(SIGBUS),  NAMED(SIGFPE),   NAMED(SIGKILL), NAMED(SIGUSR1),
    NAMED(SIGSEGV),   NAMED(SIGUSR2), NAMED(SIGPIPE),  NAMED(SIGALRM), NAMED(SIGTERM),
    NAMED(SIGSTKFLT), NAMED(SIGCHLD), NAMED(SIGCONT),  NAMED(SIGSTOP), NAMED(SIGTSTP),
    NAMED(SIGTTIN),   NAMED(SIGTTOU), NAMED(SIGURG),   NAMED(SIGXCPU), NAMED(SIGXFSZ),
    NAMED(SIGVTALRM), NAMED(SIGPROF), NAMED(SIGWINCH), NAMED(SIGIO),   NAMED(SIGPWR),
    NAMED(SIGSYS),
};

const char *mp__signal_name(int number)
{
    return number > 0 && number < (int)(sizeof names / sizeof names[0]) ? names[number] : NULL;
}

const char *mp__signal_phrase(char *text, size_t size, int number)
{
    const char *name = mp__signal_name(number);
    if (name != NULL)
        snprintf(text, size, "signal %d (%s)", number, name);
    else
        snprintf(text, size, "signal %d", number);
    return text;
}

bool mp__signal_is_one(int number)
{
    return number >= 0 && number < NSIG;
}

int mp__signal_self(int number)
{
    int saved = errno;
    int rc = kill(getpid(), number) == 0 ? 0 : MP_ESYS(errno);
    errno = saved;
    return rc;
}
