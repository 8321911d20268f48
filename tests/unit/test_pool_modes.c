/* SPDX-License-Identifier: MIT */
/* What pools promise in their fine print: who delivers what, when and where; what a limit, a
 * timeout and a retry are of; what a worker knows, and what ends with it. */
#include "support/pools.h"

#include <pthread.h>

static int count_call(const void *in, void *out, void *context)
{
    (void)in, (void)out;
    atomic_fetch_add((_Atomic int *)context, 1);
    return 0;
}

/* ---- what a worker knows ---- */

static int own_global = 1;

static int tell_memory(const void *in, void *out, void *context)
{
    (void)in;
    int *sum = out;
    *sum = own_global + *(const int *)context;
    return 0;
}

static void a_context_is_what_it_was_when_the_pool_was_made(void **state)
{
    (void)state;
    int *memory = malloc(sizeof *memory), out = 0, pid = 0;
    volatile int *context = memory; /* which the compiler thinks nobody sees so far */
    *context = 10;
    own_global = 1;
    mp_pool *pool = make(1);
    mp_job job = {.size = sizeof job,
                  .task = tell_memory,
                  .context = memory,
                  .out = &out,
                  .out_size = sizeof out,
                  .count = 1};
    *context = 20;
    own_global = 2;
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(out, 11);
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
    kill(pid, SIGKILL); /* its replacement knows the same */
    assert_true(await_death(pid));
    out = 0;
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_int_equal(out, 11);
    free(memory);
    assert_int_equal(finish(pool), 0);
}

/* How many children a process has; -1: this kernel does not say. */
static int children_of(pid_t pid)
{
    char path[64];
    int count = 0, child;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return -1;
    while (fscanf(f, "%d", &child) == 1)
        count++;
    fclose(f);
    return count;
}

static void as_many_workers_as_were_asked_for(void **state)
{
    (void)state;
    if (children_of(getpid()) < 0)
        skip();
    mp_pool *pool = make(0);
    assert_int_equal(children_of(supervisor_of(pool)), mp_cpu_count());
    assert_int_equal(finish(pool), 0);
    pool = make(7);
    assert_int_equal(children_of(supervisor_of(pool)), 7);
    assert_int_equal(finish(pool), 0);
}

/* ---- delivery ---- */

static int plus_one(const void *in, void *out, void *context)
{
    (void)context;
    int x = *(const int *)in;
    *(int *)out = x + 1;
    return x == 2 ? mp_task_fail(-3, "two") : 0;
}

