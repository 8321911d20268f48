/* SPDX-License-Identifier: MIT */
/*
 * Why a crash stays what it was. The handler only adds to shared memory, sets the signal's default
 * disposition and sends the signal to its own thread again, with its first information; it is
 * delivered when the handler returns. So status and core dump are those of a process without a
 * handler.
 *
 * Why it ends. All signals of the kind are blocked in the handler: if it crashes itself the kernel
 * kills at once. If it hangs, in a lock of the dynamic linker's that another thread keeps, SIGALRM
 * ends it. Another thread that crashes meanwhile waits, so that the first one's signal
 * kills and its backtrace is whole; not for ever, too.
 *
 * Only what is async-signal-safe is called, and backtrace(), which is it in practice once its first
 * call has loaded the compiler's library: it neither allocates nor, with glibc since 2.35, locks.
 */
#include "os/backtrace.h"

#include "os/step.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define OWN_MOST    8 /* frames of the handler and of what the kernel and it put between */
#define STACK_LEAST (16 << 10)
#define PATIENCE_S  2 /* with a handler that hangs */
#define PAUSES      4000
#define PAUSE_NS    1000000

static const int covered[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define COVERED (sizeof covered / sizeof *covered)

static _Alignas(64) char alternate[64 << 10];

static mp__crash *armed;
static pid_t armed_pid; /* a forked child has its parent's handlers, and nowhere to write */
static volatile sig_atomic_t dying_of;

void mp__backtrace_prepare(void)
{
    void *frame[1];
    backtrace(frame, 1);
}

bool mp__backtrace_covers(int number)
{
    bool covers = false;
    for (size_t i = 0; i < COVERED; i++)
        covers |= covered[i] == number;
    return covers;
}

/* ---- in the handler ---- */

static void send_to_self(int number, const siginfo_t *info)
{
    pid_t tid = (pid_t)syscall(SYS_gettid);
    if (info == NULL || syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, number, info) != 0)
        syscall(SYS_tgkill, getpid(), tid, number);
}

static void die_of(int number, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
    send_to_self(number, info);
}

/* Where the thread was; 0 where this is not known how to tell. */
static uintptr_t place_of(const ucontext_t *u)
{
#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_EIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

/* Where a function that has just been entered returns to. */
static uintptr_t caller_of(const ucontext_t *u)
{
#if defined(__x86_64__)
    return *(const uintptr_t *)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__i386__)
    return *(const uintptr_t *)u->uc_mcontext.gregs[REG_ESP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.regs[30];
#else
    (void)u;
    return 0;
#endif
}

static uint32_t append(mp__crash *c, uint32_t count, uintptr_t frame)
{
    if (count == MP__FRAMES_MOST)
        return count;
    c->frame[count++] = frame;
    mp__store_release(&c->count, count); /* for who reads after a death in the middle */
    return count;
}

static void record(mp__crash *c, const ucontext_t *u)
{
    void *frame[MP__FRAMES_MOST + OWN_MOST];
    uintptr_t place = place_of(u);
    uint32_t count = append(c, 0, place);
    MP_STEP("backtrace.record.begun");
    int n = backtrace(frame, MP__FRAMES_MOST + OWN_MOST);
    int i = 0;
    while (i < n && (uintptr_t)frame[i] != place)
        i++;
    for (int k = i + 1; k < n; k++)
        count = append(c, count, (uintptr_t)frame[k]);
    if (i == n) /* nothing is known of that place: a call through a bad pointer */
        append(c, count, caller_of(u));
}

static void on_late(int number)
{
    (void)number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, dying_of);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    die_of(dying_of, NULL);
}

static void set_alarm(int number)
{
    struct sigaction action = {.sa_handler = on_late};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    dying_of = number;
    sigaction(SIGALRM, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(PATIENCE_S);
}

/* Another thread crashes, and kills this one. */
static void await_end(void)
{
    for (int i = 0; i < PAUSES; i++) {
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        nanosleep(&pause, NULL);
    }
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    uint32_t quiet = MP__CRASH_QUIET;
    if (getpid() == armed_pid) {
        if (mp__cas_acquire(&armed->state, &quiet, MP__CRASH_WRITING)) {
            set_alarm(number);
            record(armed, context);
            mp__store_release(&armed->state, MP__CRASH_WRITTEN);
        } else {
            await_end();
        }
    }
    die_of(number, info);
    errno = saved;
}

/* ---- before ---- */

/* One that the program has given this thread stays. */
static void have_alternate_stack(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) && now.ss_size >= STACK_LEAST)
        return;
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
}

void mp__backtrace_arm(mp__crash *crash)
{
    mp__store_relaxed(&crash->count, 0);
    mp__store_release(&crash->state, MP__CRASH_QUIET);
    armed = crash;
    armed_pid = getpid();
    have_alternate_stack();
    struct sigaction before,
        action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COVERED; i++)
        sigaddset(&action.sa_mask, covered[i]);
    for (size_t i = 0; i < COVERED; i++) {
        if (sigaction(covered[i], &action, &before) != 0)
            continue;
        if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL)
            sigaction(covered[i], &before, NULL);
    }
}
