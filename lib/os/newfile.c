/* SPDX-License-Identifier: MIT */
#include "os/newfile.h"

#include "base/atomic.h"
#include "os/fd.h"
#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <mproc/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)64 << 10)
#define MOST   ((size_t)4096) /* of one print */

static char *make_absolute(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *whole = NULL;
    if (path[0] != '/' && here == NULL)
        return NULL;
    if (asprintf(&whole, "%s%s%s", here != NULL ? here : "", here != NULL ? "/" : "", path) < 0)
        whole = NULL;
    free(here);
    return whole;
}

/* A name beside the path that nobody uses; numbered, for two pools may write at once. */
static int open_beside(const char *path, char **temporary)
{
    static _Atomic uint32_t serial;
    for (;;) {
        int length = asprintf(temporary, "%s.%d-%u.tmp", path, mp__process_id(),
                              mp__add_relaxed(&serial, 1));
        if (length < 0)
            return MP_ENOMEM;
        int fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        int cause = errno;
        if (fd >= 0 && (fd = mp__fd_above_stdio(fd)) >= 0)
            return fd;
        if (fd < -1) { /* it was made, and there is no number for it */
            unlink(*temporary);
            cause = EMFILE;
        }
        free(*temporary);
        if (cause != EEXIST)
            return MP_ESYS(cause);
    }
}

static int try_path(const char *path)
{
    struct stat s;
    if (path[0] == '\0' || (stat(path, &s) == 0 && !S_ISREG(s.st_mode)))
        return MP_EINVAL;
    char *temporary;
    int fd = open_beside(path, &temporary);
    if (fd < 0)
        return fd;
    mp__fd_close(fd);
    unlink(temporary);
    free(temporary);
    return 0;
}

int mp__newfile_check(char **absolute, const char *path)
{
    int saved = errno;
    *absolute = make_absolute(path);
    int rc = *absolute == NULL ? MP_ESYS(errno) : try_path(*absolute);
    if (path[0] == '\0')
        rc = MP_EINVAL;
    if (rc < 0) {
        free(*absolute);
        *absolute = NULL;
    }
    errno = saved;
    return rc;
}

int mp__newfile_begin(mp__newfile *f, const char *path)
{
    int saved = errno;
    *f = (mp__newfile){.path = path, .buffer = malloc(BUFFER)};
    f->fd = f->buffer == NULL ? MP_ENOMEM : open_beside(path, &f->temporary);
    if (f->fd < 0)
        free(f->buffer);
    errno = saved;
    return f->fd < 0 ? f->fd : 0;
}

static void flush(mp__newfile *f)
{
    size_t done = 0;
    while (f->code == 0 && done < f->used) {
        ssize_t n = write(f->fd, f->buffer + done, f->used - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            f->code = MP_ESYS(errno);
    }
    f->used = 0;
}

void mp__newfile_print(mp__newfile *f, const char *format, ...)
{
    int saved = errno;
    if (BUFFER - f->used < MOST)
        flush(f);
    va_list list;
    va_start(list, format);
    int length = vsnprintf(f->buffer + f->used, BUFFER - f->used, format, list);
    va_end(list);
    if (length > 0)
        f->used += (size_t)length < MOST ? (size_t)length : MOST - 1;
    errno = saved;
}

int mp__newfile_end(mp__newfile *f)
{
    int saved = errno;
    flush(f);
    if (close(f->fd) != 0 && f->code == 0 && errno != EINTR)
        f->code = MP_ESYS(errno);
    if (f->code == 0 && rename(f->temporary, f->path) != 0)
        f->code = MP_ESYS(errno);
    if (f->code < 0)
        unlink(f->temporary);
    free(f->temporary);
    free(f->buffer);
    errno = saved;
    return f->code;
}
