/* SPDX-License-Identifier: MIT */
/* Workers that may compute, but neither open files nor run other programs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSE(call)                                                                               \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

/* Runs once in each worker, replacements included. A real filter looks at the architecture, too. */
static int lock_up(void *unused)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), REFUSE(openat),
        REFUSE(execve), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return unused != NULL;
    return mp_task_fail(-errno, "no sandbox: %s", strerror(errno));
}

static int untrusted(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    const char *what = in;
    if (strcmp(what, "open") == 0 && open("/etc/passwd", O_RDONLY) < 0)
        return mp_task_fail(-errno, "%s: %s", what, strerror(errno));
    if (strcmp(what, "exec") == 0 && execl("/bin/true", "true", NULL) < 0)
        return mp_task_fail(-errno, "%s: %s", what, strerror(errno));
    return 0;
}

int main(void)
{
    char items[3][8] = {"compute", "open", "exec"};
    mp_pool *pool;
    int rc = mp_pool_new(&pool, .processes = 1, .initializer = lock_up);
    for (int i = 0; i < 3 && rc >= 0; i++) {
        mp_task_error error = {.text = "computed"};
        mp_pool_apply(pool, untrusted, items[i], sizeof items[i], NULL, 0, MP_FOREVER);
        mp_last_task_error(&error);
        printf("%s\n", error.text);
    }
    mp_pool_free(pool);
    return rc < 0;
}
