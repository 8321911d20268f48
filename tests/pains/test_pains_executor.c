/* SPDX-License-Identifier: MIT */
/* The pains of Python's Pool and ProcessPoolExecutor with deaths around them, time limits,
 * cancellation and the end (A9, A14, B11, D7, D8, D10-D14), which this library has not. */
#include "pains/crew.h"

/* ---- A9 ---- */

static int die(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return raise(SIGKILL);
}

static void a9_only_the_killed_workers_item_fails(void **state)
{
    (void)state;
    enum { OTHERS = 5 };
    mp_pool *pool = crew_pool(2);
    long in = 3, out = 0;
    mp_result *busy = held(pool, 0), *dead, *later, *others[OTHERS];
    assert_int_equal(mp_pool_apply_async(pool, &dead, die, NULL, 0, 0), 0);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(mp_pool_apply_async(pool, &others[i], square, &in, sizeof in, sizeof out),
                         0);
    assert_int_equal(mp_result_get(dead, NULL, 0, LONG), MP_ECRASHED);
    assert_int_equal(mp_pool_apply_async(pool, &later, square, &in, sizeof in, sizeof out), 0);
    for (int i = 0; i < OTHERS; i++, out = 0) {
        assert_int_equal(mp_result_get(others[i], &out, sizeof out, LONG), 0);
        assert_int_equal(out, 9);
        mp_result_free(others[i]);
    }
    assert_int_equal(mp_result_get(later, &out, sizeof out, LONG), 0);
    mp__store_seq(&crew->go[0], 1);
    assert_int_equal(mp_result_get(busy, NULL, 0, LONG), 0);
    mp_result_free(later);
    mp_result_free(dead);
    mp_result_free(busy);
    assert_int_equal(finish(pool), 0);
    ours("A9",
         "one worker killed: 1 of %d results is MP_ECRASHED, the running and the waiting ones are "
         "good; work is taken as before",
         OTHERS + 2);
}

/* ---- A14 ---- */

enum { IDLE = 3, BUSY = 3, EVERYBODY = IDLE + BUSY };

/* Heeds no signal that can be heeded. */
static int hold_deaf(const void *in, void *out, void *context)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return hold(in, out, context);
}

static int two_pools(void *arg)
{
    (void)arg;
    mp_pool *idle, *busy;
    mp_result *r;
    pid_t pids[IDLE];
    CHECK(mp_pool_new(&idle, .processes = IDLE) == 0 && who_works(idle, pids, IDLE) == 0);
    CHECK(mp_pool_new(&busy, .processes = BUSY) == 0);
    for (int i = 0; i < IDLE; i++)
        mp__store_seq(&crew->pid[i], (uint32_t)pids[i]);
    for (int i = IDLE; i < EVERYBODY; i++)
        CHECK(mp_pool_apply_async(busy, &r, i == IDLE ? hold_deaf : hold, &i, sizeof i, 0) == 0);
    for (int i = 0; i < EVERYBODY; i++)
        CHECK(await(&crew->pid[i], 1));
    signal_word(&notes->ready);
    pause();
    return 1;
}

static void a14_no_worker_outlives_its_program(void **state)
{
    (void)state;
    pid_t program = child_start(two_pools, NULL);
    assert_true(await(&notes->ready, 1));
    pid_t stopped = (pid_t)crew->pid[EVERYBODY - 1];
    kill(stopped, SIGSTOP);
    assert_true(until_state(stopped, "T"));
    assert_int_equal(child_kill(program), -SIGKILL);
    for (int i = 0; i < EVERYBODY; i++)
        assert_true(until_state((pid_t)crew->pid[i], ""));
    assert_true(no_children_left()); /* the supervisors, too */
    ours("A14",
         "after SIGKILL of the program: idle workers 0 of %d left; busy, deaf and stopped ones "
         "0 of %d; supervisors none",
         IDLE, BUSY);
}

/* ---- B11 ---- */

static int child_of_a_task(void *arg)
{
    mp__store_seq((word *)arg, (uint32_t)getpid());
    return 5;
}

static int have_a_child(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    mp_process *p;
    if (mp_process_new(&p, .target = child_of_a_task,
                       .arg = (void *)&crew->runs[*(const int *)in]) < 0 ||
        mp_process_start(p) < 0 || mp_process_join(p, LONG) < 0 || mp_process_exitcode(p) != 5)
        return -1;
    return mp_process_free(p);
}

static int stay(void *arg)
{
    mp__store_seq((word *)arg, (uint32_t)getpid());
    pause();
    return 1;
}

