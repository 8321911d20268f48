/* SPDX-License-Identifier: MIT */
/*
 * Why it is right. A middle process forks the servant with the C library's fork() and leaves; so
 * the servant is init's child, and its thread ids and locks are as after any fork. The program
 * waits for the middle one by its id, with all signals held back in this thread, and so in the two
 * processes: none runs the program's handlers. A handler of the program's in another thread may
 * reap the middle one first; that does no harm.
 *
 * The middle process is made by vfork(): it runs in the program's memory and on the stack of the
 * thread that waits for it, so that its fork() is as one of that thread: the same atfork handlers
 * on both sides, the same locks, and the memory is copied once, not twice. What it writes is what
 * the thread would have written. It has descriptors of its own, as of the vfork(); what another
 * thread has opened or closed since then differs, which os/owned.c sees by the files' identities,
 * and the servant closes what it does not need. What it lacks of a process is put right in the
 * servant (os/rseq.h); where that is not possible, it is made by fork() instead. (Only its being
 * killed by its own id, within these microseconds, could leave a lock locked.)
 *
 * The servant's id is in shared memory before the middle process leaves. Its pidfd is opened while
 * the servant waits for the first ring, so that the id cannot have been used again unless the
 * servant was killed in these microseconds. A servant that is hung up before it was ever rung for
 * leaves without having touched anything but itself: the start has failed, and what it was to work
 * on may be gone.
 *
 * The bell is a socket pair. The program's end is closed in all its forked children (os/owned.c),
 * so it is hung up when the program ends.
 */
#include "os/servant.h"

#include "os/clock.h"
#include "os/poller.h"
#include "os/rseq.h"

#include <errno.h>
#include <mproc/error.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_PIDFD 3 /* P_PIDFD, which the C library has had since 2.36 */

static int make_bell(mp__servant *s)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return MP_ESYS(errno);
    int rc = mp__owned_adopt(&s->bell, ends[0]);
    if (rc < 0) {
        mp__fd_close(ends[1]);
        return rc;
    }
    rc = mp__owned_adopt(&s->other, ends[1]);
    if (rc < 0)
        mp__owned_close_locked(&s->bell);
    else
        mp__owned_bequeath(&s->other);
    return rc;
}