static void a_job_is_delivered_by_who_waits_for_it(void **state)
{
    (void)state;
    static const int in[4] = {0, 1, 2, 3};
    int out[4] = {-1, -1, -1, -1}, other[4] = {-2, -2, -2, -2};
    mp_task_error errors[4];
    mp_result *r;
    mp_pool *pool = make(2);
    memset(errors, 0x55, sizeof errors);
    mp_job job = {.size = sizeof job,
                  .task = plus_one,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = 4,
                  .errors = errors};
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    double end = seconds() + LONG;
    while (!mp_result_ready(r) && seconds() < end)
        nap(0.001);
    /* It is done, and nobody has waited for it. */
    assert_true(mp_result_ready(r) && !mp_result_successful(r));
    assert_int_equal(mp_result_error(r, &(mp_task_error){0}), 1);
    assert_true(out[0] == -1 && out[3] == -1);
    assert_int_equal(errors[0].code, 0x55555555);
    assert_int_equal(mp_result_get(r, other, sizeof other, MP_NO_WAIT), MP_ETASK);
    for (int i = 0; i < 4; i++) { /* in both places */
        assert_int_equal(out[i], i == 2 ? -1 : i + 1);
        assert_int_equal(other[i], i == 2 ? -2 : i + 1);
        assert_int_equal(errors[i].code, i == 2 ? MP_ETASK : 0);
    }
    out[0] = 99; /* once */
    assert_int_equal(mp_result_wait(r, LONG), 0);
    assert_int_equal(out[0], 99);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* Item 0 runs, the others come after it. */
static int hold_first(const void *in, void *out, void *context)
{
    int i = *(const int *)in;
    atomic_fetch_add(&board->flag[7], 1);
    if (i == 1)
        return held(in, out, context);
    *(int *)out = i;
    return 0;
}

static void a_run_that_is_late_delivers_nothing(void **state)
{
    (void)state;
    static const int in[5] = {0, 1, 2, 3, 4};
    int out[5] = {-1, -1, -1, -1, -1}, again = 3, result = -1;
    mp_task_error errors[5] = {{.code = 77}};
    mp_pool *pool = make(1);
    mp_job job = {.size = sizeof job,
                  .task = hold_first,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = 5,
                  .chunksize = 1,
                  .errors = errors};
    while (board->pid[1] == 0) { /* item 1 has begun before the time is up; mostly at once */
        atomic_store(&board->flag[7], 0);
        assert_int_equal(mp_pool_run(pool, &job, 0.2), MP_ETIMEDOUT);
    }
    release(1);
    assert_int_equal(
        mp_pool_apply(pool, hold_first, &again, sizeof again, &result, sizeof result, LONG), 0);
    assert_int_equal(result, 3);
    assert_int_equal(board->flag[7], 3); /* 0 and 1, and the one of now */
    for (int i = 0; i < 5; i++)
        assert_int_equal(out[i], -1);
    assert_int_equal(errors[0].code, 77);
    assert_int_equal(finish(pool), 0);
}

static void nothing_to_do_does_not_wait(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *busy = hold_running(pool, 1), *r;
    char some[8];
    assert_int_equal(mp_pool_map(pool, square, NULL, 8, NULL, 8, 0), 0);
    assert_int_equal(mp_pool_map_async(pool, &r, square, NULL, 8, 8, 0), 0);
    assert_true(mp_result_ready(r) && mp_result_successful(r));
    assert_int_equal(mp_result_get(r, some, 0, MP_NO_WAIT), 0);
    assert_int_equal(mp_result_error(r, &(mp_task_error){0}), 0);
    assert_int_equal(mp_result_cancel(r), MP_ESTATE); /* it is done */
    mp_result_free(r);
    release(1);
    assert_int_equal(mp_result_wait(busy, LONG), 0);
    mp_result_free(busy);
    assert_int_equal(finish(pool), 0);
}

/* ---- failures ---- */

/* 5 fails at once; 1 ends its worker when that is known. */
static int fail_in_reverse(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    int i = *(const int *)in;
    if (i == 5) {
        atomic_store(&board->flag[0], 1);
        return -5;
    }
    if (i == 1) {
        await(&board->flag[0]);
        _exit(4);
    }
    return 0;
}

static void the_lowest_failure_is_not_the_first(void **state)
{
    (void)state;
    static const int in[6] = {0, 1, 2, 3, 4, 5};
    mp_task_error error;
    mp_pool *pool = make(2);
    mp_job job = {.size = sizeof job,
                  .task = fail_in_reverse,
                  .in = in,
                  .in_size = sizeof *in,
                  .count = 6,
                  .chunksize = 1};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ECRASHED);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_true(error.index == 1 && error.code == MP_ECRASHED && error.exit_status == 4);
    assert_int_equal(finish(pool), 0);
}

static int fail_counted(const void *in, void *out, void *context)
{
    return count_call(in, out, context) - 1;
}

static void only_a_death_is_tried_again(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .retries = 5), 0);
    mp_job job = {.size = sizeof job, .task = fail_counted, .context = &board->flag[0], .count = 1};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ETASK);
    assert_int_equal(board->flag[0], 1);
    assert_int_equal(finish(pool), 0);
}

static void *fail_here(void *arg)
{
    mp_task_error error;
    int five = 5;
    if (mp_last_task_error(&error) != 0) /* nothing, in a new thread */
        return arg;
    if (mp_pool_apply(arg, fail_in_reverse, &five, sizeof five, NULL, 0, LONG) != MP_ETASK)
        return arg;
    return mp_last_task_error(&error) == 1 && error.task_code == -5 ? NULL : arg;
}

static void the_last_error_is_the_threads_own(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_task_error error;
    pthread_t thread;
    void *failed = pool;
    int two = 2;
    assert_int_equal(mp_pool_apply(pool, plus_one, &two, sizeof two, &two, sizeof two, LONG),
                     MP_ETASK);
    assert_int_equal(pthread_create(&thread, NULL, fail_here, pool), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_int_equal(error.task_code, -3);
    assert_string_equal(error.text, "two");
    assert_int_equal(finish(pool), 0);
}

/* ---- limits ---- */

static int nap_a_little(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    nap(0.02);
    return 0;
}

/* All of it takes longer than the limit, no item does; one chunk, one worker. */
static void a_time_limit_is_of_one_item(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_job job = {.size = sizeof job, .task = nap_a_little, .count = 60, .chunksize = 60};
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .task_timeout = 1), 0);
    double begin = seconds();
    assert_int_equal(mp_pool_run(pool, &job, LONG), 0);
    assert_true(seconds() - begin > 1);
    assert_int_equal(finish(pool), 0);
}

/* ---- progress ---- */

static struct {
    pthread_t thread;
    int calls, elsewhere;
    size_t done, total;
} seen;

static void see(size_t done, size_t total, void *arg)
{
    seen.calls++;
    seen.elsewhere += arg != &seen || !pthread_equal(pthread_self(), seen.thread);
    seen.done = done;
    seen.total = total;
}

