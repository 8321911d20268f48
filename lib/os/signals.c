/* SPDX-License-Identifier: MIT */
#include "os/signals.h"

#include <errno.h>
#include <mproc/error.h>
#include <stddef.h>
#include <unistd.h>

/* The C library has had a function for the names only since 2.32. */
#define MP__SIGNAL_LIST(X)                                                                         \
    X(SIGHUP)                                                                                      \
    X(SIGINT)                                                                                      \
    X(SIGQUIT) X(SIGILL) X(SIGTRAP) X(SIGABRT) X(SIGBUS) X(SIGFPE) X(SIGKILL) X(SIGUSR1)           \
        X(SIGSEGV) X(SIGUSR2) X(SIGPIPE) X(SIGALRM) X(SIGTERM) X(SIGSTKFLT) X(SIGCHLD) X(SIGCONT)  \
            X(SIGSTOP) X(SIGTSTP) X(SIGTTIN) X(SIGTTOU) X(SIGURG) X(SIGXCPU) X(SIGXFSZ)            \
                X(SIGVTALRM) X(SIGPROF) X(SIGWINCH) X(SIGIO) X(SIGPWR) X(SIGSYS)

const char *mp__signal_name(int number)
{
    switch (number) {
#define X(name)                                                                                    \
    case name:                                                                                     \
        return #name;
        MP__SIGNAL_LIST(X)
#undef X
    default:
        return NULL;
    }
}

int mp__signal_self(int number)
{
    int saved = errno;
    int rc = kill(getpid(), number) == 0 ? 0 : MP_ESYS(errno);
    errno = saved;
    return rc;
}
