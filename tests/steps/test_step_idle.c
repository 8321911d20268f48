/* SPDX-License-Identifier: MIT */
/* A pool whose first worker dies, or stands still, at every step of looking for work, claiming it
 * and going to sleep. No work stays lying; a death costs the item that was running, or none, and no
 * item runs twice. */
#include "support/shared.h"
#include "support/steps.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ITEMS = 16, ROUNDS = 3, WORKERS = 3 };

struct common {
    word pid[WORKERS]; /* of the first in each slot */
    word runs[ITEMS];
    word met;
};
static struct common *shared;

static struct {
    const char *step;
    int nth, signal;
} order; /* inherited by the workers */

/* The first worker of slot 0 obeys; no other, nor the supervisor. */
static int arm(void *arg)
{
    (void)arg;
    word *pid = &shared->pid[mp_worker_index()];
    if (mp__load_relaxed(pid) != 0)
        return 0;
    mp__store_relaxed(pid, (uint32_t)getpid());
    if (mp_worker_index() == 0)
        mp__step_arm(order.step, order.nth, order.signal);
    return 0;
}

static int count(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    size_t item = mp_task_index();
    mp__add_seq(&shared->runs[item], 1);
    for (int n = 0; n < 2000; n++)
        mp__pause();
    *(uint32_t *)out = (uint32_t)item + 1;
    return 0;
}

static uint32_t ran(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < ITEMS; i++)
        sum += mp__load_relaxed(&shared->runs[i]);
    return sum;
}

/* What has become of the worker: 'T' stopped, 'Z' dead, 'S' asleep for it has nothing to do. */
static char fate(void)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)mp__load_relaxed(&shared->pid[0]));
    for (;;) {
        FILE *f = fopen(path, "r");
        if (f == NULL)
            return 'Z';
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        const char *name_end = strrchr(text, ')');
        if (name_end == NULL || strchr("ZX", name_end[2]) != NULL)
            return 'Z';
        if (strchr("TS", name_end[2]) != NULL)
            return name_end[2];
        nap(0.0002);
    }
}

static mp_pool *begin(const char *step, int nth, int signal)
{
    mp_pool *pool;
    memset((void *)shared, 0, sizeof *shared);
    order.step = step;
    order.nth = nth;
    order.signal = signal;
    assert_int_equal(mp_pool_new(&pool, .processes = WORKERS, .initializer = arm), 0);
    return pool;
}

static void finish(mp_pool *pool)
{
    assert_int_equal(mp_pool_close(pool), 0);
    double end = seconds() + LONG;
    int rc;
    while ((rc = mp_pool_join(pool, 0.05)) == MP_ETIMEDOUT && seconds() < end)
        if (fate() == 'T') /* it has stopped on its way to bed, or out */
            kill((pid_t)shared->pid[0], SIGCONT);
    assert_int_equal(rc, 0);
    mp_pool_free(pool);
    assert_int_equal(mp_shared_check(NULL), 0);
}

static mp_result *submit(mp_pool *pool, size_t items, size_t chunk, uint32_t *out,
                         mp_task_error *errors)
{
    mp_job job = {.size = sizeof job,
                  .task = count,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = items,
                  .chunksize = chunk,
                  .errors = errors};
    mp_result *r;
    memset((void *)shared->runs, 0, sizeof shared->runs);
    memset(out, 0, ITEMS * sizeof *out);
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    return r;
}

/* Items that have failed: of those of a worker that died. */
static int check(size_t items, const uint32_t *out, const mp_task_error *errors)
{
    int lost = 0;
    for (size_t i = 0; i < items; i++) {
        bool good = errors[i].code == 0;
        assert_true(good || errors[i].code == MP_ECRASHED);
        assert_int_equal(out[i], good ? i + 1 : 0);
        assert_true(shared->runs[i] == 1 || (!good && shared->runs[i] == 0));
        assert_true(good || errors[i].worker == (int)shared->pid[0]);
        lost += !good;
    }
    return lost;
}

static const struct {
    size_t items, chunk;
} sizes[] = {{ITEMS, 1}, {1, 0}, {ITEMS, 0}, {1, 0}, {5, 2}};

enum { SIZES = sizeof sizes / sizeof *sizes };