/* A child that is not asked to be a daemon, and a pool with a busy worker. */
static int have_children_and_stay(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    mp_process *p;
    mp_pool *pool;
    mp_result *r;
    if (mp_process_new(&p, .target = stay, .arg = (void *)&crew->pid[1], .daemon = MP_NO) < 0 ||
        mp_process_start(p) < 0 || mp_pool_new(&pool, .processes = 1) < 0 ||
        mp_pool_apply_async(pool, &r, hold, &(int){2}, sizeof(int), 0) < 0)
        return -1;
    mp__store_seq(&crew->pid[0], (uint32_t)getpid());
    return mp_result_wait(r, MP_FOREVER);
}

static void b11_tasks_may_have_children(void **state)
{
    (void)state;
    enum { TASKS = 20 };
    int in[TASKS];
    mp_result *r;
    mp_pool *pool = crew_pool(2);
    for (int i = 0; i < TASKS; i++)
        in[i] = i;
    assert_int_equal(mp_pool_map(pool, have_a_child, in, sizeof *in, NULL, 0, TASKS), 0);
    for (int i = 0; i < TASKS; i++)
        assert_true(mp__load_seq(&crew->runs[i]) != 0);
    assert_int_equal(mp_pool_apply_async(pool, &r, have_children_and_stay, NULL, 0, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_true(await(&crew->pid[i], 1));
    kill((pid_t)crew->pid[0], SIGKILL);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ECRASHED);
    for (int i = 0; i < 3; i++)
        assert_true(until_state((pid_t)crew->pid[i], ""));
    mp_result_free(r);
    assert_true(works(pool));
    assert_int_equal(finish(pool), 0);
    ours("B11",
         "a task starts a process: %d of %d; one that is killed with a process and a pool of its "
         "own leaves none of them",
         TASKS, TASKS);
}

/* ---- D7 ---- */

static void d7_a_time_limit_stops_the_task(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r, *canceled;
    mp_task_error error;
    int i = 0, other = 1;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    mp_job job = {.size = sizeof job,
                  .task = hold_deaf,
                  .in = &i,
                  .in_size = sizeof i,
                  .count = 1,
                  .time_limit = 0.1};
    assert_int_equal(mp_pool_submit(pool, &r, &job), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ETASKTIMEOUT);
    assert_int_equal(mp_result_error(r, &error), 1);
    assert_int_equal(error.worker, (pid_t)crew->pid[0]);
    assert_int_equal(state_of(error.worker), 0);
    mp_result_free(r);
    assert_true(works(pool));
    /* Without a limit, by its result. */
    r = held(pool, 3);
    assert_int_equal(mp_result_cancel(r), MP_ESTATE);
    assert_int_equal(mp_result_kill(r), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ECANCELED);
    assert_true(until_state((pid_t)crew->pid[3], ""));
    mp_result_free(r);
    assert_true(works(pool));
    /* The end does not wait for a task that runs, nor for those that were to come. */
    r = held(pool, 2);
    assert_int_equal(mp_pool_apply_async(pool, &canceled, count_run, &other, sizeof other, 0), 0);
    assert_int_equal(mp_result_cancel(canceled), 0);
    mp_pool_free(pool);
    assert_int_equal(state_of((pid_t)crew->pid[2]), 0);
    assert_int_equal(mp__load_seq(&crew->runs[1]), 0);
    mp_result_free(canceled);
    mp_result_free(r);
    ours("D7", "the .time_limit of a task that blocks all signals: MP_ETASKTIMEOUT, its process is "
               "gone, the pool goes on; mp_result_kill ends one, too: MP_ECANCELED; mp_pool_free "
               "does not wait for tasks");
}

/* ---- D8 ---- */

static void d8_what_has_not_started_can_be_canceled(void **state)
{
    (void)state;
    enum { CALLS = 6 };
    mp_pool *pool = crew_pool(1);
    mp_result *r[CALLS];
    r[0] = held(pool, 0);
    for (int i = 1; i < CALLS; i++)
        assert_int_equal(mp_pool_apply_async(pool, &r[i], count_run, &i, sizeof i, 0), 0);
    assert_int_equal(mp_result_cancel(r[0]), MP_ESTATE);
    for (int i = 1; i < CALLS; i++)
        assert_int_equal(mp_result_cancel(r[i]), 0);
    mp__store_seq(&crew->go[0], 1);
    assert_int_equal(mp_result_get(r[0], NULL, 0, LONG), 0);
    assert_true(works(pool));
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(mp__load_seq(&crew->runs[i]), 0);
        mp_result_free(r[i]);
    }
    assert_int_equal(finish(pool), 0);
    ours("D8", "1 worker, %d calls: 1 runs, %d of %d others can be canceled, and none of them runs",
         CALLS, CALLS - 1, CALLS - 1);
}

