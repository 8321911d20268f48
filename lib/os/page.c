/* SPDX-License-Identifier: MIT */
#include "os/page.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

void *mp__page_new(void)
{
    int saved = errno;
    void *page =
        mmap(NULL, MP__PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    return page == MAP_FAILED ? NULL : page;
}

void mp__page_free(void *page)
{
    int saved = errno;
    if (page != NULL)
        munmap(page, MP__PAGE_SIZE);
    errno = saved;
}
