/* SPDX-License-Identifier: MIT */
/* Pools told nonsense, pools that cannot be made, and what a failing task or initializer tells. */
#include "support/pools.h"

#include <dlfcn.h>
#include <math.h>

#define REFUSED(...)                                                                               \
    do {                                                                                           \
        mp_pool *none = (mp_pool *)1;                                                              \
        assert_int_equal(mp_pool_new(&none, __VA_ARGS__), MP_EINVAL);                              \
        assert_null(none);                                                                         \
    } while (0)

static void bad_options(void **state)
{
    (void)state;
    int closed = dup(0), keep[] = {0, closed, -1}, fine[] = {0, -1};
    close(closed);
    assert_int_equal(mp_pool_create(NULL, NULL), MP_EINVAL);
    REFUSED(.processes = -1);
    REFUSED(.processes = 4097);
    REFUSED(.max_tasks_per_child = -1);
    REFUSED(.task_timeout = -0.5);
    REFUSED(.task_timeout = NAN);
    REFUSED(.retries = -1);
    REFUSED(.pin_cpus = 2);
    REFUSED(.pin_cpus = -2);
    REFUSED(.start_method = MP_START_SPAWN);
    REFUSED(.start_method = MP_START_FORKSERVER);
    REFUSED(.start_method = 77);
    REFUSED(.keep = keep);
    REFUSED(.progress_arg = keep);
    mp_pool *pool = (mp_pool *)1;
    mp_pool_options o = {.size = 3};
    assert_int_equal(mp_pool_create(&pool, &o), MP_EINVAL);
    struct {
        mp_pool_options known;
        long unknown;
    } newer = {{.size = sizeof newer, .processes = 1}, 1};
    assert_int_equal(mp_pool_create(&pool, &newer.known), MP_EINVAL);
    newer.unknown = 0;
    assert_int_equal(mp_pool_create(&pool, &newer.known), 0);
    assert_int_equal(finish(pool), 0);
    o = (mp_pool_options){.size = offsetof(mp_pool_options, initializer), .processes = 1};
    assert_int_equal(mp_pool_create(&pool, &o), 0);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .start_method = MP_START_FORK, .keep = fine), 0);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_create(&pool, NULL), 0); /* as many as there are processors */
    assert_int_equal(finish(pool), 0);
    mp_pool_free(NULL);
}

static void bad_arguments(void **state)
{
    (void)state;
    mp_pool *pool = make(1), *garbage = calloc(1, 4096);
    mp_result *r = (mp_result *)1;
    long in[3] = {1, 2, 3}, out[3] = {0};
    mp_pool *none[] = {NULL, garbage};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(MP_MAP(none[i], square, in, out, 3), MP_EINVAL);
        assert_int_equal(mp_pool_apply(none[i], square, in, 8, out, 8, LONG), MP_EINVAL);
        assert_int_equal(mp_pool_apply_async(none[i], &r, square, in, 8, 8), MP_EINVAL);
        assert_null(r);
        assert_int_equal(mp_pool_close(none[i]), MP_EINVAL);
        assert_int_equal(mp_pool_terminate(none[i]), MP_EINVAL);
        assert_int_equal(mp_pool_join(none[i], LONG), MP_EINVAL);
    }
    mp_pool_free(garbage);
    assert_int_equal(MP_MAP(pool, NULL, in, out, 3), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, square, NULL, 8, out, 8, 3), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, square, in, 8, NULL, 8, 3), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, nothing, in, SIZE_MAX, NULL, 0, 3), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, nothing, in, SIZE_MAX / 2, NULL, 0, 1) < 0, true);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, out, SIZE_MAX / 3, 4), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, NULL, 0, SIZE_MAX), MP_EINVAL);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, NULL, 0, (size_t)1 << 40), MP_ENOMEM);
    assert_int_equal(mp_pool_map_async(pool, &r, nothing, NULL, 0, (size_t)1 << 46, 1), MP_ENOMEM);
    assert_null(r);
    assert_int_equal(mp_pool_apply(pool, square, in, 8, out, 8, NAN), MP_EINVAL);
    assert_int_equal(mp_pool_map_async(pool, NULL, square, in, 8, 8, 3), MP_EINVAL);
    assert_int_equal(mp_pool_apply_async(pool, NULL, square, in, 8, 8), MP_EINVAL);
    assert_int_equal(mp_pool_join(pool, NAN), MP_EINVAL);
    assert_int_equal(mp_pool_apply(pool, square, in, 8, out, 8, MP_FOREVER), 0);
    free(garbage);
    assert_int_equal(finish(pool), 0);
}