/* ---- D10 ---- */

static int own_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(pid_t *)out = getpid();
    return 0;
}

static void d10_workers_are_replaced_after_so_many_items(void **state)
{
    (void)state;
    enum { N = 100, MOST = 5 };
    pid_t pids[N];
    mp_pool *pool;
    int workers = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .start_method = MP_START_FORK,
                                 .max_tasks_per_child = MOST),
                     0);
    assert_int_equal(mp_pool_map(pool, own_pid, NULL, 0, pids, sizeof *pids, N), 0);
    assert_int_equal(finish(pool), 0);
    for (int i = 0; i < N; i++) {
        int same = 0, before = 0;
        for (int k = 0; k < N; k++) {
            same += pids[k] == pids[i];
            before += k < i && pids[k] == pids[i];
        }
        assert_in_range(same, 1, MOST);
        workers += before == 0;
    }
    assert_true(workers >= N / MOST);
    ours("D10",
         ".max_tasks_per_child = %d of a pool that forks: %d items are done by %d workers "
         "at least, each %d at most",
         MOST, N, N / MOST, MOST);
}

/* ---- D11 ---- */

enum { RUNNING = 1, WAITING = 2, CLOSED = 4 };

/* Leaves work behind, and ends by an exit that runs all handlers. */
static int submit_and_exit(void *arg)
{
    int how = (int)(intptr_t)arg, item = 0;
    mp_pool *pool;
    mp_result *r;
    CHECK(mp_pool_new(&pool, .processes = 3) == 0);
    if (how & RUNNING) {
        CHECK(mp_pool_apply_async(pool, &r, hold, &item, sizeof item, 0) == 0);
        CHECK(await(&crew->pid[0], 1));
    }
    for (int i = 0; how & WAITING && i < 100; i++)
        CHECK(mp_pool_apply_async(pool, &r, count_run, &item, sizeof item, 0) == 0);
    if (how & CLOSED)
        CHECK(mp_pool_close(pool) == 0);
    exit(9);
}

static void d11_a_program_ends_without_waiting(void **state)
{
    (void)state;
    int rounds = fewer(40), ended = 0;
    for (int i = 0; i < rounds; i++) {
        memset((void *)crew, 0, sizeof *crew);
        ended += child_end(child_start(submit_and_exit, (void *)(intptr_t)(i % 8))) == 9;
        assert_true(no_children_left());
    }
    assert_int_equal(ended, rounds);
    ours("D11",
         "work is submitted, nobody waits, the program exits: ends in %d of %d runs, closed or "
         "not, at work or not, and nobody is left; what has not run does not run",
         ended, rounds);
}

/* ---- D12 ---- */

static void d12_the_orderly_way_loses_nothing(void **state)
{
    (void)state;
    static int in[ITEMS];
    mp_result *r;
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    mp_pool *pool = crew_pool(2);
    assert_int_equal(mp_pool_map_async(pool, &r, count_run, in, sizeof *in, 0, ITEMS), 0);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, MP_NO_WAIT), 0);
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(mp__load_seq(&crew->runs[i]), 1);
    mp_result_free(r);
    /* Free alone ends it, and says so. */
    pool = crew_pool(2);
    r = held(pool, 3);
    pid_t pid = (pid_t)crew->pid[3];
    mp_pool_free(pool);
    assert_int_equal(state_of(pid), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, MP_NO_WAIT), MP_ECANCELED);
    mp_result_free(r);
    ours("D12",
         "close, join: %d of %d items have run; mp_pool_free alone terminates and joins, and what "
         "was outstanding is MP_ECANCELED",
         ITEMS, ITEMS);
}

/* ---- D13 ---- */

static int stay_without_word(void *arg)
{
    (void)arg;
    pause();
    return 1;
}

