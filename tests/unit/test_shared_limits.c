/* SPDX-License-Identifier: MIT */
/* The arena's limit, by the program and by the environment, and the report of leaks. Every case is
 * a family of its own. */
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static int run(int (*body)(void *), const void *arg)
{
    return child_end(child_start(body, (void *)(uintptr_t)arg));
}

static int configure(size_t limit)
{
    mp_arena_options o = {.size = sizeof o, .limit = limit};
    return mp_arena_configure(&o);
}

/* How many bytes of blocks there are; all are freed again. */
static size_t capacity(size_t size)
{
    void **chain = NULL;
    size_t bytes = 0;
    for (void **p; (p = mp_shared_alloc(size)) != NULL; chain = p, bytes += size)
        *p = chain;
    if (mp_shared_error() != MP_ENOMEM)
        abort();
    while (chain != NULL) {
        void **next = *chain;
        mp_shared_free(chain);
        chain = next;
    }
    return bytes;
}

static int with_limit(void *arg)
{
    size_t limit = *(size_t *)arg;
    CHECK(configure(limit) == 0);
    size_t large = capacity(64 * KIB), small = capacity(256);
    CHECK(large >= limit && large < limit + 64 * KIB);
    CHECK(small >= limit && small < limit + 64 * KIB);
    mp_shared_usage s = {.size = sizeof s};
    CHECK(mp_shared_stats(&s) == 0 && s.limit == large && s.peak == large && s.in_use == 0);
    void *p = mp_shared_alloc(64 * KIB); /* and again there is room */
    CHECK(p != NULL);
    mp_shared_free(p);
    CHECK(configure(limit) == MP_ESTATE);
    return mp_shared_check(NULL);
}

static void test_limits(void **state)
{
    (void)state;
    static const size_t limit[] = {MIB, MIB + 1, 5 * MIB + 4096, 40 * MIB};
    for (int i = 0; i < 4; i++)
        assert_int_equal(run(with_limit, &limit[i]), 0);
}

/* Half of the memory is free, and no two chunks in a row are. */
static int in_pieces(void *arg)
{
    (void)arg;
    enum { CHUNKS = 64 };
    char *chunk[CHUNKS], *block[CHUNKS];
    CHECK(configure(CHUNKS * 64 * KIB) == 0);
    for (int i = 0; i < CHUNKS; i++)
        CHECK((chunk[i] = mp_shared_alloc(64 * KIB)) != NULL);
    for (int i = 0; i < CHUNKS; i += 2)
        mp_shared_free(chunk[i]);
    for (size_t size = 16; size <= 64 * KIB; size = size * 5 / 4 + 16) {
        CHECK((block[0] = mp_shared_value(NULL, size, 16)) != NULL);
        CHECK((block[2] = (char *)MP_ARRAY(char, size - 16)) != NULL);
        CHECK(mp_array_length(block[2]) == (ssize_t)size - 16);
        CHECK(mp_array_length(block[0]) == MP_EINVAL);
        mp_shared_free(block[0]);
        mp_shared_free(block[2]);
        CHECK(mp_shared_error() == 0);
    }
    for (int i = 0; i < CHUNKS; i += 2) {
        CHECK((block[i] = mp_shared_alloc(20000)) != NULL);
        memset(block[i], i, 20000);
    }
    CHECK(mp_shared_alloc(20000) == NULL && mp_shared_error() == MP_ENOMEM);
    CHECK(mp_shared_check(NULL) == 0);
    for (int i = 0; i < CHUNKS; i++) {
        CHECK(i % 2 == 1 || block[i][19999] == (char)i);
        mp_shared_free(i % 2 == 1 ? chunk[i] : block[i]);
    }
    CHECK(bytes_in_use() == 0);
    return mp_shared_check(NULL);
}

static void test_in_pieces(void **state)
{
    (void)state;
    assert_int_equal(run(in_pieces, NULL), 0);
}

static int refused(void *arg)
{
    (void)arg;
    static const size_t bad[] = {1, 4096, MIB - 1, ((size_t)1 << 44) + 1, SIZE_MAX};
    for (int i = 0; i < 5; i++)
        CHECK(configure(bad[i]) == MP_EINVAL);
    mp_arena_options none = {0};
    CHECK(mp_arena_configure(&none) == MP_EINVAL); /* the size was not set */
    CHECK(configure(2 * MIB) == 0 && configure(3 * MIB) == 0);
    CHECK(configure(0) == 0 && mp_arena_configure(NULL) == 0); /* back to the default */
    CHECK(configure(2 * MIB) == 0 && configure(7) == MP_EINVAL);
    CHECK(capacity(64 * KIB) == 2 * MIB); /* a refusal changes nothing */
    CHECK(mp_arena_configure(NULL) == MP_ESTATE);
    return 0;
}

static void test_configure(void **state)
{
    (void)state;
    assert_int_equal(run(refused, NULL), 0);
}

typedef struct setting {
    const char *text;
    size_t limit; /* 0: refused */
} setting;

static int in_environment(void *arg)
{
    const setting *s = arg;
    setenv("MPROC_ARENA_LIMIT", s->text, 1);
    if (s->limit == 0) {
        CHECK(mp_init() == MP_EINVAL && mp_init() == MP_EINVAL);
        CHECK(mp_shared_alloc(1) == NULL && mp_shared_error() == MP_EINVAL);
        CHECK(MP_VALUE(int, 1) == NULL && mp_shared_error() == MP_EINVAL);
        mp_lock *lock;
        CHECK(mp_lock_new(&lock) == MP_EINVAL);
        return 0;
    }
    mp_shared_usage stats = {.size = sizeof stats};
    CHECK(mp_shared_stats(&stats) == 0 && stats.limit == s->limit);
    return 0;
}

