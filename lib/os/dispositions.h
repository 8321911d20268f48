/* SPDX-License-Identifier: MIT */
/* Signal dispositions of helper processes, which must not run the program's handlers. */
#ifndef MPROC_OS_DISPOSITIONS_H
#define MPROC_OS_DISPOSITIONS_H

/* In a forked helper: every signal that the program catches gets its default disposition, none is
 * blocked, and those that end a program from its terminal or its service manager (SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT) are ignored: the helper lives as long as the program. */
void mp__dispositions_of_helper(void);

/* In its child, a worker: as in the helper, but only SIGINT is ignored, and whatever the program
 * itself ignored. */
void mp__dispositions_of_worker(void);

#endif
