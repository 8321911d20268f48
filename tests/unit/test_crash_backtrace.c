/* SPDX-License-Identifier: MIT */
/* Backtraces of tasks that crash: where, by which names, and that the death stays what it was. */
#include "support/workers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

/* Functions that stay what they are, and are not stopped by a sanitizer before they crash. */
#ifdef __clang__
#define NOINLINE __attribute__((noinline, no_sanitize("address", "undefined")))
#else
#define NOINLINE __attribute__((noinline, noclone, no_sanitize("address", "undefined")))
#endif

/* ---- crashes ---- */

static void no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static NOINLINE int write_to(volatile int *address)
{
    *address = 7;
    return *address;
}

/* Hidden from the compiler, which knows what to expect of a null pointer. */
static volatile uintptr_t zero;

static NOINLINE int null_pointer(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
    return write_to((volatile int *)zero) + 1;
}

static NOINLINE int descend(volatile char *above)
{
    volatile char room[512];
    room[0] = *above;
    int below = zero == 0 ? descend(room) : 0;
    return below + room[0];
}

static int stack_overflow(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
    char top = 1;
    return descend(&top);
}

static int aborting(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
    abort();
}

static NOINLINE int divide_by_zero(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
#if defined(__x86_64__)
    int quotient = 1, rest = 0;
    __asm__ volatile("idivl %2" : "+a"(quotient), "+d"(rest) : "r"((int)zero) : "cc");
    return quotient;
#else
    raise(SIGFPE);
    return 0;
#endif
}

static int bad_instruction(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
#if defined(__x86_64__)
    __asm__ volatile("ud2");
#else
    raise(SIGILL);
#endif
    return 0;
}

/* A page of a file that is not there any more. */
static int cut_file(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
    FILE *f = tmpfile();
    if (f == NULL || ftruncate(fileno(f), 4096) != 0)
        return -1;
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    return page == MAP_FAILED || ftruncate(fileno(f), 0) != 0 ? -1
                                                              : write_to((int *)(void *)page) + 1;
}

static NOINLINE int bad_call(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    no_core();
    int (*volatile function)(void) = (int (*)(void))zero;
    return function() + 1;
}

static int killed(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return raise(SIGKILL);
}

static int exiting(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    exit(3);
}

static int terminated(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return raise(SIGTERM);
}

static int own_handlers(const void *in, void *out, void *context)
{
    signal(SIGSEGV, SIG_DFL);
    return null_pointer(in, out, context);
}

/* ---- what is told ---- */

static const struct {
    mp_task task;
    int signal, status;
    const char *lines[3]; /* the first lines begin so; NULL: whatever */
} crashes[] = {
    {null_pointer, SIGSEGV, 0, {"#0 write_to+0x", "#1 null_pointer+0x"}},
    {stack_overflow, SIGSEGV, 0, {"#0 descend+0x", "#1 descend+0x", "#2 descend+0x"}},
    {aborting, SIGABRT, 0, {NULL}},
    {divide_by_zero, SIGFPE, 0, {"#0 divide_by_zero+0x"}},
    {bad_instruction, SIGILL, 0, {"#0 bad_instruction+0x"}},
    {cut_file, SIGBUS, 0, {"#0 write_to+0x", "#1 cut_file+0x"}},
    {bad_call, SIGSEGV, 0, {"#0 0x0\n", "#1 bad_call+0x"}},
};

/* Whole lines "#0 place (module)\n", numbered. */
static void check_form(const char *text)
{
    size_t length = strlen(text);
    assert_in_range(length, 1, sizeof((mp_task_error *)NULL)->backtrace - 1);
    assert_int_equal(text[length - 1], '\n');
    for (int i = 0; *text != '\0'; i++) {
        char begin[16];
        snprintf(begin, sizeof begin, "#%d ", i);
        assert_memory_equal(text, begin, strlen(begin));
        const char *end = strchr(text, '\n');
        assert_true(end > text + strlen(begin));
        text = end + 1;
    }
}

static const char *line_of(const char *text, int number)
{
    char begin[16];
    snprintf(begin, sizeof begin, "#%d ", number);
    return strstr(text, begin);
}

static mp_task_error error_of(mp_pool *pool, mp_task task)
{
    mp_task_error error;
    assert_int_equal(mp_pool_apply(pool, task, NULL, 0, NULL, 0, LONG), MP_ECRASHED);
    assert_int_equal(mp_last_task_error(&error), 1);
    return error;
}

static void every_crash(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        mp_task_error error = error_of(pool, crashes[i].task);
        assert_int_equal(error.signal, crashes[i].signal);
        assert_int_equal(error.exit_status, 0);
        check_form(error.backtrace);
        for (int k = 0; k < 3 && crashes[i].lines[k] != NULL; k++) {
            const char *line = line_of(error.backtrace, k);
            if (line == NULL || strncmp(line, crashes[i].lines[k], strlen(crashes[i].lines[k])))
                fail_msg("expected %s in\n%s", crashes[i].lines[k], error.backtrace);
        }
        assert_non_null(strstr(error.backtrace, " (test_crash_backtrace)\n"));
        /* All but the call into nowhere are seen from the worker's own main loop. */
        if (crashes[i].task != bad_call && crashes[i].task != stack_overflow)
            assert_non_null(strstr(error.backtrace, "mp__worker_run+0x"));
    }
    mp_task_error error = error_of(pool, aborting);
    assert_non_null(strstr(error.backtrace, " aborting+0x"));
    assert_int_equal(finish(pool), 0);
}

