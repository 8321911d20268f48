/* SPDX-License-Identifier: MIT */
/* Kill points: the named steps of a protocol, where a test can kill or stop a process. */
#ifndef MPROC_OS_STEP_H
#define MPROC_OS_STEP_H

/*
 * MP_STEP("queue.put.copied") stands between two instructions of a protocol where a death is a case
 * of its own; its name says object, operation, and what has just been done. Only a build with
 * MPROC_STEPS has steps (`make check-steps`); in any other it is nothing.
 */
#ifdef MPROC_STEPS
#define MP_STEP(name)                                                                              \
    do {                                                                                           \
        static const char *const mp__step_here __attribute__((section("mp_steps"), used)) =        \
            (name);                                                                                \
        mp__step_reach(mp__step_here);                                                             \
    } while (0)
#else
#define MP_STEP(name) ((void)0)
#endif

/* What follows does something only in a build with steps. */

void mp__step_reach(const char *name);

/* From now on this process gets `signal` when it comes to the step the nth time (from 1), once;
 * NULL: none. A child inherits it, and counts on its own. */
void mp__step_arm(const char *name, int nth, int signal);

/* Calls f for each step of the program, in no order; a step that occurs twice is told twice. */
void mp__step_each(void (*f)(const char *name, void *arg), void *arg);

#endif