static void bad_jobs(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r;
    const mp_job good = {.size = sizeof good, .task = nothing, .count = 1};
    mp_job jobs[8];
    for (int i = 0; i < 8; i++)
        jobs[i] = good;
    jobs[0].time_limit = NAN;
    jobs[1].time_limit = -1;
    jobs[2].retries = -2;
    jobs[3].retries = -100;
    jobs[4].callback_arg = &r;
    jobs[5].progress_arg = &r;
    jobs[6].in_size = 8;
    jobs[7].size = 4;
    for (int i = 0; i < 8; i++) {
        r = (mp_result *)1;
        assert_int_equal(mp_pool_run(pool, &jobs[i], LONG), MP_EINVAL);
        assert_int_equal(mp_pool_submit(pool, &r, &jobs[i]), MP_EINVAL);
        assert_null(r);
    }
    assert_int_equal(mp_pool_run(pool, NULL, LONG), MP_EINVAL);
    assert_int_equal(mp_pool_submit(pool, &r, NULL), MP_EINVAL);
    assert_int_equal(mp_pool_submit(pool, NULL, &good), MP_EINVAL);
    assert_int_equal(mp_pool_run(pool, &good, NAN), MP_EINVAL);
    assert_int_equal(mp_pool_run(pool, &good, LONG), 0);
    mp_job output = {.size = sizeof output, .task = square, .count = 0, .out_size = 8};
    assert_int_equal(mp_pool_run(pool, &output, LONG), 0); /* of nothing */
    assert_int_equal(finish(pool), 0);
}

static void states_of_a_pool(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_result *r, *late = (mp_result *)1;
    int i = 1;
    assert_int_equal(mp_pool_join(pool, LONG), MP_ESTATE);
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &i, sizeof i, 0), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_apply_async(pool, &late, nothing, NULL, 0, 0), MP_ESTATE);
    assert_null(late);
    assert_int_equal(mp_pool_map(pool, nothing, NULL, 0, NULL, 0, 3), MP_ESTATE);
    assert_int_equal(mp_pool_join(pool, MP_NO_WAIT), MP_ETIMEDOUT);
    double begin = seconds();
    assert_int_equal(mp_pool_join(pool, 0.05), MP_ETIMEDOUT);
    assert_true(seconds() - begin >= 0.05);
    release(1);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    assert_int_equal(mp_pool_join(pool, 0), 0);
    assert_int_equal(mp_pool_terminate(pool), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_result_get(r, NULL, 0, 0), 0);
    mp_result_free(r);
    mp_pool_free(pool);
}

/* ---- what a task tells ---- */

static int tell_length(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    int n = *(const int *)in;
    switch (n) {
    case -1:
        return mp_task_fail(5, "code is at most -1");
    case -2:
        mp_task_fail(-3, "and then all was well");
        return 0;
    case -3:
        mp_task_fail(-4, "first");
        return mp_task_fail(INT_MIN, NULL);
    }
    char text[1000];
    memset(text, 'x', sizeof text);
    return mp_task_fail(-8, "%.*s", n, text);
}

static void texts_of_failures(void **state)
{
    (void)state;
    mp_pool *pool = make(1);
    mp_task_error error;
    for (int n = 1; n <= 999; n += n < 250 || n > 260 ? 83 : 1) {
        assert_int_equal(mp_pool_apply(pool, tell_length, &n, sizeof n, NULL, 0, LONG), MP_ETASK);
        assert_int_equal(mp_last_task_error(&error), 1);
        assert_int_equal(strlen(error.text), n < 255 ? n : 255);
        assert_true(error.task_code == -8 && error.signal == 0 && error.exit_status == 0);
    }
    static const struct {
        int n, code;
        const char *text;
    } cases[] = {{-1, -1, "code is at most -1"},
                 {-2, -3, "and then all was well"},
                 {-3, INT_MIN, "the task returned -2147483648"}};
    for (int i = 0; i < 3; i++) {
        int n = cases[i].n;
        assert_int_equal(mp_pool_apply(pool, tell_length, &n, sizeof n, NULL, 0, LONG), MP_ETASK);
        assert_int_equal(mp_last_task_error(&error), 1);
        assert_int_equal(error.task_code, cases[i].code);
        assert_string_equal(error.text, cases[i].text);
    }
    /* Outside a task it only hands the code on. */
    assert_int_equal(mp_task_fail(-6, "not in a task"), -6);
    assert_int_equal(mp_task_fail(6, "nor this"), -1);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_last_task_error(&error), 1); /* still the last call's */
}

