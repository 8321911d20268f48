/* SPDX-License-Identifier: MIT */
/* Traces: what is in the file, when it is written, and what keeps it from being written. */
#include "support/workers.h"

#include <mproc/insight.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MANY ((size_t)20000)

static char directory[512], path[600];

static int trace_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/mproc-trace.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/trace.json", directory);
    return workers_setup(state);
}

/* Nothing is left beside the file. */
static int trace_teardown(void **state)
{
    unlink(path);
    return rmdir(directory) == 0 ? workers_teardown(state) : -1;
}

#define TRACE_TEST(f) cmocka_unit_test_setup_teardown(f, trace_setup, trace_teardown)

/* Whether the file is a trace and the conditions of tests/unit/trace.py hold; without Python not
 * looked at, and the rest of the test goes on. */
static void check_trace(const char *condition, const char *another)
{
    const char *tree = getenv("SRC");
    char script[1024];
    if (system("python3 -c '' >/dev/null 2>&1") != 0) {
        print_message("without Python nobody reads the trace\n");
        return;
    }
    snprintf(script, sizeof script, "%s/tests/unit/trace.py", tree != NULL ? tree : ".");
    pid_t pid = fork();
    if (pid == 0) {
        execlp("python3", "python3", script, path, condition, another, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool exists(const char *name)
{
    return access(name, F_OK) == 0;
}

/* Closes and joins; what is known of the trace. */
static mp_insights join(mp_pool *pool)
{
    mp_insights in;
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    assert_int_equal(mp_pool_insights(pool, &in), 0);
    return in;
}

/* ---- what is in it ---- */

/* By its input: milliseconds to nap, a failure, a signal, or an exit. */
static int do_as_told(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    long x = *(const long *)in;
    if (x == -1)
        return mp_task_fail(-1, "told so");
    if (x == -2)
        raise(SIGKILL);
    if (x == -3)
        exit(7);
    if (x > 0)
        nap((double)x / 1000);
    return 0;
}

static void every_item_once(void **state)
{
    (void)state;
    static long in[MANY];
    mp_pool *pool;
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < MANY; i += 500)
        in[i] = 1;
    assert_int_equal(mp_pool_new(&pool, .processes = 3, .trace = path), 0);
    for (int round = 0; round < 2; round++)
        assert_int_equal(mp_pool_map(pool, do_as_told, in, sizeof *in, NULL, 0, MANY), 0);
    assert_false(exists(path));
    mp_insights all = join(pool);
    assert_int_equal(all.trace, 1);
    assert_int_equal(all.trace_dropped, 0);
    assert_int_equal(all.total.items, 2 * MANY);
    mp_pool_free(pool);
    check_trace("of('done') == of('done', 2) == set(range(20000))",
                "sorted(lines.values())[1:] == ['PoolWorker-1', 'PoolWorker-2', 'PoolWorker-3'] or "
                "sorted(lines.values()) == ['PoolWorker-1', 'PoolWorker-2', 'PoolWorker-3']");
    check_trace("instants == {'started': 3, 'ended': 3} and reasons == ['in order'] * 3",
                "len(readied) == 3 and dropped == 0");
}

static void short_items_are_runs(void **state)
{
    (void)state;
    static long in[MANY];
    mp_pool *pool;
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < MANY; i += 500)
        in[i] = 1;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = path), 0);
    assert_int_equal(mp_pool_map(pool, do_as_told, in, sizeof *in, NULL, 0, MANY), 0);
    assert_int_equal(join(pool).trace, 1);
    mp_pool_free(pool);
    /* The long ones stand alone; a run is short, and stands for many. */
    check_trace("all(e['dur'] <= 1000 for e in work if e['args']['count'] > 1)",
                "all(e['dur'] >= 1000 and e['name'] == f\"item {e['args']['index']}\" "
                "for e in work if e['args']['index'] % 500 == 0 and e['args']['count'] == 1)");
    check_trace(
        "{e['args']['index'] for e in work if e['dur'] >= 1000} >= set(range(0, 20000, 500))",
        "80 <= len(work) <= 4000");
}

static void failures_crashes_and_limits(void **state)
{
    (void)state;
    long in[12] = {0};
    mp_pool *pool;
    in[2] = -1;
    in[4] = -2;
    in[6] = -3;
    in[8] = 10000;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = path, .task_timeout = 0.3), 0);
    assert_int_equal(mp_pool_map(pool, do_as_told, in, sizeof *in, NULL, 0, 12), MP_ETASK);
    assert_int_equal(join(pool).total.deaths, 3);
    mp_pool_free(pool);
    check_trace("of('failed') == {2} and of('lost') == {4, 6, 8}",
                "of('done') == {0, 1, 3, 5, 7, 9, 10, 11}");
    check_trace("reasons == ['signal 9 (SIGKILL)', 'exit status 7', 'time limit', 'in order']",
                "instants == {'started': 4, 'died': 3, 'ended': 1}");
    check_trace("[e['args'].get('reason') for e in work if e['args']['outcome'] == 'lost'] == "
                "[None, None, 'time limit'] and "
                "all(300e3 < e['dur'] for e in work if e['args']['index'] == 8)",
                "[e['args']['worker'] for e in events if e['name'] == 'started'] == "
                "[f'PoolWorker-{i}' for i in range(1, 5)]");
}

