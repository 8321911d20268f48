/* SPDX-License-Identifier: MIT */
/* Tests of the pains of pools: what a test, its programs and its tasks tell each other, tasks, and
 * what must be true again after each test. */
#ifndef MPROC_TESTS_CREW_H
#define MPROC_TESTS_CREW_H

#include "pains/pain.h"

#define ITEMS 1000

static struct crew {
    word began;   /* tasks of hold() and meet() */
    word pid[16]; /* of who is there, by number */
    word go[16];  /* lets the task of that number end */
    word runs[ITEMS];
} * crew;

static int descriptors_before;

static inline int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* What the library opens once and keeps. */
static inline int open_what_is_kept(void)
{
    mp_pool *pool;
    mp_process *p;
    if (mp_pool_new(&pool, .processes = 1) != 0 ||
        mp_process_new(&p, .target = do_nothing, .daemon = MP_YES) != 0 ||
        mp_process_start(p) != 0 || mp_process_join(p, LONG) != 0)
        return -1;
    mp_pool_free(pool);
    return mp_process_free(p);
}

/* For cmocka; orphans become the test's own children. */
static inline int crew_setup(void **state)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (crew == NULL)
        crew = common(sizeof *crew);
    if (crew == NULL || desk_setup(state) != 0 || open_what_is_kept() != 0)
        return -1;
    memset((void *)crew, 0, sizeof *crew);
    descriptors_before = open_descriptors();
    return 0;
}

static inline int crew_teardown(void **state)
{
    (void)state;
    if (open_descriptors() != descriptors_before) {
        fprintf(stderr, "%d descriptors, %d before\n", open_descriptors(), descriptors_before);
        return -1;
    }
    return no_children_left() ? mp_shared_check(NULL) : -1;
}

#define CREW_TEST(f) cmocka_unit_test_setup_teardown(f, crew_setup, crew_teardown)

/* Waits until a process is in one of these states; "": until it is no more, or a zombie. */
static inline bool until_state(pid_t pid, const char *states)
{
    double end = seconds() + LONG;
    do {
        char s = state_of(pid);
        if (s == 0 || s == 'Z')
            return *states == '\0';
        if (strchr(states, s) != NULL)
            return true;
        nap(0.0005);
    } while (seconds() < end);
    return false;
}

/* Tasks. */

static inline int square(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x * x;
    return 0;
}

static inline int count_run(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    signal_word(&crew->runs[*(const int *)in]);
    return 0;
}

/* Says that it is there, by its number, and stays until it may go. */
static inline int hold(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    int i = *(const int *)in;
    mp__store_seq(&crew->pid[i], (uint32_t)getpid());
    signal_word(&crew->began);
    return await(&crew->go[i], 1) ? 0 : -1;
}

/* Stays until so many are there as the context says: each worker of a pool runs one. */
static inline int meet(const void *in, void *out, void *context)
{
    (void)in;
    signal_word(&crew->began);
    *(pid_t *)out = getpid();
    return await(&crew->began, (uint32_t)(uintptr_t)context) ? 0 : -1;
}

static inline mp_pool *crew_pool(int processes)
{
    mp_pool *pool = NULL;
    assert_int_equal(mp_pool_new(&pool, .processes = processes), 0);
    return pool;
}

/* A task that runs until mp__store_seq(&crew->go[i], 1); it has started. */
static inline mp_result *held(mp_pool *pool, int i)
{
    mp_result *r = NULL;
    assert_int_equal(mp_pool_apply_async(pool, &r, hold, &i, sizeof i, 0), 0);
    assert_true(await(&crew->pid[i], 1));
    return r;
}

/* The ids of all workers of a pool; 0 or why not. For programs, too. */
static inline int who_works(mp_pool *pool, pid_t *pids, int processes)
{
    mp__store_seq(&crew->began, 0);
    mp_job job = {.size = sizeof job,
                  .task = meet,
                  .context = (void *)(uintptr_t)processes,
                  .out = pids,
                  .out_size = sizeof *pids,
                  .count = (size_t)processes,
                  .chunksize = 1};
    return mp_pool_run(pool, &job, LONG);
}

static inline bool works(mp_pool *pool)
{
    long x = 12, y = 0;
    return mp_pool_apply(pool, square, &x, sizeof x, &y, sizeof y, LONG) == 0 && y == 144;
}

/* Closes, joins and frees. */
static inline int finish(mp_pool *pool)
{
    int rc = mp_pool_close(pool);
    if (rc == 0)
        rc = mp_pool_join(pool, LONG);
    mp_pool_free(pool);
    return rc;
}

#endif
