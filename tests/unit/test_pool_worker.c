/* SPDX-License-Identifier: MIT */
/* What a worker is: its name, its parent, its descriptors; what runs at its begin and its end; how
 * long it lasts; what its tasks may start. */
#include "support/workers.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct identity {
    char name[64], parent[64];
    int pid, parent_pid, parents, daemon, alive;
};

static int tell_identity(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    struct identity *id = out;
    const mp_process *self = mp_current_process(), *parent = mp_parent_process();
    snprintf(id->name, sizeof id->name, "%s", mp_process_name(self));
    snprintf(id->parent, sizeof id->parent, "%s", mp_process_name(parent));
    id->pid = mp_process_pid(self);
    id->parent_pid = mp_process_parent_pid(self);
    id->parents = mp_process_pid(parent);
    id->daemon = mp_process_daemon(self);
    id->alive = mp_process_is_alive(parent);
    return 0;
}

static void names_and_parents(void **state)
{
    (void)state;
    struct identity id = {.pid = 0};
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    for (int i = 1; i <= 3; i++) {
        char name[32];
        assert_int_equal(mp_pool_apply(pool, tell_identity, NULL, 0, &id, sizeof id, LONG), 0);
        snprintf(name, sizeof name, "PoolWorker-%d", i);
        assert_string_equal(id.name, name);
        assert_string_equal(id.parent, "MainProcess");
        assert_int_equal(id.parent_pid, getpid());
        assert_int_equal(id.parents, getpid());
        assert_true(id.daemon && id.alive);
        kill(id.pid, SIGKILL);
        assert_true(await_death(id.pid));
    }
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .name = "squarer"), 0);
    assert_int_equal(mp_pool_apply(pool, tell_identity, NULL, 0, &id, sizeof id, LONG), 0);
    assert_string_equal(id.name, "squarer-1");
    assert_int_equal(finish(pool), 0);
}

/* ---- begin and end ---- */

static int initialize(void *arg)
{
    atomic_fetch_add(&((struct board *)arg)->flag[0], 1);
    return 0;
}

static void finalize(void *arg)
{
    atomic_fetch_add(&((struct board *)arg)->flag[1], 1);
}

static void an_initializer_and_a_finalizer_for_each(void **state)
{
    (void)state;
    mp_pool *pool;
    int pid;
    assert_int_equal(mp_pool_new(&pool, .processes = 3, .initializer = initialize,
                                 .finalizer = finalize, .initializer_arg = board),
                     0);
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
    double end = seconds() + LONG;
    while (board->flag[0] < 3 && seconds() < end)
        nap(0.001);
    assert_int_equal(board->flag[0], 3);
    kill(pid, SIGKILL);
    while (board->flag[0] < 4 && seconds() < end)
        nap(0.001);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(board->flag[0], 4); /* the replacement, too */
    assert_int_equal(board->flag[1], 3); /* not in the one that was killed */
}

static void workers_last_so_many_items(void **state)
{
    (void)state;
    enum { N = 53 };
    int pids[N], in[N];
    mp_pool *pool;
    for (int limit = 1; limit <= 10; limit += 3) {
        assert_int_equal(mp_pool_new(&pool, .processes = 2, .max_tasks_per_child = limit,
                                     .finalizer = finalize, .initializer_arg = board),
                         0);
        memset(pids, 0, sizeof pids);
        assert_int_equal(MP_MAP(pool, own_pid, in, pids, N), 0);
        int different = 0;
        for (int i = 0; i < N; i++) {
            int same = 0, before = 0;
            for (int k = 0; k < N; k++) {
                same += pids[k] == pids[i];
                before += k < i && pids[k] == pids[i];
            }
            assert_true(pids[i] > 0 && same <= limit);
            different += before == 0;
        }
        assert_true(different >= N / limit);
        atomic_store(&board->flag[1], 0);
        assert_int_equal(finish(pool), 0);
    }
}

static int say_goodbye_to(const char *text)
{
    return printf("%s", text) < 0;
}

static void goodbye(void)
{
    atomic_fetch_add(&board->flag[2], 1);
}

static int register_handler(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return atexit(goodbye) != 0 || say_goodbye_to("from a worker\n");
}

/* A program whose own handlers and unwritten output are its own; what a worker prints appears
 * once. */
static int print_and_exit(void *arg)
{
    mp_pool *pool;
    dup2((int)(intptr_t)arg, STDOUT_FILENO);
    CHECK(setvbuf(stdout, NULL, _IOFBF, 4096) == 0);
    say_goodbye_to("from the program\n");
    atexit(goodbye);
    CHECK(mp_pool_new(&pool, .processes = 1) == 0);
    say_goodbye_to("later\n");
    CHECK(mp_pool_apply(pool, register_handler, NULL, 0, NULL, 0, LONG) == 0);
    CHECK(finish(pool) == 0);
    CHECK(board->flag[2] == 1); /* the worker's own handler, not the program's */
    exit(0);
}

static void output_and_exit_handlers(void **state)
{
    (void)state;
    int ends[2];
    char text[256] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t program = child_start(print_and_exit, (void *)(intptr_t)ends[1]);
    close(ends[1]);
    assert_int_equal(child_end(program), 0);
    assert_int_equal(board->flag[2], 2);
    for (ssize_t n, length = 0; (n = read(ends[0], text + length, 255 - (size_t)length)) > 0;)
        length += n;
    close(ends[0]);
    assert_string_equal(text, "from the program\nfrom a worker\nlater\n");
}

/* ---- descriptors ---- */

#define NUMBERS 64

