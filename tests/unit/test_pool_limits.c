/* SPDX-License-Identifier: MIT */
/* Pools at the limits of the system: no processes, descriptors or memory left, at their making and
 * later. Each case is a program of its own. */
#include "pool/control.h"
#include "support/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

static int works(mp_pool *pool)
{
    long in[50], out[50];
    count_up(in, 50);
    memset(out, 0xff, sizeof out);
    int rc = MP_MAP(pool, square, in, out, 50);
    for (int i = 0; i < 50 && rc == 0; i++)
        rc = out[i] == i * i ? 0 : 1;
    return rc;
}

static int set_limit(int resource, rlim_t n)
{
    struct rlimit limit;
    getrlimit((__rlimit_resource_t)resource, &limit);
    limit.rlim_cur = n;
    return setrlimit((__rlimit_resource_t)resource, &limit);
}

/* What a pool that was not made would have used is somebody else's now, and stays as it is. */
static bool nobody_writes(void)
{
    size_t size = sizeof(mp__pool_control) + 5 * sizeof(mp__slot);
    char *blocks[3];
    for (int i = 0; i < 3; i++)
        blocks[i] = mp_shared_calloc(1, size);
    bool clean = no_children_left();
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < size; k++)
            clean = clean && blocks[i][k] == 0;
        mp_shared_free(blocks[i]);
    }
    return clean;
}

/* Every number of descriptors, from none to enough: a code, and nothing left behind. */
static int out_of_descriptors(void *arg)
{
    (void)arg;
    mp_pool *pool;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    CHECK(mp_pool_new(&pool, .processes = 1) == 0);
    mp_pool_free(pool);
    int before = open_descriptors(), failed = 0;
    for (rlim_t n = 3; n < 64; n++) {
        struct rlimit old;
        getrlimit(RLIMIT_NOFILE, &old);
        CHECK(set_limit(RLIMIT_NOFILE, n) == 0);
        int rc = mp_pool_new(&pool, .processes = 4);
        CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
        if (rc == 0)
            CHECK(works(pool) == 0 && finish(pool) == 0);
        else
            CHECK(rc == MP_ESYS(EMFILE) && pool == NULL && nobody_writes());
        failed += rc != 0;
        CHECK(open_descriptors() == before);
        CHECK(mp_shared_check(NULL) == 0);
    }
    CHECK(failed > 3);
    return 0;
}

#define NOBODY 54322 /* a user id that no process here has */

static int become_nobody(void)
{
    return setgid(NOBODY) == 0 && setuid(NOBODY) == 0 ? 0 : 1;
}

/* How many processes this user may have; how many it has is its own children alone. */
static int out_of_processes(void *arg)
{
    (void)arg;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* zombies count, until somebody reaps them: we do */
    CHECK(mp_init() == 0);
    CHECK(become_nobody() == 0);
    int before = open_descriptors(), failed = 0, good = 0;
    for (rlim_t n = 1; n < 12; n++) {
        mp_pool *pool;
        CHECK(set_limit(RLIMIT_NPROC, n) == 0);
        int rc = mp_pool_new(&pool, .processes = 4);
        if (rc == 0)
            CHECK(works(pool) == 0 && finish(pool) == 0);
        else
            CHECK(rc == MP_ESYS(EAGAIN) && pool == NULL);
        failed += rc != 0;
        good += rc == 0;
        CHECK(no_children_left());
        CHECK(mp_shared_check(NULL) == 0);
    }
    CHECK(failed > 0 && good > 0);
    CHECK(open_descriptors() <= before + 1);
    return 0;
}

