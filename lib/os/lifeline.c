/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * Each parent has one pipe. Its write end is held by the parent alone: it is made while no thread
 * can fork, and every forked child closes its copy in the atfork handler. So the kernel closes
 * the last copy exactly when the parent ends, however it ends, or calls execve(). A child arms a
 * read end: the kernel then sends it SIGKILL when the pipe has no writer any more.
 * PR_SET_PDEATHSIG would do that when the *thread* that forked ends.
 *
 * - The signal's target belongs to the open file, not to the descriptor, so that each child needs
 *   an open file of its own: the pipe is opened again through /proc/self/fd, by the parent,
 *   because what fails must be known before the fork. Where that fails (no /proc; or the pipe was
 *   made before setuid(), and is somebody else's now) the child gets a pipe of its own, whose
 *   writer the parent keeps until it drops the line.
 * - A parent that ends before its child has armed: armed first, asked afterwards. Whatever order
 *   the two take, the child sees the hang-up or gets the signal.
 * - Copies of an armed open file in other processes send nothing to them: its owner is a process
 *   id that the kernel holds on to, so that no stranger gets the number either.
 * - Nobody ever writes.
 */
#include "os/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <mproc/error.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* The pipe of this process: the read end only serves to be opened again. */
static mp__lifeline common = {{.fd = -1}, {.fd = -1}};

static int make_pipe(mp__lifeline *line)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return MP_ESYS(errno);
    int rc = mp__owned_adopt(&line->reader, ends[0]);
    if (rc < 0) {
        mp__fd_close(ends[1]);
        return rc;
    }
    rc = mp__owned_adopt(&line->writer, ends[1]);
    if (rc < 0)
        mp__owned_close_locked(&line->reader);
    return rc;
}

static int need_common(void)
{
    if (mp__owned_fd(&common.reader) >= 0 && mp__owned_fd(&common.writer) >= 0)
        return 0;
    mp__owned_close_locked(&common.reader);
    mp__owned_close_locked(&common.writer);
    return make_pipe(&common);
}

static int open_again(mp__lifeline *line)
{
    char path[sizeof "/proc/self/fd/-2147483648"];
    snprintf(path, sizeof path, "/proc/self/fd/%d", common.reader.fd);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return MP_ESYS(errno);
    return mp__owned_adopt(&line->reader, fd);
}

static bool is_shortage(int rc)
{
    return rc == MP_ESYS(EMFILE) || rc == MP_ESYS(ENFILE) || rc == MP_ENOMEM;
}

int mp__lifeline_prepare(mp__lifeline *line)
{
    int saved = errno;
    *line = MP__LIFELINE_NONE;
    mp__owned_lock();
    int rc = need_common();
    if (rc == 0) {
        rc = open_again(line);
        if (rc < 0 && !is_shortage(rc))
            rc = make_pipe(line);
    }
    if (rc == 0)
        mp__owned_bequeath(&line->reader);
    mp__owned_unlock();
    errno = saved;
    return rc;
}

void mp__lifeline_sent(mp__lifeline *line)
{
    mp__owned_close(&line->reader);
}

void mp__lifeline_drop(mp__lifeline *line)
{
    mp__owned_close(&line->reader);
    mp__owned_close(&line->writer);
}

void mp__lifeline_arm(mp__lifeline *line, pid_t parent)
{
    int fd = line->reader.fd;
    bool armed = fcntl(fd, F_SETSIG, SIGKILL) == 0 && fcntl(fd, F_SETOWN, getpid()) == 0 &&
                 fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0;
    struct pollfd end = {.fd = fd};
    if (!armed || poll(&end, 1, 0) != 0 || getppid() != parent)
        kill(getpid(), SIGKILL);
}

int mp__lifeline_fd(const mp__lifeline *line)
{
    return mp__owned_fd(&line->reader);
}
