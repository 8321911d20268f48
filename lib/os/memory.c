/* SPDX-License-Identifier: MIT */
#include "os/memory.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The second and third number are the resident and the shared pages. */
size_t mp__memory_private(void)
{
    int saved = errno;
    char text[128];
    ssize_t length = -1;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && (fd = mp__fd_above_stdio(fd)) >= 0) {
        length = read(fd, text, sizeof text - 1);
        mp__fd_close(fd);
    }
    errno = saved;
    if (length <= 0)
        return 0;
    text[length] = '\0';
    char *at = text;
    strtoul(at, &at, 10);
    unsigned long resident = strtoul(at, &at, 10), shared = strtoul(at, &at, 10);
    return resident > shared ? (resident - shared) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
