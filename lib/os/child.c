/* SPDX-License-Identifier: MIT */
/*
 * Why the status is right: nobody but mp__child_reap() waits for the child on the library's
 * behalf, and it names the child by its pidfd. ECHILD then means that the kernel or the program
 * has reaped it (SIGCHLD ignored; a wait() of the program's own), or is about to. Since 6.15 the
 * kernel keeps the status for the holders of a pidfd, and gives it out when the dead process has
 * been released: until then the child counts as running, which ends within microseconds.
 *
 * Where there is no pidfd (valgrind 3.19, old sandboxes) a pipe that the child holds open is the
 * sentinel, and the child is named by its id, after a look that it still is ours.
 */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <mproc/error.h>
#include <mproc/process.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define WAIT_PIDFD 3 /* P_PIDFD, which the C library has had since 2.36 */

/* The kernel's struct pidfd_info in its first form, which headers before 6.13 lack. */
struct info {
    uint64_t mask, group;
    uint32_t unused[11];
    int32_t status;
};
#define INFO_EXIT 8
#define INFO_GET  _IOWR(0xFF, 11, struct info)

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 ? fd : MP_ESYS(errno);
}

static bool have_pidfd(void)
{
    /* No process has the id 0. A sandbox may refuse a call by other values than ENOSYS. */
    return syscall(SYS_pidfd_open, 0, 0) < 0 && errno == EINVAL &&
           syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0) < 0 && errno == EBADF;
}

static int make_pipe(mp__child *c)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return MP_ESYS(errno);
    mp__owned_lock();
    int rc = mp__owned_adopt(&c->sentinel, ends[0]);
    if (rc < 0)
        mp__fd_close(ends[1]);
    else if ((rc = mp__owned_adopt(&c->alive, ends[1])) < 0)
        mp__owned_close_locked(&c->sentinel);
    else
        mp__owned_bequeath(&c->alive);
    mp__owned_unlock();
    return rc;
}

pid_t mp__child_fork(mp__child *c)
{
    int saved = errno;
    *c = MP__CHILD_NONE;
    c->has_pidfd = have_pidfd();
    int rc = c->has_pidfd ? 0 : make_pipe(c);
    if (rc == 0) {
        pid_t pid = fork();
        rc = pid >= 0 ? pid : MP_ESYS(errno);
        if (pid != 0) {
            mp__owned_close(&c->alive);
            c->pid = pid > 0 ? pid : 0;
        }
        if (pid < 0)
            mp__owned_close(&c->sentinel);
    }
    errno = saved;
    return rc;
}

/* Opens the pidfd into the sentinel's place; the caller knows whose id it is. */
static int adopt_pidfd(mp__owned *sentinel, pid_t pid)
{
    mp__owned_lock();
    int rc = open_pidfd(pid);
    if (rc >= 0)
        rc = mp__owned_adopt(sentinel, rc);
    mp__owned_unlock();
    return rc;
}

int mp__child_watch(mp__child *c)
{
    int saved = errno;
    int rc = c->has_pidfd ? adopt_pidfd(&c->sentinel, c->pid) : 0;
    errno = saved;
    return rc;
}

void mp__child_abandon(mp__child *c)
{
    int saved = errno;
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    mp__child_drop(c);
    errno = saved;
}

/* waitid() for the child, by what it is known by. 0 or an errno value. */
static int wait_for(const mp__child *c, siginfo_t *info, int options)
{
    int fd = c->has_pidfd ? mp__owned_fd(&c->sentinel) : -1;
    memset(info, 0, sizeof *info);
    int rc = fd >= 0 ? waitid((idtype_t)WAIT_PIDFD, (id_t)fd, info, options | WNOHANG)
                     : waitid(P_PID, (id_t)c->pid, info, options | WNOHANG);
    return rc == 0 ? 0 : errno;
}