static void progress_is_told_to_who_waits(void **state)
{
    (void)state;
    mp_pool *pool = make(2);
    mp_result *r;
    mp_job job = {
        .size = sizeof job, .task = nothing, .count = 100, .progress = see, .progress_arg = &seen};
    seen.thread = pthread_self();
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    double end = seconds() + LONG;
    while (!mp_result_ready(r) && seconds() < end)
        nap(0.001);
    assert_int_equal(seen.calls, 0); /* nobody has waited */
    assert_int_equal(mp_result_wait(r, LONG), 0);
    assert_true(seen.calls > 0 && seen.elsewhere == 0);
    assert_true(seen.done == 100 && seen.total == 100);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- ends ---- */

static void finalize(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void a_finalizer_is_of_an_orderly_end(void **state)
{
    (void)state;
    enum { N = 12, MOST = 3 };
    mp_pool *pool;
    int pids[N], workers = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .max_tasks_per_child = MOST,
                                 .finalizer = finalize, .initializer_arg = &board->flag[0]),
                     0);
    assert_int_equal(mp_pool_map(pool, own_pid, NULL, 0, pids, sizeof *pids, N), 0);
    for (int i = 0; i < N; i++)
        workers += i == 0 || pids[i] != pids[i - 1];
    assert_int_equal(workers, N / MOST);
    assert_int_equal(finish(pool), 0);
    assert_in_range(board->flag[0], N / MOST, N / MOST + 1); /* one may have come in vain */
    /* By force: none. */
    atomic_store(&board->flag[0], 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .finalizer = finalize,
                                 .initializer_arg = &board->flag[0]),
                     0);
    /* Not idle, or they could leave by themselves. */
    mp_result *r[2] = {hold_running(pool, 1), hold_running(pool, 2)};
    assert_int_equal(mp_pool_terminate(pool), 0);
    mp_pool_free(pool);
    mp_result_free(r[0]);
    mp_result_free(r[1]);
    assert_int_equal(board->flag[0], 0);
}

/* A child that would stay, and is no daemon; the task does not wait for it. */
static int leave_a_child(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    mp_process *p;
    if (mp_process_new(&p, .target = live_on, .arg = SLOT(0), .daemon = MP_NO) < 0 ||
        mp_process_start(p) < 0 || !await(&board->pid[0]))
        return -1;
    *(int *)out = getpid();
    return 0;
}

/* Its worker leaves in order, after this item. */
static void children_end_with_a_worker_that_leaves(void **state)
{
    (void)state;
    mp_pool *pool;
    int pid = 0, other = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .max_tasks_per_child = 1), 0);
    assert_int_equal(mp_pool_apply(pool, leave_a_child, NULL, 0, &pid, sizeof pid, LONG), 0);
    assert_true(await_death(pid) && await_death(board->pid[0]));
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &other, sizeof other, LONG), 0);
    assert_true(other != pid);
    assert_int_equal(finish(pool), 0);
}

static void an_ended_pool_takes_nothing(void **state)
{
    (void)state;
    long x = 1;
    mp_result *r;
    for (int how = 0; how < 3; how++) {
        mp_pool *pool = make(1);
        mp_job job = {.size = sizeof job, .task = nothing, .count = how == 2 ? 0 : 1};
        assert_int_equal(how == 0 ? mp_pool_close(pool) : mp_pool_terminate(pool), 0);
        assert_int_equal(MP_MAP(pool, square, &x, &x, 1), MP_ESTATE);
        assert_int_equal(mp_pool_apply(pool, square, &x, sizeof x, &x, sizeof x, LONG), MP_ESTATE);
        assert_int_equal(mp_pool_apply_async(pool, &r, nothing, NULL, 0, 0), MP_ESTATE);
        assert_int_equal(mp_pool_map_async(pool, &r, nothing, NULL, 0, 0, 1), MP_ESTATE);
        assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ESTATE);
        assert_int_equal(mp_pool_submit(pool, &r, &job), MP_ESTATE);
        assert_null(r);
        assert_int_equal(mp_pool_join(pool, LONG), 0);
        mp_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_context_is_what_it_was_when_the_pool_was_made),
        POOL_TEST(as_many_workers_as_were_asked_for),
        POOL_TEST(a_job_is_delivered_by_who_waits_for_it),
        POOL_TEST(a_run_that_is_late_delivers_nothing),
        POOL_TEST(nothing_to_do_does_not_wait),
        POOL_TEST(the_lowest_failure_is_not_the_first),
        POOL_TEST(only_a_death_is_tried_again),
        POOL_TEST(the_last_error_is_the_threads_own),
        POOL_TEST(a_time_limit_is_of_one_item),
        POOL_TEST(progress_is_told_to_who_waits),
        POOL_TEST(a_finalizer_is_of_an_orderly_end),
        POOL_TEST(children_end_with_a_worker_that_leaves),
        POOL_TEST(an_ended_pool_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
