/* SPDX-License-Identifier: MIT */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mproc/error.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

bool mp__fd_identify(int fd, mp__fd_identity *out)
{
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0)
        return false;
    *out = (mp__fd_identity){s.st_dev, s.st_ino};
    return true;
}

bool mp__fd_is(int fd, const mp__fd_identity *identity)
{
    mp__fd_identity now;
    return mp__fd_identify(fd, &now) && now.device == identity->device &&
           now.inode == identity->inode;
}

void mp__fd_close(int fd)
{
    int saved = errno;
    if (fd >= 0)
        close(fd); /* on Linux it is closed even when EINTR is reported */
    errno = saved;
}

void mp__fd_close_own(int fd, const mp__fd_identity *identity)
{
    if (mp__fd_is(fd, identity))
        mp__fd_close(fd);
}

int mp__fd_above_stdio(int fd)
{
    if (fd > STDERR_FILENO)
        return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int cause = errno;
    mp__fd_close(fd);
    return above >= 0 ? above : MP_ESYS(cause);
}

static int compare(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

void mp__fd_close_between(int low, int high)
{
    if (low > high || syscall(SYS_close_range, low, high, 0) == 0)
        return;
    struct rlimit limit;
    int most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX
                   ? (int)limit.rlim_cur - 1
                   : 1 << 20;
    for (int fd = low; fd <= high && fd <= most; fd++)
        close(fd);
}

void mp__fd_close_all_but(const int *keep, size_t count)
{
    int *sorted = malloc((count + 1) * sizeof *sorted);
    if (sorted == NULL) /* better too many open than one of `keep` lost */
        return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = keep[i];
    qsort(sorted, count, sizeof *sorted, compare);
    int next = STDERR_FILENO + 1;
    for (size_t i = 0; i < count; i++) {
        mp__fd_close_between(next, sorted[i] - 1);
        next = sorted[i] >= next ? sorted[i] + 1 : next;
    }
    mp__fd_close_between(next, INT_MAX);
    free(sorted);
}

void mp__fd_stdin_null(void)
{
    __fpurge(stdin); /* what the parent has read ahead is the parent's */
    int fd = open("/dev/null", O_RDONLY);
    if (fd < 0)
        close(STDIN_FILENO);
    else if (fd != STDIN_FILENO) {
        dup2(fd, STDIN_FILENO);
        close(fd);
    }
}

bool mp__fd_is_terminal(int fd)
{
    int saved = errno;
    bool answer = isatty(fd) == 1;
    errno = saved;
    return answer;
}