static void test_environment(void **state)
{
    (void)state;
    static const setting s[] = {
        {"2097152", 2 * MIB},
        {"2048K", 2 * MIB},
        {"3M", 3 * MIB},
        {"3m", 3 * MIB},
        {"0x100000", 0},
        {"-5M", 0},
        {"+5M", 0},
        {" 5M", 0},
        {"5M ", 0},
        {"5MB", 0},
        {"M", 0},
        {"1.5G", 0},
        {"0", 0},
        {"1023K", 0},
        {"17179869185G", 0},
        {"5T", 0},
        {"99999999999999999999999", 0},
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        if (run(in_environment, &s[i]) != 0)
            fail_msg("MPROC_ARENA_LIMIT='%s'", s[i].text);
    }
}

static int both(void *arg)
{
    setenv("MPROC_ARENA_LIMIT", arg, 1); /* a wrong one is not looked at, either */
    CHECK(configure(2 * MIB) == 0);
    CHECK(capacity(64 * KIB) == 2 * MIB);
    return 0;
}

static void test_program_wins(void **state)
{
    (void)state;
    assert_int_equal(run(both, "3M"), 0);
    assert_int_equal(run(both, "nonsense"), 0);
}

/* Runs the body in a family with this MPROC_DEBUG, by exit(), and returns what it has written to
 * stderr. */
static char *stderr_of(const char *debug, int (*body)(void *), void *arg)
{
    static char text[65536];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(240);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        if (debug != NULL)
            setenv("MPROC_DEBUG", debug, 1);
        else
            unsetenv("MPROC_DEBUG");
        exit(body(arg));
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(child_end(pid), 0);
    return text;
}

static int leaky_child(void *arg)
{
    *(void **)arg = mp_shared_alloc(70000);
    exit(*(void **)arg == NULL); /* a plain fork's exit reports nothing */
}

static int leak(void *arg)
{
    void **told = arg;
    mp_lock *lock;
    CHECK(mp_init() == 0);
    told[0] = mp_shared_alloc(123);
    mp_shared_free(mp_shared_alloc(456));
    double *array = MP_ARRAY(double, 10);
    CHECK(mp_array_length(array) == 10);
    array[9] = 1;
    told[1] = array;
    CHECK(mp_lock_new(&lock) == 0);
    told[2] = lock;
    pid_t child = child_start(leaky_child, &told[3]);
    CHECK(child_end(child) == 0);
    told[4] = (void *)(intptr_t)getpid();
    told[5] = (void *)(intptr_t)child;
    return 0;
}

static void test_leaks(void **state)
{
    (void)state;
    void **told = common(4096);
    char *text = stderr_of("leaks", leak, told), line[128];
    static const size_t size[] = {123, 96, 0, 70000};
    for (int i = 0; i < 4; i++) {
        snprintf(line, sizeof line, "leak: %p, ", told[i]);
        const char *at = strstr(text, line);
        if (at == NULL)
            fail_msg("no \"%s\" in:\n%s", line, text);
        snprintf(line, sizeof line, "leak: %p, %zu bytes, by process %d at ", told[i], size[i],
                 (int)(intptr_t)told[i == 3 ? 5 : 4]);
        assert_true(size[i] == 0 || strstr(text, line) == at);
    }
    assert_non_null(strstr(text, "test_shared_limits+0x")); /* the program's name */
    assert_non_null(strstr(text, "leaks: 4 blocks, "));
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 5);
    munmap(told, 4096);
}

static void test_silence(void **state)
{
    (void)state;
    void **told = common(4096);
    assert_string_equal(stderr_of(NULL, leak, told), "");
    assert_string_equal(stderr_of("", leak, told), "");
    const char *text = stderr_of("leak,,verbose", leak, told);
    assert_non_null(strstr(text, "\"leak\" is not known"));
    assert_non_null(strstr(text, "\"verbose\" is not known"));
    assert_null(strstr(text, "bytes"));
    munmap(told, 4096);
}

static int clean(void *arg)
{
    mp_lock *lock;
    CHECK(mp_lock_new(&lock) == 0 && mp_lock_acquire(lock, 0) == 0);
    CHECK(mp_lock_release(lock) == 0);
    mp_lock_free(lock);
    char *p = mp_shared_alloc(32768); /* with the tag it is a large one */
    CHECK(p != NULL);
    memset(p, 1, 32768);
    CHECK(mp_shared_report_leaks(1) == 1);
    mp_shared_free(p);
    p = mp_shared_alloc(100);
    memset(p, 1, 144); /* beyond its end */
    CHECK(mp_shared_report_leaks(2) == 1);
    mp_shared_free(p);
    return *(int *)arg = mp_shared_report_leaks(1);
}

static void test_report(void **state)
{
    (void)state;
    int *left = common(4096);
    *left = 1;
    const char *text = stderr_of("verbose,leaks", clean, left);
    assert_int_equal(*left, 0);
    assert_non_null(strstr(text, "is written over"));
    assert_non_null(strstr(text, "leaks: 0 blocks"));
    munmap(left, 4096);
}

static int not_asked(void *arg)
{
    (void)arg;
    CHECK(mp_shared_report_leaks(2) == MP_ESTATE);
    CHECK(mp_init() == 0);
    CHECK(mp_shared_report_leaks(2) == MP_ESTATE);
    return 0;
}

static void test_not_asked(void **state)
{
    (void)state;
    assert_string_equal(stderr_of(NULL, not_asked, NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_configure),    cmocka_unit_test(test_environment),
        cmocka_unit_test(test_program_wins), cmocka_unit_test(test_leaks),
        cmocka_unit_test(test_silence),      cmocka_unit_test(test_report),
        cmocka_unit_test(test_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
