/* SPDX-License-Identifier: MIT */
/* Kill storms: workers are killed at random moments. Every item is right, or reported exactly once
 * as lost in a kill that has happened; with enough retries all are right; and the pool ends in
 * order. */
#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include <cmocka.h>

enum { WORKERS = 3, ITEMS = 400, KILLS_MOST = 4000 };

/* What workers tell the storm, in memory that is not the library's. */
struct weather {
    _Atomic int at_work[64]; /* pids of workers that have run an item lately */
    word turn;
    word runs[ITEMS]; /* how often an item was begun */
};
static struct weather *weather;

struct storm {
    mp_pool *pool;
    random_state random;
    int killed[KILLS_MOST]; /* whom */
    int kills;
};

/* Tells who it is, and takes from 0 to some 100 us. */
static int work(const void *in, void *out, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)in;
    mp__store_relaxed(&weather->at_work[mp__add_seq(&weather->turn, 1) % 64], (int)getpid());
    mp__add_seq(&weather->runs[x], 1);
    for (uint32_t n = x * 37 % 3000; n > 0; n--)
        mp__pause();
    *(uint32_t *)out = x * 7 + 1;
    return 0;
}

/* SIGKILL to one that was at work lately; if it is gone, or was hit already, to nobody. */
static void strike(struct storm *s)
{
    int pid = mp__load_relaxed(&weather->at_work[random_below(&s->random, 64)]);
    for (int i = 0; i < s->kills; i++)
        if (s->killed[i] == pid)
            return;
    if (pid != 0 && s->kills < KILLS_MOST && kill(pid, SIGKILL) == 0)
        s->killed[s->kills++] = pid;
}

static bool was_killed(const struct storm *s, int pid)
{
    for (int i = 0; i < s->kills; i++)
        if (s->killed[i] == pid)
            return true;
    return false;
}

static mp_result *begin(struct storm *s, mp_job *job, mp_task_error *errors, uint32_t *out)
{
    static uint32_t in[ITEMS];
    mp_result *r = NULL;
    for (uint32_t i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = UINT32_MAX;
        mp__store_relaxed(&weather->runs[i], 0);
    }
    job->size = sizeof *job;
    job->task = work;
    job->in = in;
    job->in_size = sizeof *in;
    job->out = out;
    job->out_size = sizeof *out;
    job->count = ITEMS;
    job->errors = errors;
    static const size_t chunks[] = {0, 0, 1, 5, 1000};
    job->chunksize = chunks[random_below(&s->random, 5)];
    assert_int_equal(mp_pool_submit(s->pool, &r, job), 0);
    return r;
}

/* One map with kills in it. Returns how many items were lost. */
static int map_in_the_storm(struct storm *s, mp_job job)
{
    static uint32_t out[ITEMS];
    static mp_task_error errors[ITEMS];
    int lost = 0, lowest = -1, rc;
    mp_result *r = begin(s, &job, errors, out);
    while ((rc = mp_result_wait(r, 1e-6 * random_below(&s->random, 3000))) == MP_ETIMEDOUT)
        strike(s);
    assert_int_equal(rc, 0);
    for (int i = 0; i < ITEMS; i++) {
        bool good = errors[i].code == 0;
        uint32_t right = (uint32_t)i * 7 + 1;
        if (good && out[i] != right)
            fail_msg("item %d is %u, and no error", i, out[i]);
        assert_int_equal(good ? right : UINT32_MAX, out[i]);
        assert_true(weather->runs[i] >= 1 || !good);
        if (job.retries == 0) /* never twice: but an item that had not begun runs elsewhere */
            assert_true(weather->runs[i] <= 1);
        if (good)
            continue;
        assert_int_equal(errors[i].code, MP_ECRASHED);
        assert_int_equal(errors[i].index, i);
        assert_int_equal(errors[i].signal, SIGKILL);
        assert_true(was_killed(s, errors[i].worker));
        lost++;
        lowest = lowest < 0 ? i : lowest;
    }
    assert_int_equal(mp_result_get(r, NULL, 0, 0), lost > 0 ? MP_ECRASHED : 0);
    mp_task_error error;
    assert_int_equal(mp_result_error(r, &error), lost > 0);
    assert_true(lost == 0 || error.index == (size_t)lowest);
    mp_result_free(r);
    return lost;
}

/* No two items were lost in the same kill: a worker runs one at a time. That is checked by
 * counting. */
static void storm(const char *name, int retries, int maps)
{
    weather = common(sizeof *weather);
    struct storm *s = calloc(1, sizeof *s);
    s->random = random_start(name);
    int lost = 0;
    assert_int_equal(mp_pool_new(&s->pool, .processes = WORKERS), 0);
    for (int i = 0; i < maps; i++)
        lost += map_in_the_storm(s, (mp_job){.retries = retries});
    printf("%s: %d kills, %d items lost\n", name, s->kills, lost);
    assert_true(s->kills > maps / 4);
    assert_true(lost <= s->kills && (retries == 0 || lost == 0));
    assert_int_equal(mp_pool_close(s->pool), 0);
    assert_int_equal(mp_pool_join(s->pool, LONG), 0);
    mp_pool_free(s->pool);
    assert_int_equal(mp_shared_check(NULL), 0);
    free(s);
    munmap(weather, sizeof *weather);
}

static void without_retries(void **state)
{
    (void)state;
    storm("without_retries", 0, fewer(120));
}

static void with_retries(void **state)
{
    (void)state;
    storm("with_retries", 1000, fewer(80));
}

