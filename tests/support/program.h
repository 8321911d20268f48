/* SPDX-License-Identifier: MIT */
/* Tests of processes: "programs", forked from the test, that start processes with the library and
 * end in some way. What they leave becomes the test's own children, so that it can be waited
 * for. */
#ifndef MPROC_TESTS_PROGRAM_H
#define MPROC_TESTS_PROGRAM_H

#include "support/child.h"

#include <fcntl.h>
#include <mproc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* What a test and its programs tell each other. */
struct board {
    _Atomic int pid[8];
    _Atomic int flag[8];
};
static struct board *board;

/* For cmocka: a clean board, and orphans come to us. */
static inline int board_setup(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (board == NULL)
        board =
            mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return -1;
    memset(board, 0, sizeof *board);
    return 0;
}

/* Waits until somebody has set it; returns it, 0 if that took too long. */
static inline int await(_Atomic int *word)
{
    double end = seconds() + LONG;
    while (atomic_load(word) == 0 && seconds() < end)
        poll(NULL, 0, 1);
    return atomic_load(word);
}

/* Waits until it is gone or a zombie. */
static inline bool await_death(pid_t pid)
{
    double end = seconds() + LONG;
    for (;;) {
        char state = state_of(pid);
        if (state == 0 || state == 'Z')
            return true;
        if (seconds() > end)
            return false;
        poll(NULL, 0, 1);
    }
}

/* A child that would live for ever; says on the board that it is there. */
static inline int live_on(void *arg)
{
    int i = (int)(intptr_t)arg;
    alarm(240);
    atomic_store(&board->pid[i], getpid());
    while (pause() < 0) /* always: -1 after each handler */
        continue;
    return 0;
}

#define SLOT(i) ((void *)(intptr_t)(i))

#endif