static void d13_there_is_one_code_of_waiting(void **state)
{
    (void)state;
    mp_pool *pool = crew_pool(1);
    mp_result *r = held(pool, 0);
    mp_job job = {.size = sizeof job, .task = own_pid, .count = 1};
    mp_process *p;
    mp_lock *lock;
    mp_event *event;
    mp_semaphore *semaphore;
    mp_connection *a, *b;
    char c;
    assert_int_equal(mp_process_new(&p, .target = stay_without_word, .daemon = MP_YES), 0);
    assert_int_equal(mp_process_start(p), 0);
    assert_int_equal(mp_lock_new(&lock), 0);
    assert_int_equal(mp_lock_acquire(lock, 0), 0);
    assert_int_equal(mp_event_new(&event), 0);
    assert_int_equal(mp_semaphore_new(&semaphore, 0), 0);
    assert_int_equal(mp_pipe(&a, &b, true), 0);
    for (double timeout = 0; timeout < 0.02; timeout += 0.01) {
        const int codes[] = {mp_result_get(r, NULL, 0, timeout),
                             mp_result_wait(r, timeout),
                             mp_pool_apply(pool, own_pid, NULL, 0, NULL, 0, timeout),
                             mp_pool_run(pool, &job, timeout),
                             mp_process_join(p, timeout),
                             mp_event_wait(event, timeout),
                             mp_semaphore_acquire(semaphore, timeout),
                             (int)mp_connection_recv(a, &c, 1, timeout)};
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
            assert_int_equal(codes[i], MP_ETIMEDOUT);
    }
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, 0.01), MP_ETIMEDOUT);
    mp__store_seq(&crew->go[0], 1);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_process_kill(p), 0);
    assert_int_equal(mp_process_join(p, LONG), 0);
    mp_process_free(p);
    mp_lock_release(lock);
    mp_lock_free(lock);
    mp_event_free(event);
    mp_semaphore_free(semaphore);
    mp_connection_free(a);
    mp_connection_free(b);
    assert_int_not_equal(MP_ETASKTIMEOUT, MP_ETIMEDOUT);
    ours("D13", "whoever waits too long has MP_ETIMEDOUT, of results, pools, processes, events, "
                "semaphores and connections; a task that takes too long is MP_ETASKTIMEOUT");
}

/* ---- D14 ---- */

static int threads_of(pid_t pid)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
        count += entry->d_name[0] != '.';
    if (d != NULL)
        closedir(d);
    return count;
}

static int parents_pid(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    *(pid_t *)out = getppid();
    return 0;
}

/* Of a process without any threads of its own: a tool may have some. */
static int threads_of_a_child(void)
{
    pid_t pid = child_start(stay_without_word, NULL);
    until_asleep(pid);
    int count = threads_of(pid);
    child_kill(pid);
    return count;
}

static void d14_a_pool_has_no_threads(void **state)
{
    (void)state;
    int before = threads_of(getpid()), one = threads_of_a_child();
    mp_pool *pool[2];
    pid_t pids[3], supervisor;
    for (int i = 0; i < 2; i++) {
        pool[i] = crew_pool(3);
        assert_int_equal(threads_of(getpid()), before);
        assert_int_equal(
            mp_pool_apply(pool[i], parents_pid, NULL, 0, &supervisor, sizeof supervisor, LONG), 0);
        for (int round = 0; round < 2; round++) { /* the first workers, and a replacement */
            assert_int_equal(who_works(pool[i], pids, 3), 0);
            for (int k = 0; k < 3; k++)
                assert_int_equal(threads_of(pids[k]), one);
            assert_int_equal(threads_of(supervisor), one);
            kill(pids[0], SIGKILL);
            assert_true(until_state(pids[0], ""));
        }
        mp_result *r = held(pool[i], i);
        assert_int_equal(mp_result_wait(r, 0.01), MP_ETIMEDOUT);
        assert_int_equal(threads_of(getpid()), before);
        mp__store_seq(&crew->go[i], 1);
        assert_int_equal(mp_result_wait(r, LONG), 0);
        mp_result_free(r);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(finish(pool[i]), 0);
    ours("D14", "two pools at work: the program has as many threads as before, supervisor and "
                "workers one each");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CREW_TEST(a9_only_the_killed_workers_item_fails),
        CREW_TEST(a14_no_worker_outlives_its_program),
        CREW_TEST(b11_tasks_may_have_children),
        CREW_TEST(d7_a_time_limit_stops_the_task),
        CREW_TEST(d8_what_has_not_started_can_be_canceled),
        CREW_TEST(d10_workers_are_replaced_after_so_many_items),
        CREW_TEST(d11_a_program_ends_without_waiting),
        CREW_TEST(d12_the_orderly_way_loses_nothing),
        CREW_TEST(d13_there_is_one_code_of_waiting),
        CREW_TEST(d14_a_pool_has_no_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
