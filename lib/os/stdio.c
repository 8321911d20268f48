/* SPDX-License-Identifier: MIT */
#include "os/stdio.h"

#include "os/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>

void mp__stdio_flush(void)
{
    int saved = errno;
    fflush(stdout);
    fflush(stderr);
    if (mp__thread_count() == 1)
        fflush(NULL);
    errno = saved;
}

void mp__stdio_disown(void)
{
    __fpurge(stdout);
    __fpurge(stderr);
}

void mp__stdio_finish(void)
{
    fcloseall(); /* what exit() does last; despite its name no descriptor is closed */
}
