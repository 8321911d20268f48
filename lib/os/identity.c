/* SPDX-License-Identifier: MIT */
#include "os/identity.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the flags in /proc/PID/stat: the thread that the process is named after is ending. The kernel
 * sets it before it lets go of the thread's robust words. */
#define EXITING 0x4u

#define FIRST_START 2 /* what is added to a start, so that 0 and MP__STARTED_UNKNOWN are none */

/* Reads /proc/PID/stat, as a string; false if it cannot be read. */
static bool read_stat(int pid, char *text, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        fd = mp__fd_above_stdio(fd);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, size - 1);
    mp__fd_close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return true;
}

uint64_t mp__process_started(int pid)
{
    char text[1024];
    int saved = errno;
    uint64_t started = MP__STARTED_UNKNOWN;
    if (read_stat(pid, text, sizeof text)) {
        char state = 0;
        unsigned flags = 0;
        long threads = 0;
        unsigned long long ticks = 0;
        const char *rest = strrchr(text, ')'); /* a name may hold anything */
        if (rest != NULL && sscanf(rest + 1,
                                   " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                                   "%*d %ld %*d %llu",
                                   &state, &flags, &threads, &ticks) == 4) {
            bool ended = (flags & EXITING) != 0 || state == 'Z' || state == 'X';
            started = ended && threads <= 1 ? 0 : ticks + FIRST_START;
        }
    } else if (kill(pid, 0) != 0 && errno == ESRCH) { /* no /proc, no descriptor, hidden, or gone */
        started = 0;
    }
    errno = saved;
    return started;
}

bool mp__process_is_gone(int pid, uint64_t started)
{
    uint64_t now = mp__process_started(pid);
    return now == 0 || !mp__started_alike(now, started);
}
