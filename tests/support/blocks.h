/* SPDX-License-Identifier: MIT */
/* Named blocks of tests: names of this test's own, of which none is left when it ends, and what the
 * system says about their files. */
#ifndef MPROC_TESTS_BLOCKS_H
#define MPROC_TESTS_BLOCKS_H

#include "support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mproc/error.h>
#include <mproc/shared_memory.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char blocks_prefix[32];
static pid_t blocks_of;
static int blocks_descriptors;

/* "mptest-PID-" and the rest, good until the next eight calls. */
static inline const char *named(const char *rest)
{
    static char names[8][300];
    static int next;
    char *name = names[next++ % 8];
    snprintf(name, sizeof names[0], "%s%s", blocks_prefix, rest);
    return name;
}

/* Whether the file is there: its length; -1 if not. */
static inline long long file_length(const char *name)
{
    char path[320];
    struct stat s;
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    return lstat(path, &s) == 0 ? (long long)s.st_size : -1;
}

static inline int file_mode(const char *name)
{
    char path[320];
    struct stat s;
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    return lstat(path, &s) == 0 ? (int)s.st_mode : -1;
}

/* Bytes of memory that the file has. */
static inline long long file_memory(const char *name)
{
    char path[320];
    struct stat s;
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    return lstat(path, &s) == 0 ? (long long)s.st_blocks * 512 : -1;
}

/* How many files begin with the prefix; removes them. */
static inline int blocks_sweep(void)
{
    int count = 0;
    DIR *d = opendir("/dev/shm");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, blocks_prefix, strlen(blocks_prefix)) == 0) {
            if (unlinkat(dirfd(d), e->d_name, 0) != 0)
                unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
            fprintf(stderr, "left in /dev/shm: %s\n", e->d_name);
            count++;
        }
    if (d != NULL)
        closedir(d);
    return count;
}

static inline void blocks_sweep_at_exit(void)
{
    if (getpid() == blocks_of)
        blocks_sweep();
}

/* For cmocka. */
static inline int blocks_setup(void **state)
{
    (void)state;
    if (blocks_of == 0) {
        blocks_of = getpid();
        atexit(blocks_sweep_at_exit);
    }
    snprintf(blocks_prefix, sizeof blocks_prefix, "mptest-%d-", (int)getpid());
    blocks_descriptors = open_descriptors();
    return 0;
}

static inline int blocks_teardown(void **state)
{
    (void)state;
    if (open_descriptors() != blocks_descriptors) {
        fprintf(stderr, "%d descriptors, %d before\n", open_descriptors(), blocks_descriptors);
        return -1;
    }
    return blocks_sweep() == 0 ? 0 : -1;
}

#define BLOCK_TEST(f) cmocka_unit_test_setup_teardown(f, blocks_setup, blocks_teardown)

/* In a child: from now on a system call whose argument has any of these bits is the error `e`; bits
 * 0: every such call. Returns 0, or -1 if this system knows no such filters. */
static inline int forbid(unsigned call, unsigned argument, unsigned bits, unsigned e)
{
    unsigned at = (unsigned)(offsetof(struct seccomp_data, args) + argument * 8); /* its low half */
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        at += 4;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
        BPF_JUMP(BPF_JMP | (bits == 0 ? BPF_JGE : BPF_JSET) | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | e),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* As where a file without a name cannot be given one. */
static inline int forbid_linkat(void)
{
    return forbid(SYS_linkat, 0, 0, EPERM);
}

/* As where there are no files without a name. */
static inline int forbid_unnamed_files(void)
{
    return forbid(SYS_openat, 2, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP);
}

#endif
