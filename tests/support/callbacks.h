/* SPDX-License-Identifier: MIT */
/* Tests of done callbacks: one that writes down that it ran. */
#ifndef MPROC_TESTS_CALLBACKS_H
#define MPROC_TESTS_CALLBACKS_H

#include "support/pools.h"

#include <math.h>
#include <pthread.h>

#define TAG(s) ((void *)(uintptr_t)(s))

/* What callbacks have done. */
static struct {
    int count;
    char order[64];
    mp_result *result[64];
    pthread_t thread;
    bool was_done;
} seen;

static inline void note(mp_result *r, void *arg)
{
    seen.order[seen.count % 64] = *(const char *)arg;
    seen.result[seen.count++ % 64] = r;
    seen.thread = pthread_self();
    seen.was_done = mp_result_ready(r);
}

/* The socket that mp_wait() keeps is there before the first test. */
static inline int begin(void **state)
{
    mp_queue *q;
    memset(&seen, 0, sizeof seen);
    if (mp_queue_new(&q) != 0)
        return -1;
    mp_waitable w = {.kind = MP_WAIT_QUEUE, .object = q};
    mp_wait(&w, 1, 0.001);
    mp_queue_free(q);
    return workers_setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, workers_teardown)

#endif