/* Its pidfd, made anew if somebody has closed it, while the child is one of ours. */
static int mend(mp__child *c)
{
    int fd = mp__owned_fd(&c->sentinel);
    if (fd >= 0 || !c->has_pidfd)
        return fd >= 0 ? fd : MP_ESYS(ESRCH);
    mp__owned_close(&c->sentinel);
    int rc = adopt_pidfd(&c->sentinel, c->pid);
    if (rc < 0)
        return rc;
    siginfo_t info;
    if (wait_for(c, &info, WEXITED | WNOWAIT) == 0)
        return c->sentinel.fd;
    mp__owned_close(&c->sentinel);
    return MP_ESYS(ESRCH);
}

/* What the kernel tells of a process that was reaped by somebody else. */
static int kept_exitcode(const mp__child *c)
{
    struct info info = {.mask = INFO_EXIT};
    int fd = c->has_pidfd ? mp__owned_fd(&c->sentinel) : -1;
    if (fd < 0)
        return MP_EXITCODE_UNKNOWN;
    /* ESRCH comes also from a look that began before the status was there and ended after the
     * process was released; then the status is there now. */
    if (ioctl(fd, INFO_GET, &info) != 0 && (errno != ESRCH || ioctl(fd, INFO_GET, &info) != 0))
        return MP_EXITCODE_UNKNOWN;
    if (!(info.mask & INFO_EXIT))
        return MP_NO_EXITCODE;
    return WIFEXITED(info.status) ? WEXITSTATUS(info.status) : -WTERMSIG(info.status);
}

int mp__child_reap(mp__child *c)
{
    int saved = errno;
    int code = MP_NO_EXITCODE;
    siginfo_t info;
    int cause = wait_for(c, &info, WEXITED);
    if (cause == 0 && info.si_pid != 0)
        code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    else if (cause == ECHILD)
        code = kept_exitcode(c);
    errno = saved;
    return code;
}

static int send_by_id(const mp__child *c, int number)
{
    siginfo_t info;
    if (wait_for(c, &info, WEXITED | WNOWAIT) != 0)
        return 0;
    return kill(c->pid, number) == 0 || errno == ESRCH ? 0 : MP_ESYS(errno);
}

int mp__child_signal(mp__child *c, int number)
{
    int saved = errno;
    int rc = 0;
    int fd = mend(c);
    if (!c->has_pidfd)
        rc = send_by_id(c, number);
    else if (fd < 0)
        rc = fd == MP_ESYS(ESRCH) ? 0 : fd;
    else if (syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) != 0 && errno != ESRCH)
        rc = MP_ESYS(errno);
    errno = saved;
    return rc;
}

int mp__child_sentinel(mp__child *c)
{
    int saved = errno;
    int fd = mend(c);
    errno = saved;
    return fd;
}

void mp__child_drop(mp__child *c)
{
    mp__owned_close(&c->sentinel);
    mp__owned_close(&c->alive);
}

int mp__child_watch_parent(mp__owned *sentinel, pid_t parent)
{
    int saved = errno;
    int rc = adopt_pidfd(sentinel, parent);
    /* Asked afterwards: if it still is the parent the id was not used again in between. */
    if (rc == 0 && getppid() != parent) {
        mp__owned_close(sentinel);
        rc = MP_ESYS(ESRCH);
    }
    errno = saved;
    return rc;
}

int mp__child_watch_nobody(mp__owned *sentinel)
{
    int saved = errno;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        int cause = errno;
        errno = saved;
        return MP_ESYS(cause);
    }
    mp__fd_close(ends[1]);
    mp__owned_lock();
    int rc = mp__owned_adopt(sentinel, ends[0]);
    mp__owned_unlock();
    errno = saved;
    return rc;
}

pid_t mp__child_parent_id(void)
{
    return getppid();
}

int mp__child_at_exit(void (*f)(int status, void *arg))
{
    return on_exit(f, NULL) == 0 ? 0 : MP_ENOMEM;
}

_Noreturn void mp__child_leave(int status)
{
    _exit(status);
}
