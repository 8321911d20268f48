/* SPDX-License-Identifier: MIT */
#include "os/page.h"

#include <errno.h>
#include <sys/mman.h>

void *mp__page_new(size_t size)
{
    int saved = errno;
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    return page == MAP_FAILED ? NULL : page;
}

void mp__page_free(void *page, size_t size)
{
    int saved = errno;
    if (page != NULL)
        munmap(page, size);
    errno = saved;
}