static int dies(const char *step, int nth, void *arg)
{
    (void)arg;
    mp_pool *pool = begin(step, nth, SIGKILL);
    int lost = 0;
    for (int n = 0; n < ROUNDS * SIZES; n++) {
        uint32_t out[ITEMS];
        mp_task_error errors[ITEMS];
        size_t items = sizes[n % SIZES].items;
        mp_result *r = submit(pool, items, sizes[n % SIZES].chunk, out, errors);
        int rc = mp_result_wait(r, LONG);
        if (rc != 0)
            fail_msg("%s, %d: work %d: %s", step, nth, n, mp_errname(rc));
        lost += check(items, out, errors);
        mp_result_free(r);
        if (n % SIZES == 1 && fate() == 'S') /* all are asleep when the next comes */
            for (int i = 1; i < WORKERS; i++)
                until_asleep((pid_t)shared->pid[i]);
    }
    assert_true(lost <= 1);
    bool died = fate() == 'Z';
    assert_true(died || lost == 0);
    if (died)
        step_record(step);
    finish(pool);
    return died ? STEP_REACHED : STEP_PASSED;
}

static void test_dies(void **state)
{
    (void)state;
    assert_true(each_step("idle.", 3, dies, NULL) >= steps_of("idle.").count - 1);
    assert_true(each_step("claim.", 2, dies, NULL) > 8);
}

/* It stands still: the others do all but what it may have claimed. Then it goes on. */
static int stands_still(const char *step, int nth, void *arg)
{
    (void)arg;
    mp_pool *pool = begin(step, nth, SIGSTOP);
    bool stopped = false;
    for (int n = 0; n < 2 * ROUNDS; n++) {
        uint32_t out[ITEMS];
        mp_task_error errors[ITEMS];
        mp_result *r = submit(pool, ITEMS, 1, out, errors);
        double end = seconds() + LONG;
        while (ran() < ITEMS - 1) {
            if (seconds() > end)
                fail_msg("%s, %d: work %d lies: %u have run", step, nth, n, ran());
            nap(0.0001);
        }
        if (!stopped && fate() == 'T') {
            stopped = true;
            step_record(step);
            kill((pid_t)shared->pid[0], SIGCONT);
        } else if (stopped) {
            kill((pid_t)shared->pid[0], SIGCONT);
        }
        int rc;
        while ((rc = mp_result_wait(r, 0.05)) == MP_ETIMEDOUT && seconds() < end)
            if (fate() == 'T') { /* at the last item */
                stopped = true;
                step_record(step);
                kill((pid_t)shared->pid[0], SIGCONT);
            }
        assert_int_equal(rc, 0);
        assert_int_equal(check(ITEMS, out, errors), 0);
        mp_result_free(r);
    }
    finish(pool);
    return stopped ? STEP_REACHED : STEP_PASSED;
}

static void test_stands_still(void **state)
{
    (void)state;
    each_step("idle.", 2, stands_still, NULL);
    assert_true(each_step("claim.", 2, stands_still, NULL) > 6);
}

/* Two that need each other. */
static int meet(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    mp__add_seq(&shared->met, 1);
    return await(&shared->met, 2) ? 0 : -1;
}

/* A worker has promised to look, and stands still; the others sleep. Two tasks come, and nobody is
 * woken for them. It goes on, takes one, and must wake another for the second. */
static int passes_on(const char *step, int nth, void *arg)
{
    (void)arg;
    mp_pool *pool = begin(step, nth, SIGSTOP);
    mp_result *r[2], *single = NULL;
    double end = seconds() + LONG;
    while (fate() != 'T') { /* it promises when it has run a single task, or finds nobody looking */
        assert_true(seconds() < end);
        if (single != NULL && mp_result_wait(single, 0.01) == MP_ETIMEDOUT)
            continue;
        mp_result_free(single);
        assert_int_equal(mp_pool_apply_async(pool, &single, count, NULL, 0, sizeof(uint32_t)), 0);
    }
    step_record(step);
    for (int i = 1; i < WORKERS; i++)
        until_asleep((pid_t)shared->pid[i]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mp_pool_apply_async(pool, &r[i], meet, NULL, 0, 0), 0);
    kill((pid_t)shared->pid[0], SIGCONT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_result_get(r[i], NULL, 0, LONG), 0);
        mp_result_free(r[i]);
    }
    assert_true(single == NULL || mp_result_wait(single, LONG) == 0);
    mp_result_free(single);
    finish(pool);
    return STEP_REACHED;
}

static void test_passes_on(void **state)
{
    (void)state;
    assert_int_equal(each_step("idle.promise.given", 3, passes_on, NULL), 1);
}

static int setup(void **state)
{
    (void)state;
    shared = common(sizeof *shared);
    return shared == NULL ? -1 : mp_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_stands_still),
        cmocka_unit_test(test_passes_on),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