/* Returns false if there will be no ring. */
static bool wait_for_ring(int bell)
{
    char ring;
    ssize_t n;
    do
        n = recv(bell, &ring, 1, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* What the servant is to do. */
typedef struct errand {
    mp__servant *servant;
    _Atomic int *pid;
    const mp__servant_duty *duty;
    bool renew; /* the middle process was made by vfork() */
} errand;

_Noreturn static void be_servant(const errand *e)
{
    if (e->renew)
        mp__rseq_renew();
    int bell = e->servant->other.fd;
    e->duty->prepare(e->duty->arg, bell);
    if (wait_for_ring(bell))
        e->duty->run(e->duty->arg, bell);
    _exit(0);
}

_Noreturn static void be_middle(const errand *e)
{
    mp__owned_bequeath(&e->servant->other);
    pid_t child = fork();
    if (child == 0)
        be_servant(e);
    if (child > 0)
        mp__store_release(e->pid, (int)child); /* pairs with the load in fork_twice() */
    _exit(child > 0 ? 0 : errno);
}

/* Forks and reaps the middle process. Returns 0 or a code. */
static int fork_twice(const errand *e)
{
    pid_t middle = e->renew ? vfork() : fork(); /* NOLINT(clang-analyzer-*): see above */
    if (middle < 0 && e->renew && (errno == EPERM || errno == ENOSYS)) { /* a sandbox's */
        errand plain = *e;
        plain.renew = false;
        return fork_twice(&plain);
    }
    if (middle < 0)
        return MP_ESYS(errno);
    if (middle == 0)
        be_middle(e);
    int status = 0;
    pid_t got;
    do
        got = waitpid(middle, &status, 0);
    while (got < 0 && errno == EINTR);
    e->servant->pid = mp__load_acquire(e->pid);
    if (e->servant->pid != 0)
        return 0;
    int cause = got == middle && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
    return MP_ESYS(cause != 0 ? cause : EAGAIN);
}

/* Without pidfds, which old kernels and sandboxes lack, it is asked for by its id. */
static int watch_if_possible(mp__servant *s)
{
    int rc = mp__servant_watch(&s->pidfd, s->pid);
    return rc == MP_ESYS(EMFILE) || rc == MP_ESYS(ENFILE) || rc == MP_ENOMEM ? rc : 0;
}

int mp__servant_start(mp__servant *s, _Atomic int *pid, const mp__servant_duty *duty)
{
    int saved = errno;
    *s = (mp__servant){.bell = MP__OWNED_NONE, .other = MP__OWNED_NONE, .pidfd = MP__OWNED_NONE};
    int rc = mp__owned_init();
    if (rc < 0)
        return rc;
    mp__owned_lock();
    rc = make_bell(s);
    mp__owned_unlock();
    if (rc == 0) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        errand e = {s, pid, duty, mp__rseq_renewable()};
        rc = fork_twice(&e);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    mp__owned_close(&s->other);
    if (rc == 0)
        rc = watch_if_possible(s);
    if (rc < 0)
        mp__servant_drop(s); /* hangs up: a servant that waits for the first ring sees that */
    else
        mp__servant_ring(s);
    errno = saved;
    return rc;
}

void mp__servant_ring(mp__servant *s)
{
    int saved = errno;
    int fd = mp__owned_fd(&s->bell);
    if (fd >= 0)
        send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    errno = saved;
}

bool mp__servant_heed(int bell)
{
    char rings[64];
    ssize_t n;
    do
        n = recv(bell, rings, sizeof rings, MSG_DONTWAIT);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0; /* 0 is the end */
}

/* It becomes the program's child if the program is init, or a subreaper. By its pidfd, since the id
 * may be that of a child of the program's by now. */
static void reap_if_ours(const mp__servant *s)
{
    int fd = mp__owned_fd(&s->pidfd);
    siginfo_t info;
    if (fd >= 0)
        waitid((idtype_t)WAIT_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
    else if (s->pid > 0)
        waitpid(s->pid, NULL, WNOHANG);
}

static bool is_gone(const mp__servant *s)
{
    return s->pid == 0 || (kill(s->pid, 0) != 0 && errno == ESRCH);
}

/* What shows the servant's end: its pidfd, or else the bell, whose other end it has. By its id
 * alone a zombie that nobody reaps would seem to live. */
static int sentinel_of(const mp__servant *s)
{
    int fd = mp__owned_fd(&s->pidfd);
    return fd >= 0 ? fd : mp__owned_fd(&s->bell);
}

int mp__servant_wait(mp__servant *s, mp__deadline until)
{
    int saved = errno;
    int rc = 0;
    for (;;) {
        int fd = sentinel_of(s);
        if (fd >= 0) /* the servant never writes to the bell */
            rc = mp__poll_one(fd, POLLIN, until);
        reap_if_ours(s);
        if (fd >= 0 ? rc > 0 : is_gone(s)) {
            rc = 0;
            break;
        }
        if (rc >= 0)
            rc = mp__deadline_passed(until) ? MP_ETIMEDOUT : 0;
        if (rc == 0 && fd < 0)
            rc = mp__poll(NULL, 0, mp__deadline_min(until, mp__deadline_in_ns(MP__NS_PER_MS)));
        if (rc < 0)
            break;
    }
    errno = saved;
    return rc;
}

void mp__servant_kill(mp__servant *s)
{
    int saved = errno;
    int fd = mp__owned_fd(&s->pidfd);
    if (fd >= 0)
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    else if (s->pid > 0)
        kill(s->pid, SIGKILL);
    errno = saved;
}

void mp__servant_drop(mp__servant *s)
{
    mp__owned_close(&s->bell);
    mp__owned_close(&s->other);
    mp__owned_close(&s->pidfd);
}

int mp__servant_watch(mp__owned *sentinel, int pid)
{
    int saved = errno;
    mp__owned_lock();
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int rc = fd >= 0 ? mp__owned_adopt(sentinel, fd) : MP_ESYS(errno);
    mp__owned_unlock();
    errno = saved;
    return rc;
}

int mp__servant_watch_program(mp__owned *sentinel, int pid)
{
    int rc = mp__servant_watch(sentinel, pid);
    if (rc == 0)
        return 0;
    int saved = errno;
    mp__owned_lock();
    int fd = eventfd(0, EFD_CLOEXEC); /* nobody ever writes to it */
    rc = fd >= 0 ? mp__owned_adopt(sentinel, fd) : MP_ESYS(errno);
    mp__owned_unlock();
    errno = saved;
    return rc;
}
