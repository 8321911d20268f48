/* SPDX-License-Identifier: MIT */
/* The arena where there is little: of address space, of file size, of descriptors, of anything.
 * Every case founds a family of its own, in a child of a process that has not used the library. */
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static int run(int (*body)(void *), void *arg)
{
    return child_end(child_start(body, arg));
}

static int limit(int which, rlim_t value)
{
    struct rlimit l = {value, value};
    return setrlimit(which, &l);
}

/* Bytes of address space that this process uses. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL && fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Under a tool that maps terabytes of its own, or that is in the process itself. */
static bool instrumented(void)
{
    return address_space() >> 40 != 0 || getenv("MP_TEST_VALGRIND") != NULL;
}

/* Takes all there is in blocks of `size`, gives it back, twice: as many as before. */
static int exhaust(size_t size)
{
    size_t count[2] = {0, 0};
    for (int round = 0; round < 2; round++) {
        void *chain = NULL;
        for (void **p; (p = mp_shared_alloc(size)) != NULL; chain = p, count[round]++)
            *p = chain;
        CHECK(mp_shared_error() == MP_ENOMEM);
        CHECK(mp_shared_check(NULL) == 0);
        while (chain != NULL) {
            void *next = *(void **)chain;
            mp_shared_free(chain);
            CHECK(mp_shared_error() == 0);
            chain = next;
        }
        CHECK(mp_shared_check(NULL) == 0);
    }
    if (count[1] != count[0])
        fprintf(stderr, "size %zu: %zu blocks, then %zu\n", size, count[0], count[1]);
    CHECK(count[0] > 0 && count[1] == count[0]);
    return 0;
}

static int in_little_space(void *arg)
{
    size_t spare = *(size_t *)arg;
    CHECK(limit(RLIMIT_AS, address_space() + spare) == 0);
    int rc = mp_init();
    if (spare < 4 * MIB && rc == MP_ENOMEM)
        return 0;
    CHECK(rc == 0);
    mp_queue *q;
    CHECK(mp_queue_new(&q) == 0);
    CHECK(mp_queue_put(q, "x", 1, 0) == 0);
    CHECK(mp_queue_size(q) == 1);
    mp_queue_free(q);
    return 0;
}

static void test_address_space(void **state)
{
    (void)state;
    if (instrumented())
        skip();
    static const size_t spare[] = {0, 100000, MIB, 2 * MIB, 5 * MIB, 64 * MIB, 1000 * MIB};
    for (size_t i = 0; i < sizeof spare / sizeof *spare; i++)
        assert_int_equal(run(in_little_space, (void *)&spare[i]), 0);
}

/* A file size limit makes a small arena, and no SIGXFSZ. */
static int in_small_files(void *arg)
{
    CHECK(limit(RLIMIT_FSIZE, *(rlim_t *)arg) == 0);
    int rc = mp_init();
    if (*(rlim_t *)arg < MIB) {
        CHECK(rc == MP_ENOMEM);
        CHECK(mp_shared_alloc(1) == NULL && mp_shared_error() == MP_ENOMEM);
        mp_lock *lock = (mp_lock *)arg;
        CHECK(mp_lock_new(&lock) == MP_ENOMEM && lock == NULL);
        return 0;
    }
    CHECK(rc == 0);
    CHECK(mp__arena_get()->size <= *(rlim_t *)arg);
    return exhaust(50000);
}

static void test_file_size(void **state)
{
    (void)state;
    static const rlim_t size[] = {0, 1, 4096, MIB - 1, MIB, 3 * MIB + 5, 16 * MIB};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        assert_int_equal(run(in_small_files, (void *)&size[i]), 0);
}

static int exhaust_size(void *arg)
{
    CHECK(limit(RLIMIT_FSIZE, 4 * MIB) == 0);
    return exhaust(*(size_t *)arg);
}

static void test_exhaustion(void **state)
{
    (void)state;
    static const size_t size[] = {16, 64, 1000, 4000, 32768, 32769, 65536, 300000, 3 << 20};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        assert_int_equal(run(exhaust_size, (void *)&size[i]), 0);
}

/* A queue that cannot grow any more says so, loses nothing, and goes on when there is memory
 * again. */
static int fill_queue(void *arg)
{
    static char message[3000];
    CHECK(limit(RLIMIT_FSIZE, 4 * MIB) == 0);
    mp_queue *q;
    CHECK(mp_queue_new(&q) == 0);
    int large = *(int *)arg, n = 0, rc;
    size_t length = large ? 100000 : sizeof message;
    char *data = calloc(1, length);
    while ((rc = mp_queue_put(q, data, length, MP_FOREVER)) == 0)
        data[0] = (char)++n;
    CHECK(rc == MP_ENOMEM && n > 5 && mp_queue_size(q) == n);
    CHECK(mp_queue_put(q, data, length, 0) == MP_ENOMEM);
    for (int i = 0; i < n; i++) {
        CHECK(mp_queue_get(q, data, length, 0) == (ssize_t)length);
        CHECK(data[0] == (char)i);
    }
    CHECK(mp_queue_empty(q));
    CHECK(mp_queue_put(q, data, length, 0) == 0);
    mp_queue_free(q);
    CHECK(mp_shared_check(NULL) == 0);
    free(data);
    return 0;
}

