/* SPDX-License-Identifier: MIT */
/* Written and read by calls, not mapped: a mapping of a file that its sender cuts short would raise
 * SIGBUS in the receiver. */
#include "os/spill.h"

#include <errno.h>
#include <mproc/error.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A write beyond the limit on files would raise SIGXFSZ, whose default is death. */
static bool fits_limit(size_t length)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           length <= limit.rlim_cur;
}

static int code_of(int cause)
{
    return cause == ENOSPC ? MP_ENOMEM : MP_ESYS(cause); /* of memory, not of a disk */
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR)
            return code_of(errno);
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

int mp__spill_new(void)
{
    int saved = errno;
    int fd = memfd_create("mproc message", MFD_CLOEXEC);
    int rc = fd < 0 ? MP_ESYS(errno) : fd;
    errno = saved;
    return rc;
}

int mp__spill_write(int fd, const void *data, size_t length)
{
    int saved = errno;
    int rc = fits_limit(length) ? write_all(fd, data, length) : MP_ESYS(EFBIG);
    errno = saved;
    return rc;
}

bool mp__spill_holds(int fd, size_t length)
{
    int saved = errno;
    struct stat s;
    bool holds = fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && (uintmax_t)s.st_size >= length;
    errno = saved;
    return holds;
}

int mp__spill_read(int fd, void *data, size_t length)
{
    int saved = errno;
    int rc = 0;
    char *to = data;
    for (size_t done = 0; done < length && rc == 0;) {
        ssize_t n = pread(fd, to + done, length - done, (off_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            rc = MP_ESYS(EBADMSG);
        else if (errno != EINTR)
            rc = MP_ESYS(errno);
    }
    errno = saved;
    return rc;
}