static void any_name(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 1, .trace = path,
                    .name = "a\"b\\c\n\x7f</script>\xc3\xa9\xff\xe2\x82\xf0\x9f\x98\x80"),
        0);
    join(pool);
    mp_pool_free(pool);
    check_trace("lines[1] == 'a\"b\\\\c\\n\\x7f</script>\\xe9\\ufffd\\ufffd\\ufffd\\U0001f600-1'",
                "[e['args']['worker'] for e in events if e['name'] == 'started'] == [lines[1]]");
}

/* ---- when it is written ---- */

static void by_whatever_ends_the_pool(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            mp_pool *pool;
            long in[3] = {0, 0, 0};
            if (mp_pool_new(&pool, .processes = 2, .trace = path) != 0 ||
                mp_pool_map(pool, do_as_told, in, sizeof *in, NULL, 0, 3) != 0)
                _exit(1);
            if (how == 0 && finish(pool) != 0)
                _exit(2);
            if (how == 1 && mp_pool_terminate(pool) != 0)
                _exit(3);
            if (how == 2)
                mp_pool_free(pool);
            if (how != 3 && !exists(path))
                _exit(4);
            exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        check_trace("of('done') == {0, 1, 2}", how == 0 ? "reasons == ['in order'] * 2" : NULL);
        assert_int_equal(unlink(path), 0);
    }
}

static void terminated_items_are_lost(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r;
    int in = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = path), 0);
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &in, sizeof in, 0), 0);
    assert_true(await(&board->pid[0]) != 0);
    assert_int_equal(mp_pool_terminate(pool), 0);
    check_trace("of('lost') == {0} and of('done') == set()", "reasons == ['ended with the pool']");
    unlink(path);
    assert_int_equal(mp_pool_terminate(pool), 0); /* once is enough */
    mp_result_free(r);
    mp_pool_free(pool);
    assert_false(exists(path));
}

static void not_by_a_copy_of_the_handle(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = path), 0);
    pid_t pid = fork();
    if (pid == 0) {
        mp_pool_free(pool);
        exit(exists(path));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(finish(pool), 0);
    assert_true(exists(path));
}

/* ---- where it is written ---- */

static void paths(void **state)
{
    (void)state;
    mp_pool *pool;
    char missing[700];
    struct stat s;
    snprintf(missing, sizeof missing, "%s/missing/trace.json", directory);
    assert_int_equal(mp_pool_new(&pool, .trace = missing), MP_ESYS(ENOENT));
    assert_null(pool);
    assert_int_equal(mp_pool_new(&pool, .trace = directory), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .trace = "/dev/null"), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .trace = ""), MP_EINVAL);

    /* A relative path is one of the directory in which the pool was made; a file there goes. */
    char *before = getcwd(NULL, 0);
    FILE *f = fopen(path, "w");
    assert_true(f != NULL && fputs("old", f) >= 0 && fclose(f) == 0);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = "trace.json"), 0);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 3); /* until then it is what it was */
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(finish(pool), 0);
    check_trace("len(lines) == 1", NULL);
}

static void what_cannot_be_written_is_told(void **state)
{
    (void)state;
    mp_pool *pool;
    char lost[700], file[800];
    snprintf(lost, sizeof lost, "%s/lost", directory);
    snprintf(file, sizeof file, "%s/trace.json", lost);
    assert_int_equal(mkdir(lost, 0700), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = file), 0);
    assert_int_equal(rmdir(lost), 0);
    assert_int_equal(join(pool).trace, MP_ESYS(ENOENT));
    mp_pool_free(pool);

    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 10;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .trace = path), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    mp_insights all = join(pool);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(all.trace, MP_ESYS(EFBIG));
    assert_false(exists(path)); /* nothing half-written, and nothing beside it: see the teardown */
    mp_pool_free(pool);
}

/* ---- kills ---- */

static void workers_killed_at_any_moment(void **state)
{
    (void)state;
    static long in[MANY];
    mp_pool *pool;
    mp_result *r;
    memset(in, 0, sizeof in);
    unsigned seed = (unsigned)getpid();
    printf("seed %u\n", seed);
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .trace = path, .retries = 1000), 0);
    for (int round = 0; round < 10; round++) {
        mp_worker_insights w;
        assert_int_equal(mp_pool_map_async(pool, &r, do_as_told, in, sizeof *in, 0, MANY), 0);
        for (int i = 0; i < 3; i++) {
            nap(0.0001 * (rand_r(&seed) % 10));
            assert_int_equal(mp_pool_worker_insights(pool, rand_r(&seed) % 2, &w), 0);
            if (w.pid > 0)
                kill(w.pid, SIGKILL);
        }
        assert_int_equal(mp_result_wait(r, LONG), 0);
        mp_result_free(r);
    }
    mp_insights all = join(pool);
    assert_int_equal(all.trace, 1);
    assert_true(all.total.deaths > 0);
    mp_pool_free(pool);
    /* What was being written is left out. Who was killed right behind an item leaves that to be run
     * again. */
    check_trace("all(len(of('done', n, 3)) > 10000 for n in range(1, 11))",
                "instants['started'] == instants['died'] + instants['ended']");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRACE_TEST(every_item_once),
        TRACE_TEST(short_items_are_runs),
        TRACE_TEST(failures_crashes_and_limits),
        TRACE_TEST(any_name),
        TRACE_TEST(by_whatever_ends_the_pool),
        TRACE_TEST(terminated_items_are_lost),
        TRACE_TEST(not_by_a_copy_of_the_handle),
        TRACE_TEST(paths),
        TRACE_TEST(what_cannot_be_written_is_told),
        TRACE_TEST(workers_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