static void others_have_none(void **state)
{
    (void)state;
    static const mp_task tasks[] = {killed, exiting, terminated, own_handlers};
    static const int signals[] = {SIGKILL, 0, SIGTERM, SIGSEGV};
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    for (int i = 0; i < 4; i++) {
        error_of(pool, null_pointer); /* whose backtrace is not theirs */
        mp_task_error error = error_of(pool, tasks[i]);
        assert_int_equal(error.signal, signals[i]);
        assert_int_equal(error.exit_status, i == 1 ? 3 : 0);
        assert_string_equal(error.backtrace, "");
    }
    assert_int_equal(finish(pool), 0);
}

/* Each of many items has its own; the program's other items are not harmed. */
static int crash_some(const void *in, void *out, void *context)
{
    size_t i = *(const size_t *)in;
    *(size_t *)out = i;
    int crashed = i % 10 == 3   ? null_pointer(in, out, context)
                  : i % 10 == 7 ? divide_by_zero(in, out, context)
                                : -1;
    return crashed + 1;
}

static void every_item_its_own(void **state)
{
    (void)state;
    enum { N = 100 };
    size_t in[N], out[N];
    mp_task_error *errors = calloc(N, sizeof *errors);
    mp_pool *pool;
    for (size_t i = 0; i < N; i++)
        in[i] = i;
    assert_int_equal(mp_pool_new(&pool, .processes = 3), 0);
    mp_job job = {.size = sizeof job,
                  .task = crash_some,
                  .in = in,
                  .in_size = sizeof *in,
                  .out = out,
                  .out_size = sizeof *out,
                  .count = N,
                  .errors = errors};
    assert_int_equal(mp_pool_run(pool, &job, LONG), MP_ECRASHED);
    for (size_t i = 0; i < N; i++) {
        if (i % 10 != 3 && i % 10 != 7) {
            assert_true(errors[i].code == 0 && out[i] == i);
            continue;
        }
        assert_int_equal(errors[i].signal, i % 10 == 3 ? SIGSEGV : SIGFPE);
        check_form(errors[i].backtrace);
        assert_non_null(strstr(errors[i].backtrace, i % 10 == 3 ? "null_pointer" : "divide_by_"));
        assert_non_null(strstr(errors[i].backtrace, "crash_some+0x"));
    }
    assert_int_equal(finish(pool), 0);
    free(errors);
}

/* ---- threads ---- */

static void *crash_together(void *barrier)
{
    pthread_barrier_wait(barrier);
    return (void *)(intptr_t)(write_to((volatile int *)zero) + 1);
}

static int many_threads(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    enum { N = 8 };
    pthread_barrier_t barrier;
    pthread_t thread[N];
    no_core();
    pthread_barrier_init(&barrier, NULL, N);
    for (int i = 0; i < N; i++)
        if (pthread_create(&thread[i], NULL, crash_together, &barrier) != 0)
            return -1;
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

static void threads_that_crash_together(void **state)
{
    (void)state;
    mp_pool *pool;
    int slow = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    for (int i = 0; i < 20; i++) {
        double begin = seconds();
        mp_task_error error = error_of(pool, many_threads);
        assert_int_equal(error.signal, SIGSEGV);
        check_form(error.backtrace);
        assert_non_null(strstr(error.backtrace, "#0 write_to+0x"));
        assert_non_null(strstr(error.backtrace, "crash_together+0x"));
        slow += seconds() - begin > 1.5;
    }
    assert_true(slow < 10); /* as a rule none waits until its patience ends */
    assert_int_equal(finish(pool), 0);
}

/* A child of the task's is not the worker. */
static int crashing_child(const void *in, void *out, void *context)
{
    (void)context;
    pid_t pid = fork();
    if (pid == 0)
        _exit(null_pointer(in, out, NULL) == 7);
    int status = 0;
    waitpid(pid, &status, 0);
    *(int *)out = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
    return 0;
}

static int die_after_a_child(const void *in, void *out, void *context)
{
    int signal = 0;
    (void)out;
    crashing_child(in, &signal, context);
    no_core();
    kill(getpid(), signal);
    return 0;
}

static void a_child_of_a_task(void **state)
{
    (void)state;
    int signal = 0;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    assert_int_equal(mp_pool_apply(pool, crashing_child, NULL, 0, &signal, sizeof signal, LONG), 0);
    assert_int_equal(signal, SIGSEGV);
    mp_task_error error = error_of(pool, die_after_a_child);
    assert_int_equal(error.signal, SIGSEGV);
    assert_non_null(strstr(error.backtrace, "die_after_a_child+0x"));
    assert_null(strstr(error.backtrace, "write_to"));
    assert_int_equal(finish(pool), 0);
}

/* ---- what stays as it was ---- */

static int bad_initializer(void *arg)
{
    (void)arg;
    return signal(SIGSEGV, SIG_IGN) == SIG_ERR ? -1 : 0;
}

static int raise_it(const void *in, void *out, void *context)
{
    (void)in, (void)context;
    raise(SIGSEGV);
    *(int *)out = 5;
    return 0;
}

static int ignoring(void *arg)
{
    (void)arg;
    int out = 0;
    mp_pool *pool;
    mp_task_error error;
    no_core();
    signal(SIGABRT, SIG_IGN);
    CHECK(mp_pool_new(&pool, .processes = 1, .initializer = bad_initializer) == 0);
    CHECK(mp_pool_apply(pool, raise_it, NULL, 0, &out, sizeof out, LONG) == 0 && out == 5);
    /* abort() kills also where its signal is ignored, and then nothing is written down */
    CHECK(mp_pool_apply(pool, aborting, NULL, 0, NULL, 0, LONG) == MP_ECRASHED);
    CHECK(mp_last_task_error(&error) == 1 && error.signal == SIGABRT);
    CHECK(error.backtrace[0] == '\0');
    return finish(pool) == 0 ? 0 : 1;
}

static void dispositions_of_the_program(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(ignoring, NULL)), 0);
}

