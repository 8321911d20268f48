/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include "os/atfork.h"

#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Thread_local mp__thread mp__thread_this;

void mp__thread_discover(void)
{
    mp__thread *self = &mp__thread_this;
    size_t length = 0;
    mp__atfork_install(); /* what is cached below is wrong in a forked child */
    self->robust = NULL;
    if (syscall(SYS_get_robust_list, 0, &self->robust, &length) != 0 ||
        length != sizeof(struct robust_list_head))
        self->robust = NULL;
    self->tid = (uint32_t)syscall(SYS_gettid);
    self->is_main = self->tid == (uint32_t)getpid();
    self->held = 0;
    self->life = NULL;
}

void mp__thread_forget(void)
{
    mp__thread_this.tid = 0;
}

int mp__process_id(void)
{
    return (int)getpid();
}

int mp__thread_count(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink < 3)
        return 2;
    return (int)tasks.st_nlink - 2;
}