/* Which of the first descriptors a process has. */
static int list_descriptors(pid_t pid, char seen[NUMBERS])
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    if (d == NULL)
        return -1;
    memset(seen, 0, NUMBERS);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (fd < NUMBERS)
            seen[fd] = 1;
    }
    closedir(d);
    return count;
}

static int write_to(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    char byte;
    if (read(STDIN_FILENO, &byte, 1) != 0) /* reads nothing */
        return -1;
    return write(*(const int *)in, "k", 1) == 1 ? 0 : -2;
}

static void only_kept_descriptors_are_open(void **state)
{
    (void)state;
    int kept[2], other[2], many[20], pid = 0;
    char byte = 0, seen[NUMBERS];
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it has some of its own */
    assert_int_equal(pipe(kept), 0);
    assert_int_equal(pipe(other), 0);
    for (int i = 0; i < 20; i++)
        many[i] = dup(other[0]);
    mp_pool *pool;
    const int keep[] = {kept[1], kept[0], STDERR_FILENO, kept[1], -1};
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .keep = keep), 0);
    assert_int_equal(mp_pool_apply(pool, write_to, &kept[1], sizeof *kept, NULL, 0, LONG), 0);
    assert_int_equal(read(kept[0], &byte, 1), 1);
    assert_int_equal(mp_pool_apply(pool, write_to, &other[1], sizeof *other, NULL, 0, LONG),
                     MP_ETASK);
    assert_int_equal(mp_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid, LONG), 0);
    pid_t looked_at[2] = {supervisor_of(pool), pid};
    for (int k = 0; k < 2; k++) {
        int count = list_descriptors(looked_at[k], seen);
        assert_true(seen[0] && seen[1] && seen[2] && seen[kept[0]] && seen[kept[1]]);
        /* 5 of these; the lifeline and the program's pidfd; the bell, the pipe, and the
         * workers'. */
        assert_true(count <= 5 + (k == 0 ? 4 + 2 : 2));
    }
    /* A reader of the other pipe sees its end: nobody holds the write end. */
    close(other[1]);
    assert_int_equal(read(other[0], &byte, 1), 0);
    assert_int_equal(finish(pool), 0);
    close(kept[0]), close(kept[1]), close(other[0]);
    for (int i = 0; i < 20; i++)
        close(many[i]);
}

static int tell_cpus(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    *(int *)out = CPU_COUNT(&set);
    return 0;
}

/* What the C library says is what the kernel says, wherever the worker has been moved to; see
 * os/rseq.h. */
static int where_it_runs(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return -1;
    for (int round = 0; round < 3; round++)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &all))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof one, &one) != 0)
                return -2;
            if (sched_getcpu() != cpu)
                return -3;
        }
    return 0;
}

static void workers_know_where_they_run(void **state)
{
    (void)state;
    mp_pool *pool;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it has one processor */
    assert_int_equal(mp_pool_new(&pool, .processes = 2), 0);
    assert_int_equal(mp_pool_map(pool, where_it_runs, NULL, 0, NULL, 0, 8), 0);
    assert_int_equal(finish(pool), 0);
}

static void pinned_workers(void **state)
{
    (void)state;
    int cpus = 0;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 5, .pin_cpus = MP_YES), 0);
    assert_int_equal(mp_pool_apply(pool, tell_cpus, NULL, 0, &cpus, sizeof cpus, LONG), 0);
    assert_int_equal(cpus, 1);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .pin_cpus = MP_NO), 0);
    assert_int_equal(mp_pool_apply(pool, tell_cpus, NULL, 0, &cpus, sizeof cpus, LONG), 0);
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    assert_int_equal(cpus, CPU_COUNT(&set));
    assert_int_equal(finish(pool), 0);
}

/* ---- what tasks may do ---- */

static int child_of_a_task(void *arg)
{
    *(int *)arg = 41;
    return 5;
}

static int start_a_process(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    mp_process *p;
    int *shared = mp_shared_calloc(1, sizeof *shared);
    if (shared == NULL || mp_process_new(&p, .target = child_of_a_task, .arg = shared) < 0 ||
        mp_process_start(p) < 0 || mp_process_join(p, LONG) < 0 || mp_process_exitcode(p) != 5)
        return -1;
    mp_process_free(p);
    *(int *)out = *shared + 1;
    mp_shared_free(shared);
    return 0;
}

static int use_a_pool(const void *in, void *out, void *context)
{
    (void)context;
    mp_pool *pool;
    long inner[20], squares[20];
    count_up(inner, 20);
    inner[0] = *(const long *)in;
    if (mp_pool_new(&pool, .processes = 2) < 0 || MP_MAP(pool, square, inner, squares, 20) < 0 ||
        finish(pool) < 0 || squares[19] != 361)
        return -1;
    *(long *)out = squares[0];
    return 0;
}

static void tasks_start_processes_and_pools(void **state)
{
    (void)state;
    mp_pool *pool;
    long in[20], out[20];
    int answers[20];
    count_up(in, 20);
    assert_int_equal(mp_pool_new(&pool, .processes = 3), 0);
    assert_int_equal(MP_MAP(pool, start_a_process, in, answers, 20), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(answers[i], 42);
    assert_int_equal(MP_MAP(pool, use_a_pool, in, out, 20), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(out[i], i * i);
    assert_int_equal(finish(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(names_and_parents),
        POOL_TEST(an_initializer_and_a_finalizer_for_each),
        POOL_TEST(workers_last_so_many_items),
        POOL_TEST(output_and_exit_handlers),
        POOL_TEST(only_kept_descriptors_are_open),
        POOL_TEST(workers_know_where_they_run),
        POOL_TEST(pinned_workers),
        POOL_TEST(tasks_start_processes_and_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