/* Threads of single tasks, kills among them: each is settled, one way or the other. */
static int apply_much(void *arg)
{
    struct storm *s = arg;
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t in = i % ITEMS, out = 0;
        int rc = mp_pool_apply(s->pool, work, &in, sizeof in, &out, sizeof out, 2 * LONG);
        CHECK(rc == MP_ECRASHED || (rc == 0 && out == in * 7 + 1));
    }
    return 0;
}

static void single_tasks(void **state)
{
    (void)state;
    weather = common(sizeof *weather);
    struct storm *s = calloc(1, sizeof *s);
    task threads[4];
    s->random = random_start("single_tasks");
    assert_int_equal(mp_pool_new(&s->pool, .processes = WORKERS, .max_tasks_per_child = 20), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(task_start(&threads[i], apply_much, s), 0);
    while (mp__load_relaxed(&weather->turn) < 4 * 300 - 100) {
        nap(1e-6 * random_below(&s->random, 2000));
        strike(s);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(task_end(&threads[i]), 0);
    printf("single_tasks: %d kills\n", s->kills);
    assert_int_equal(mp_pool_close(s->pool), 0);
    assert_int_equal(mp_pool_join(s->pool, LONG), 0);
    mp_pool_free(s->pool);
    free(s);
    munmap(weather, sizeof *weather);
}

/* The supervisor dies under running maps, too. */
static int parent_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(int *)out = getppid();
    return 0;
}

static void supervisors_die(void **state)
{
    (void)state;
    weather = common(sizeof *weather);
    struct storm *s = calloc(1, sizeof *s);
    s->random = random_start("supervisors_die");
    for (int round = 0; round < fewer(40); round++) {
        static uint32_t out[ITEMS];
        static mp_task_error errors[ITEMS];
        mp_job job = {.retries = 1};
        int supervisor = 0;
        assert_int_equal(mp_pool_new(&s->pool, .processes = WORKERS), 0);
        assert_int_equal(
            mp_pool_apply(s->pool, parent_pid, NULL, 0, &supervisor, sizeof(int), LONG), 0);
        mp_result *r = begin(s, &job, errors, out), *late = NULL;
        nap(1e-6 * random_below(&s->random, 20000));
        if (round % 2 != 0)
            strike(s);
        kill(supervisor, SIGKILL);
        assert_int_equal(mp_result_wait(r, LONG), 0);
        for (int i = 0; i < ITEMS; i++) {
            uint32_t right = errors[i].code == 0 ? (uint32_t)i * 7 + 1 : UINT32_MAX;
            assert_true(errors[i].code == 0 || errors[i].code == MP_ECRASHED);
            assert_int_equal(out[i], right);
        }
        int rc = mp_pool_apply_async(s->pool, &late, parent_pid, NULL, 0, sizeof(int));
        assert_true(rc == MP_ESTATE || rc == 0); /* it may be dying still */
        if (rc == 0)
            rc = mp_result_get(late, NULL, 0, LONG);
        assert_true(rc == MP_ESTATE || rc == 0 || rc == MP_ECRASHED);
        mp_result_free(late);
        mp_pool_free(s->pool);
        mp_result_free(r);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) /* orphans, which come to a subreaper */
        continue;
    free(s);
    munmap(weather, sizeof *weather);
}

/* ---- every instruction of a worker ---- */

static int own_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(int *)out = (int)getpid();
    return 0;
}

/* The pool's one worker, asleep and held by us. */
static int hold_worker(mp_pool *pool)
{
    int pid = 0, status = 0;
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
    until_asleep(pid);
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0)
        return 0;
    assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    return pid;
}

static void kill_held(int pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL); /* its death is told to us first, then to the supervisor */
}

/* A worker gets work, and dies after so many instructions. Returns 1, 0 if it was done with the
 * work before, -1 if we may not hold workers. */
static int one_death(mp_pool *pool, int instructions, int retries)
{
    enum { N = 3 };
    static const uint32_t in[N] = {0, 0, 0};
    uint32_t out[N] = {9, 9, 9};
    mp_task_error errors[N];
    mp_result *r;
    int pid = hold_worker(pool), status, lost = 0;
    if (pid == 0)
        return -1;
    mp_job job = {.size = sizeof job,
                  .task = work,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = N,
                  .retries = retries,
                  .errors = errors,
                  .chunksize = 2};
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    for (int i = 0; i < instructions; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
    }
    bool done = mp_result_ready(r);
    kill_held(pid);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    for (int i = 0; i < N; i++) {
        if (out[i] != (errors[i].code == 0 ? 1 : 9) || (errors[i].code != 0 && retries > 0))
            fail_msg("item %d after %d instructions: %u, %s", i, instructions, out[i],
                     mp_errname(errors[i].code));
        if (errors[i].code == 0)
            continue;
        assert_int_equal(errors[i].code, MP_ECRASHED);
        assert_int_equal(errors[i].worker, pid);
        lost++;
    }
    assert_true(lost <= (done ? 0 : 1));
    mp_result_free(r);
    return done ? 0 : 1;
}

static void a_death_at_every_instruction(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* which runs other instructions */
    weather = common(sizeof *weather);
    random_state random = random_start("a_death");
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    int stride = 47, instructions = (int)random_below(&random, 47), died = 0;
    while ((died = one_death(pool, instructions, instructions % 2)) == 1)
        instructions += stride;
    printf("%d instructions\n", instructions);
    mp_pool_free(pool);
    munmap(weather, sizeof *weather);
    if (died < 0)
        skip(); /* a sandbox */
    assert_true(instructions > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_retries),
        cmocka_unit_test(with_retries),
        cmocka_unit_test(single_tasks),
        cmocka_unit_test(supervisors_die),
        cmocka_unit_test(a_death_at_every_instruction),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
