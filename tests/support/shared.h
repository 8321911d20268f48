/* SPDX-License-Identifier: MIT */
/* What tests of shared objects share: words that processes wait for, random numbers with a seed
 * that is printed, threads that report like children, and how much of the arena is in use. */
#ifndef MPROC_TESTS_SHARED_H
#define MPROC_TESTS_SHARED_H

#include "base/atomic.h"
#include "shm/arena.h"
#include "shm/span.h"
#include "support/child.h"

#include <mproc/shared.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef _Atomic uint32_t word;

/* Zeroed memory that forked children share and that has nothing to do with the library. */
static inline void *common(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Waits until *w is at least `value`; false if that takes beyond all reason. */
static inline bool await(word *w, uint32_t value)
{
    double end = seconds() + 2 * LONG;
    for (unsigned i = 0; mp__load_acquire(w) < value; i++) {
        if (i < 100)
            sched_yield();
        else if (seconds() > end)
            return false;
        else
            nap(0.0002);
    }
    return true;
}

static inline void signal_word(word *w)
{
    mp__add_seq(w, 1);
}

/* xorshift64*; every process may go on from a seed of its own. */
typedef uint64_t random_state;

static inline uint64_t random_next(random_state *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint32_t random_below(random_state *s, uint32_t n)
{
    return (uint32_t)((random_next(s) >> 32) * n >> 32);
}

/* The seed is printed; MP_TEST_SEED repeats it. */
static inline random_state random_start(const char *test)
{
    const char *given = getenv("MP_TEST_SEED");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : (uint64_t)t.tv_nsec * 2654435761u + (uint64_t)getpid();
    printf("%s: MP_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed | 1;
}

/* How much less a slow tool (valgrind, sanitizers) is to repeat: MP_TEST_SCALE says how slow it
 * is. */
static inline int fewer(int n)
{
    const char *text = getenv("MP_TEST_SCALE");
    double scale = text != NULL ? strtod(text, NULL) : 1;
    return scale > 1 && n / scale >= 1 ? (int)(n / scale) : n;
}

/* A thread that runs a child's function: its result comes back. */
typedef struct task {
    int (*run)(void *);
    void *arg;
    int result;
    pthread_t id;
} task;

static inline void *task_main(void *arg)
{
    task *t = arg;
    t->result = t->run(t->arg);
    return NULL;
}

static inline int task_start(task *t, int (*run)(void *), void *arg)
{
    *t = (task){.run = run, .arg = arg, .result = -1};
    return pthread_create(&t->id, NULL, task_main, t);
}

static inline int task_end(task *t)
{
    pthread_join(t->id, NULL);
    return t->result;
}

/* Bytes in blocks of the arena that nobody has freed. */
static inline size_t bytes_in_use(void)
{
    mp_shared_usage s = {.size = sizeof s};
    return mp__arena_get() != NULL && mp_shared_stats(&s) == 0 ? s.in_use : 0;
}

struct mp__life *mp__life_mine(void); /* sync/life.h, which not every test can include */

/* The same before a test of what uses life records: they are never freed, so the first are made. */
static inline size_t bytes_before(void)
{
    return mp__life_mine() != NULL ? bytes_in_use() : 0;
}

#endif
