/* SPDX-License-Identifier: MIT */
/* One descriptor for several. */
#ifndef MPROC_OS_POLLSET_H
#define MPROC_OS_POLLSET_H

/* Makes a descriptor that is readable while one of these is, or is hung up; closed on exec. Returns
 * it or a code. It keeps neither of them open. */
int mp__pollset_open(int a, int b);

#endif
