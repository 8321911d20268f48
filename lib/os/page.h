/* SPDX-License-Identifier: MIT */
/* Single pages that a process shares with the children it forks, and with nobody else. */
#ifndef MPROC_OS_PAGE_H
#define MPROC_OS_PAGE_H

#define MP__PAGE_SIZE 4096 /* what may be used of it */

/* A zeroed page; NULL if there is no memory. The kernel frees it with the last process. */
void *mp__page_new(void);

/* Ends the calling process's share. NULL is allowed. */
void mp__page_free(void *page);

#endif
