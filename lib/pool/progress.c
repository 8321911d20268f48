/* SPDX-License-Identifier: MIT */
/* The ready progress bar. */
#include <mproc/pool.h>

#include "os/fd.h"

#include <stdio.h>

#define WIDTH  40
#define STDERR 2

void mp_progress_bar(size_t done, size_t total, void *arg)
{
    (void)arg;
    if (!mp__fd_is_terminal(STDERR))
        return;
    char bar[WIDTH + 1];
    int full = total == 0 ? WIDTH : (int)((double)done / (double)total * WIDTH);
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3d %%  %zu/%zu%s", bar,
            total == 0 ? 100 : (int)((double)done / (double)total * 100), done, total,
            done >= total ? "\n" : "");
    fflush(stderr);
}