/* ---- initializers ---- */

static int fail_once_counted(void *arg)
{
    (void)arg;
    atomic_fetch_add(&board->flag[0], 1);
    return mp_task_fail(-5, "no such table");
}

static int end_in_it(void *arg)
{
    atomic_fetch_add(&board->flag[0], 1);
    if (*(int *)arg == 0)
        raise(SIGKILL);
    exit(*(int *)arg);
}

/* The pool fails, promptly and with few forks; all its work says so. */
static void fails(int (*initializer)(void *), int how, int task_code, const char *text)
{
    memset(board, 0, sizeof *board);
    mp_pool *pool;
    mp_task_error error;
    mp_result *r = NULL;
    double begin = seconds();
    assert_int_equal(
        mp_pool_new(&pool, .processes = 2, .initializer = initializer, .initializer_arg = &how), 0);
    int rc = mp_pool_apply_async(pool, &r, nothing, NULL, 0, 0);
    assert_true(rc == 0 || rc == MP_ETASK);
    if (rc == 0) {
        assert_int_equal(mp_result_get(r, NULL, 0, LONG), MP_ETASK);
        assert_int_equal(mp_result_error(r, &error), 1);
        assert_int_equal(error.task_code, task_code);
        assert_non_null(strstr(error.text, text));
    }
    assert_int_equal(mp_pool_apply(pool, nothing, NULL, 0, NULL, 0, LONG), MP_ETASK);
    assert_int_equal(mp_last_task_error(&error), 1);
    assert_true(error.code == MP_ETASK && error.task_code == task_code);
    assert_int_equal(error.signal, initializer == end_in_it && how == 0 ? SIGKILL : 0);
    assert_int_equal(error.exit_status, initializer == end_in_it ? how : 0);
    assert_non_null(strstr(error.text, text));
    assert_true(seconds() - begin < LONG / 2);
    assert_true(board->flag[0] <= 8);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_pool_free(pool);
    mp_result_free(r);
}

static void failing_initializers(void **state)
{
    (void)state;
    fails(fail_once_counted, 0, -5, "no such table");
    fails(end_in_it, 0, 0, "die before they are ready: the last was killed by signal 9 (SIGKILL)");
    fails(end_in_it, 3, 0, "die before they are ready: the last ended with exit status 3");
}

/* ---- code that the workers do not know ---- */

static void a_task_that_was_loaded_later(void **state)
{
    (void)state;
    const char *dir = getenv("TMPDIR");
    char source[256], object[256], command[1024];
    snprintf(source, sizeof source, "%s/late-%d.c", dir != NULL ? dir : "/tmp", (int)getpid());
    snprintf(object, sizeof object, "%s/late-%d.so", dir != NULL ? dir : "/tmp", (int)getpid());
    FILE *f = fopen(source, "w");
    assert_non_null(f);
    fputs("int late(const void *in, void *out, void *c)\n"
          "{ *(long *)out = *(const long *)in + 1; return 0; }\n",
          f);
    fclose(f);
    snprintf(command, sizeof command, "cc -shared -fPIC -o '%s' '%s' 2>/dev/null", object, source);
    int rc = system(command);
    unlink(source);
    if (rc != 0)
        skip();
    long in = 1, out = 0;
    mp_pool *before = make(1);
    void *library = dlopen(object, RTLD_NOW);
    unlink(object);
    assert_non_null(library);
    mp_task late = (mp_task)(uintptr_t)dlsym(library, "late");
    mp_pool *after = make(1);
    mp_result *r;
    assert_int_equal(mp_pool_apply(before, late, &in, sizeof in, &out, sizeof out, LONG),
                     MP_EINVAL);
    assert_int_equal(mp_pool_apply_async(before, &r, late, &in, sizeof in, sizeof out), MP_EINVAL);
    assert_int_equal(mp_pool_apply(before, square, &in, sizeof in, &out, sizeof out, LONG), 0);
    assert_int_equal(mp_pool_apply(after, late, &in, sizeof in, &out, sizeof out, LONG), 0);
    assert_int_equal(out, 2);
    assert_int_equal(finish(before), 0);
    assert_int_equal(finish(after), 0);
    dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(bad_options),
        POOL_TEST(bad_arguments),
        POOL_TEST(bad_jobs),
        POOL_TEST(states_of_a_pool),
        POOL_TEST(texts_of_failures),
        POOL_TEST(failing_initializers),
        POOL_TEST(a_task_that_was_loaded_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
