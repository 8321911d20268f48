/* SPDX-License-Identifier: MIT */
/* Static probes for tracers: perf, bpftrace, SystemTap and gdb find them in the library's file. */
#ifndef MPROC_OS_PROBE_H
#define MPROC_OS_PROBE_H

/*
 * MP_PROBE2(queue__get__awake, q, rc) is the probe mproc:queue__get__awake with two arguments,
 * integers or pointers. A library built with `make USDT=1` has them, and needs <sys/sdt.h> to be
 * built (Debian: systemtap-sdt-dev): each is one instruction that does nothing, and a note that
 * says where it is and where its arguments are. In any other build it is nothing, and its arguments
 * are not evaluated. docs/debugging.md has the list, which `make check-usdt` compares with the
 * library.
 */
#include <stddef.h>

#ifdef MPROC_USDT
#include <sys/sdt.h>
#define MP_PROBE1(name, a)       DTRACE_PROBE1(mproc, name, a)
#define MP_PROBE2(name, a, b)    DTRACE_PROBE2(mproc, name, a, b)
#define MP_PROBE3(name, a, b, c) DTRACE_PROBE3(mproc, name, a, b, c)
#else
#define MP_PROBE1(name, a)       ((void)0)
#define MP_PROBE2(name, a, b)    ((void)0)
#define MP_PROBE3(name, a, b, c) ((void)0)
#endif

#endif
