/* SPDX-License-Identifier: MIT */
/*
 *   allow NUMBER[=ERRNO] ... -- PROGRAM ARGUMENT ...
 *
 * Runs a program that may make these system calls; those with an errno fail with it, and any other
 * kills the process that makes it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CALLS_MOST = 400 };

static unsigned short count;
static struct sock_filter filter[2 * CALLS_MOST + 2];

static void add(unsigned short code, unsigned char otherwise, unsigned value)
{
    filter[count++] = (struct sock_filter){code, 0, otherwise, value};
}

static void add_call(const char *word)
{
    const char *equals = strchr(word, '=');
    unsigned verdict =
        equals == NULL ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (unsigned)atoi(equals + 1);
    add(BPF_JMP | BPF_JEQ | BPF_K, 1, (unsigned)atoi(word));
    add(BPF_RET | BPF_K, 0, verdict);
}

int main(int argc, char **argv)
{
    int i = 1;
    add(BPF_LD | BPF_W | BPF_ABS, 0, offsetof(struct seccomp_data, nr));
    for (; i < argc && strcmp(argv[i], "--") != 0 && i <= CALLS_MOST; i++)
        add_call(argv[i]);
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0)
        return 126;
    add(BPF_RET | BPF_K, 0, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {count, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("seccomp");
        return 126;
    }
    execv(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