static int crash_often(void *arg)
{
    (void)arg;
    mp_pool *pool;
    CHECK(mp_pool_new(&pool, .processes = 1) == 0);
    for (int i = 0; i < 20; i++) {
        mp_task_error error;
        CHECK(mp_pool_apply(pool, null_pointer, NULL, 0, NULL, 0, LONG) == MP_ECRASHED);
        CHECK(mp_last_task_error(&error) == 1 && error.signal == SIGSEGV);
        CHECK(state_of(error.worker) == 0); /* dead, reaped */
    }
    return finish(pool) == 0 ? 0 : 1;
}

static void again_and_again(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(crash_often, NULL)), 0);
}

/* ---- files with and without names ---- */

/* Compiles a library whose task crashes in a static function. Returns its handle, or NULL. */
static void *load(const char *flags)
{
    static int count;
    const char *dir = getenv("TMPDIR");
    char base[200], command[1024], object[256];
    snprintf(base, sizeof base, "%s/crash-%d-%d", dir != NULL ? dir : "/tmp", (int)getpid(),
             count++);
    snprintf(command, sizeof command, "%s.c", base);
    snprintf(object, sizeof object, "%s.so", base);
    FILE *f = fopen(command, "w");
    assert_non_null(f);
    fputs("static volatile int *nowhere;\n"
          "static __attribute__((noinline, noclone)) int hidden(int x) { return *nowhere = x; }\n"
          "int shown(const void *in, void *out, void *c)\n"
          "{ (void)in; (void)out; (void)c; return hidden(3) + 1; }\n",
          f);
    fclose(f);
    snprintf(command, sizeof command, "cc -O1 -shared -fPIC %s -o '%s' '%s.c' 2>/dev/null", flags,
             object, base);
    int rc = system(command);
    snprintf(command, sizeof command, "%s.c", base);
    unlink(command);
    void *library = rc == 0 ? dlopen(object, RTLD_NOW) : NULL;
    if (rc == 0 && strstr(flags, "-s") == NULL)
        return library; /* its file is needed; the caller removes it */
    unlink(object);
    return library;
}

static void unload(void *library)
{
    Dl_info info;
    if (dladdr(dlsym(library, "shown"), &info) != 0)
        unlink(info.dli_fname);
    dlclose(library);
}

static mp_task_error crash_in(void *library)
{
    mp_pool *pool;
    mp_task task = (mp_task)(uintptr_t)dlsym(library, "shown");
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    mp_task_error error = error_of(pool, task);
    assert_int_equal(error.signal, SIGSEGV);
    check_form(error.backtrace);
    assert_int_equal(finish(pool), 0);
    return error;
}

static void static_functions_and_stripped_files(void **state)
{
    (void)state;
    void *whole = load(""), *stripped = load("-s");
    if (whole == NULL || stripped == NULL)
        skip();
    mp_task_error error = crash_in(whole);
    assert_non_null(strstr(error.backtrace, "#0 hidden+0x"));
    assert_non_null(strstr(error.backtrace, "#1 shown+0x"));
    error = crash_in(stripped);
    assert_non_null(strstr(error.backtrace, "#0 0x"));
    assert_null(strstr(error.backtrace, "hidden"));
    assert_non_null(strstr(error.backtrace, ".so)\n#1 shown+0x"));
    unload(whole);
    unload(stripped);
}

int main(void)
{
    if (getenv("MP_TEST_VALGRIND") != NULL)
        return CANNOT; /* a crash is an error there, and then an exit status */
    const struct CMUnitTest tests[] = {
        POOL_TEST(every_crash),        POOL_TEST(others_have_none),
        POOL_TEST(every_item_its_own), POOL_TEST(threads_that_crash_together),
        POOL_TEST(a_child_of_a_task),  POOL_TEST(dispositions_of_the_program),
        POOL_TEST(again_and_again),    POOL_TEST(static_functions_and_stripped_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