static void test_full_queue(void **state)
{
    (void)state;
    assert_int_equal(run(fill_queue, &(int){0}), 0);
    assert_int_equal(run(fill_queue, &(int){1}), 0);
}

static int without_descriptors(void *arg)
{
    (void)arg;
    struct rlimit l = {3, 3};
    int first = open("/dev/null", O_RDONLY);
    l.rlim_cur = l.rlim_max = (rlim_t)first;
    close(first);
    CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
    CHECK(mp_init() == MP_ESYS(EMFILE));
    void *p = mp_shared_alloc(1);
    CHECK(p == NULL && mp_shared_error() == MP_ESYS(EMFILE));
    return 0;
}

static void test_no_descriptors(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it has descriptors of its own */
    assert_int_equal(run(without_descriptors, NULL), 0);
}

/* A program that locks its memory does not get the whole sparse region for it. */
static int with_locked_memory(void *arg)
{
    (void)arg;
    CHECK(limit(RLIMIT_FSIZE, 256 * MIB) == 0); /* should it go wrong */
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return 77;
    CHECK(mp_init() == 0);
    mp__arena *a = mp__arena_get();
    size_t pages = a->size / (size_t)sysconf(_SC_PAGESIZE), real = 0;
    unsigned char *seen = calloc(1, pages);
    CHECK(mincore(a, a->size, seen) == 0);
    for (size_t i = 0; i < pages; i++)
        real += seen[i] & 1;
    free(seen);
    CHECK(real < 16);
    char *block = mp_shared_alloc(MIB);
    CHECK(block != NULL);
    memset(block, 1, MIB);
    mp_shared_free(block);
    return 0;
}

static void test_locked_memory(void **state)
{
    (void)state;
    if (instrumented())
        skip();
    int status = run(with_locked_memory, NULL);
    if (status == 77)
        skip(); /* it may not lock that much */
    assert_int_equal(status, 0);
}

static int other_process(void *arg)
{
    mp_queue **q = arg;
    char text[8];
    CHECK(mp_queue_get(q[0], text, 8, LONG) == 2);
    CHECK(mp_queue_put(q[1], text, 2, LONG) == 0);
    return 0;
}

/* closefrom(3) takes nothing away, and the user's file that gets the freed number is not
 * touched. */
static int close_everything(void *arg)
{
    CHECK(mp_init() == 0);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    FILE *mine = fopen(arg, "w+");
    CHECK(mine != NULL && fileno(mine) == 3);
    fputs("mine", mine);
    fflush(mine);
    mp_queue **q = mp_shared_alloc(2 * sizeof *q);
    CHECK(mp_queue_new(&q[0]) == 0 && mp_queue_new(&q[1]) == 0);
    pid_t child = child_start(other_process, q);
    char text[8];
    CHECK(mp_queue_put(q[0], "ab", 2, 0) == 0);
    CHECK(mp_queue_get(q[1], text, 8, LONG) == 2);
    CHECK(child_end(child) == 0);
    void *large = mp_shared_alloc(40 * MIB);
    CHECK(large != NULL);
    mp_shared_free(large);
    struct stat st;
    CHECK(fstat(3, &st) == 0 && st.st_size == 4);
    CHECK(fclose(mine) == 0);
    CHECK(mp_shared_check(NULL) == 0);
    return 0;
}

static void test_closefrom(void **state)
{
    (void)state;
    const char *dir = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/mproc-user-file.%d", dir != NULL ? dir : "/tmp", (int)getpid());
    int status = run(close_everything, path);
    unlink(path);
    assert_int_equal(status, 0);
}

/* A core dump of a process with the large sparse arena is small, and dumping allocates nothing. */
static int crash(void *arg)
{
    CHECK(chdir(arg) == 0);
    CHECK(limit(RLIMIT_CORE, RLIM_INFINITY) == 0);
    CHECK(mp_init() == 0);
    char *block = mp_shared_alloc(MIB);
    memset(block, 1, MIB);
    abort();
}

static void test_core_dump(void **state)
{
    (void)state;
    char pattern[64] = "", dir[512], path[600];
    struct rlimit core;
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");
    if (f != NULL && fgets(pattern, sizeof pattern, f) == NULL)
        pattern[0] = '\0';
    if (f != NULL)
        fclose(f);
    getrlimit(RLIMIT_CORE, &core);
    if (strcmp(pattern, "core\n") != 0 || core.rlim_max != RLIM_INFINITY || instrumented())
        skip();
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/mproc-core.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    pid_t child = child_start(crash, dir);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    snprintf(path, sizeof path, "%s/core", dir);
    struct stat st = {0};
    if (stat(path, &st) != 0) {
        snprintf(path, sizeof path, "%s/core.%d", dir, (int)child);
        assert_int_equal(stat(path, &st), 0);
    }
    unlink(path);
    rmdir(dir);
    printf("core dump: %lld KiB\n", (long long)st.st_size / 1024);
    assert_true((size_t)st.st_size < 64 * MIB && (size_t)st.st_blocks * 512 < 64 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_space),  cmocka_unit_test(test_file_size),
        cmocka_unit_test(test_exhaustion),     cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_no_descriptors), cmocka_unit_test(test_closefrom),
        cmocka_unit_test(test_locked_memory),  cmocka_unit_test(test_core_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
