/* SPDX-License-Identifier: MIT */
/*
 * Runs one test program and answers for what it leaves behind.
 *
 *     runner SECONDS PROGRAM [ARGUMENT ...]
 *
 * The program gets a session of its own, and SECONDS times MP_TEST_SCALE to end. The runner is the
 * subreaper of all that the program starts: who outlives its parent becomes the runner's child,
 * also after setsid() or a double fork. So a child that is there a moment after the program's end
 * was left behind. It is named, killed, and fails the program.
 *
 * Exit status: the program's; 128 + N: killed by signal N; 124: out of time; 125: a process was
 * left behind; 126: the runner itself failed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUT_OF_TIME = 124, LEFT_BEHIND = 125, RUNNER_FAILED = 126 };

static sigset_t awaited;
static int interrupted; /* the signal that told the runner to give up */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double scale(void)
{
    const char *text = getenv("MP_TEST_SCALE");
    double value = text != NULL ? strtod(text, NULL) : 1;
    return value > 0 ? value : 1;
}

/* Makes a test start from the same state whoever calls: make, a terminal, a CI job. */
static void become(char **argv)
{
    static const int reset[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD};
    for (size_t i = 0; i < sizeof(reset) / sizeof(reset[0]); i++)
        signal(reset[i], SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &awaited, NULL);
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &core);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    setsid();
    if (freopen("/dev/null", "r", stdin) != NULL)
        execvp(argv[0], argv);
    perror(argv[0]);
    _exit(RUNNER_FAILED);
}

/* Reaps until `pid` has ended, or with pid 0 until no child is left; false at the deadline. */
static bool reap(pid_t pid, double deadline, int *status)
{
    for (;;) {
        int ended;
        pid_t got = waitpid(-1, &ended, WNOHANG);
        if (got > 0 && got == pid) {
            *status = ended;
            return true;
        }
        if (got > 0)
            continue;
        if (got < 0)
            return true;
        double left = deadline - now();
        if (left <= 0 || interrupted != 0)
            return false;
        struct timespec nap = {.tv_nsec = 100000000};
        if (left < 0.1)
            nap.tv_nsec = (long)(left * 1e9);
        int signo = sigtimedwait(&awaited, NULL, &nap);
        if (signo > 0 && signo != SIGCHLD)
            interrupted = signo;
    }
}

static size_t read_proc(pid_t pid, const char *what, char *buffer, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    FILE *file = fopen(path, "r");
    size_t length = file != NULL ? fread(buffer, 1, size - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    buffer[length] = '\0';
    return length;
}

static pid_t parent_of(pid_t pid, char *state)
{
    char stat[512];
    read_proc(pid, "stat", stat, sizeof(stat));
    const char *rest = strrchr(stat, ')'); /* a name may hold anything */
    int parent = 0;
    return rest != NULL && sscanf(rest + 1, " %c %d", state, &parent) == 2 ? parent : 0;
}

static void describe(pid_t pid, char state)
{
    char where[128];
    char command[256];
    read_proc(pid, "wchan", where, sizeof(where));
    size_t length = read_proc(pid, "cmdline", command, sizeof(command));
    for (size_t i = 0; i + 1 < length; i++)
        if (command[i] == '\0')
            command[i] = ' ';
    printf("runner: killed process %d, state %c in %s: %s\n", (int)pid, state, where, command);
}

/* Kills every child. The dead ones' children then become ours, so once may not be enough. */
static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        char state = '?';
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (pid == 0 || parent_of(pid, &state) != getpid() || state == 'Z')
            continue;
        describe(pid, state);
        kill(pid, SIGKILL);
    }
    if (proc != NULL)
        closedir(proc);
}

static void kill_all(void)
{
    int why = interrupted;
    for (int i = 0; i < 100; i++) {
        int status;
        kill_children();
        interrupted = 0;
        if (reap(0, now() + 0.2, &status))
            break;
    }
    interrupted = why;
}

static int verdict(bool ended, bool left, int status)
{
    if (interrupted != 0)
        return 128 + interrupted;
    if (!ended)
        return OUT_OF_TIME;
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == 0 && left ? LEFT_BEHIND : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    if (argc < 3 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return RUNNER_FAILED;
    double limit = strtod(argv[1], NULL) * scale();
    static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&awaited, signals[i]);
    sigprocmask(SIG_BLOCK, &awaited, NULL);

    pid_t pid = fork();
    if (pid == 0)
        become(argv + 2);
    if (pid < 0)
        return RUNNER_FAILED;
    int status = 0;
    bool ended = reap(pid, now() + limit, &status);
    if (!ended)
        printf("runner: not ended after %.0f s\n", limit);
    int ignored;
    bool left = !reap(0, now() + (ended ? 2 * scale() : 0), &ignored);
    if (left)
        kill_all();
    return verdict(ended, left, status);
}