/* Replacements cannot be forked for a while. */
static int no_replacements(void *arg)
{
    (void)arg;
    mp_pool *pool;
    CHECK(mp_init() == 0);
    CHECK(become_nobody() == 0);
    CHECK(mp_pool_new(&pool, .processes = 2) == 0);
    pid_t supervisor = supervisor_of(pool);
    int pids[2] = {0, 0}, i = 0;
    mp_result *busy;
    CHECK(mp_pool_apply_async(pool, &busy, held, &i, sizeof i, 0) == 0);
    CHECK(await(&board->pid[0]));
    CHECK(mp_pool_apply(pool, own_pid, NULL, 0, &pids[0], sizeof *pids, LONG) == 0);
    struct rlimit old;
    CHECK(prlimit(supervisor, RLIMIT_NPROC, &(struct rlimit){1, 4096}, &old) == 0);
    kill(pids[0], SIGKILL);
    CHECK(await_death(pids[0]));
    mp_result *waiting;
    CHECK(mp_pool_apply_async(pool, &waiting, own_pid, NULL, 0, sizeof *pids) == 0);
    CHECK(mp_result_wait(waiting, 0.3) == MP_ETIMEDOUT); /* the one worker is busy */
    CHECK(prlimit(supervisor, RLIMIT_NPROC, &(struct rlimit){4096, 4096}, NULL) == 0);
    CHECK(mp_result_get(waiting, &pids[1], sizeof *pids, LONG) == 0);
    CHECK(pids[1] != pids[0] && pids[1] != board->pid[0]);
    release(0);
    CHECK(mp_result_wait(busy, LONG) == 0);
    mp_result_free(waiting);
    mp_result_free(busy);
    return finish(pool);
}

/* Replacements can be forked, but not watched, for a while: nothing is lost by those that were
 * given up. */
static int unwatched_replacements(void *arg)
{
    (void)arg;
    enum { N = 4000 };
    static long in[N], out[N];
    mp_pool *pool;
    CHECK(mp_pool_new(&pool, .processes = 2) == 0);
    pid_t supervisor = supervisor_of(pool);
    count_up(in, N);
    for (rlim_t n = 3; n < 14; n++) {
        mp_result *r;
        int pid;
        CHECK(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG) == 0);
        CHECK(prlimit(supervisor, RLIMIT_NOFILE, &(struct rlimit){n, 4096}, NULL) == 0);
        kill(pid, SIGKILL);
        CHECK(await_death(pid));
        CHECK(mp_pool_map_async(pool, &r, square, in, sizeof *in, sizeof *out, N) == 0);
        mp_result_wait(r, 0.15); /* an attempt fails meanwhile */
        CHECK(prlimit(supervisor, RLIMIT_NOFILE, &(struct rlimit){1024, 4096}, NULL) == 0);
        memset(out, 0xff, sizeof out);
        CHECK(mp_result_get(r, out, sizeof out, LONG) == 0);
        for (int i = 0; i < N; i++)
            CHECK(out[i] == (long)i * i);
        mp_result_free(r);
    }
    return finish(pool);
}

/* Memory: of the process, and of what is shared. */
static int out_of_memory(void *arg)
{
    (void)arg;
    mp_pool *pool;
    mp_result *r;
    CHECK(mp_init() == 0);
    CHECK(mp_pool_new(&pool, .processes = 2) == 0);
    size_t huge = (size_t)1 << 46;
    CHECK(mp_pool_map_async(pool, &r, nothing, NULL, 0, huge, 1) == MP_ENOMEM && r == NULL);
    CHECK(works(pool) == 0);
    long used = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f != NULL && fscanf(f, "%ld", &used) == 1);
    fclose(f);
    struct rlimit old;
    getrlimit(RLIMIT_AS, &old);
    for (int pages = 0; pages < 64; pages += 8) { /* not even stacks and heaps may grow */
        mp_pool *other;
        CHECK(set_limit(RLIMIT_AS, (rlim_t)(used + pages) * 4096) == 0);
        int rc = mp_pool_new(&other, .processes = 2);
        CHECK(setrlimit(RLIMIT_AS, &old) == 0);
        if (rc == 0)
            CHECK(works(other) == 0 && finish(other) == 0);
        else
            CHECK(rc == MP_ENOMEM && other == NULL);
    }
    CHECK(works(pool) == 0);
    CHECK(mp_shared_check(NULL) == 0);
    return finish(pool);
}

static void limit_case(int (*program)(void *))
{
    assert_int_equal(child_end(child_start(program, NULL)), 0);
}

static void descriptors(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it takes descriptors for itself */
    limit_case(out_of_descriptors);
    limit_case(unwatched_replacements);
}

static void processes(void **state)
{
    (void)state;
    if (geteuid() != 0 || getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* needs a user without other processes; and valgrind's files are root's */
    limit_case(out_of_processes);
    limit_case(no_replacements);
}

static void memory(void **state)
{
    (void)state;
    const char *scale = getenv("MP_TEST_SCALE");
    if (scale != NULL && strtod(scale, NULL) > 1)
        skip(); /* sanitizers and valgrind need the address space themselves */
    limit_case(out_of_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(descriptors),
        POOL_TEST(processes),
        POOL_TEST(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
