/* SPDX-License-Identifier: MIT */
/* Memory that a process shares with the children it forks, and with nobody else. */
#ifndef MPROC_OS_PAGE_H
#define MPROC_OS_PAGE_H

#include <stddef.h>

/* Zeroed, in whole pages that cost nothing until they are touched; NULL if there is no memory. The
 * kernel frees it with the last process. */
void *mp__page_new(size_t size);

/* Ends the calling process's share. NULL is allowed. */
void mp__page_free(void *page, size_t size);

#endif
