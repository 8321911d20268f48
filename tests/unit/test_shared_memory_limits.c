/* SPDX-License-Identifier: MIT */
/* Named shared memory where there is little: of room, file size, address space, descriptors, luck.
 * Whatever fails leaves no block. Each case is a child with limits of its own. */
#include <mproc/shared_memory.h>

#include "support/blocks.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static char block[64]; /* the name in all these tests */

static void run(int (*body)(void *), void *arg)
{
    snprintf(block, sizeof block, "%s", named("limits"));
    int result = child_end(child_start(body, arg));
    if (result == CANNOT)
        skip();
    assert_int_equal(result, 0);
    assert_int_equal(file_length(block), -1);
}

static int create(size_t length, int sparse)
{
    mp_shared_memory *m;
    int rc =
        mp_shared_memory_new(&m, .name = block, .create = true, .length = length, .sparse = sparse);
    if (rc == 0) {
        memset(mp_shared_memory_buffer(m), 'x', length < 100 * MIB ? length : 1);
        rc = mp_shared_memory_unlink(m);
        mp_shared_memory_free(m);
    }
    return rc;
}

static int limit(int which, rlim_t value)
{
    struct rlimit l = {value, value};
    return setrlimit(which, &l);
}

/* Of the names that come first and those that come last. */
static int whatever_is_first(int (*body)(void))
{
    int before = open_descriptors();
    if (body() != 0)
        return 1;
    if (forbid_linkat() != 0)
        return 0;
    if (body() != 0 || forbid_unnamed_files() != 0)
        return 1;
    int rc = body();
    CHECK(open_descriptors() == before);
    CHECK(file_length(block) == -1);
    return rc;
}

static int far_too_much(void)
{
    const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, (size_t)1 << 55};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK(create(lengths[i], 0) == MP_ENOMEM);
        int rc = create(lengths[i], MP_YES);
        CHECK(rc == MP_ENOMEM || rc == MP_ESYS(EFBIG));
        CHECK(file_length(block) == -1);
    }
    return 0;
}

static int no_room(void *arg)
{
    (void)arg;
    /* A limit on file sizes comes before. */
    struct rlimit l;
    if (getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur != RLIM_INFINITY)
        return CANNOT;
    return whatever_is_first(far_too_much);
}

static void test_more_than_there_is(void **state)
{
    (void)state;
    run(no_room, NULL);
}

/* A /dev/shm of 1 MiB, as containers have small ones. */
static int full(void)
{
    mp_shared_memory *m, *n;
    CHECK(create(2 * MIB, 0) == MP_ENOMEM);
    CHECK(create(MIB, 0) == 0);
    CHECK(mp_shared_memory_new(&m, .name = "first", .create = true, .length = MIB - 4096) == 0);
    CHECK(mp_shared_memory_new(&n, .name = "second", .create = true, .length = 8192) == MP_ENOMEM);
    CHECK(file_length("second") == -1);
    CHECK(mp_shared_memory_new(&n, .name = "second", .create = true, .length = 4096) == 0);
    /* Nothing is left; what is reserved can still be touched. */
    CHECK(create(1, 0) == MP_ENOMEM);
    memset(mp_shared_memory_buffer(m), 'm', MIB - 4096);
    memset(mp_shared_memory_buffer(n), 'n', 4096);
    CHECK(mp_shared_memory_unlink(n) == 0);
    mp_shared_memory_free(n);
    CHECK(create(4096, 0) == 0);
    /* Sparse is Python's way: any length, and a SIGBUS where there is no page left. */
    CHECK(mp_shared_memory_new(&n, .name = "second", .create = true, .length = 8 * MIB,
                               .sparse = MP_YES) == 0);
    CHECK(mp_shared_memory_length(n) == 8 * MIB);
    CHECK(mp_shared_memory_unlink(n) == 0 && mp_shared_memory_unlink(m) == 0);
    mp_shared_memory_free(n);
    mp_shared_memory_free(m);
    return 0;
}

static int small_mount(void *arg)
{
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "size=1m") != 0)
        return CANNOT;
    return whatever_is_first(full);
}

static void test_a_full_dev_shm(void **state)
{
    (void)state;
    run(small_mount, NULL);
}

/* Room, but not for one more file. */
static int one_file(void)
{
    mp_shared_memory *m, *n;
    CHECK(mp_shared_memory_new(&m, .name = "first", .create = true, .length = 10) == 0);
    CHECK(mp_shared_memory_new(&n, .name = "second", .create = true, .length = 10) == MP_ENOMEM);
    CHECK(mp_shared_memory_unlink(m) == 0);
    mp_shared_memory_free(m);
    return create(10, 0);
}

static int few_files(void *arg)
{
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "size=1m,nr_inodes=2") != 0)
        return CANNOT;
    return one_file();
}

static void test_no_room_for_a_file(void **state)
{
    (void)state;
    run(few_files, NULL);
}

/* A machine with little memory and a large /dev/shm: nobody is killed for a block. */
static int with_little_memory(void)
{
    CHECK(create(32 * MIB, 0) == MP_ENOMEM);
    CHECK(create(32 * MIB, MP_YES) == 0);
    CHECK(create(20 * MIB, 0) == 0);
    return 0;
}

static int little_memory(void *arg)
{
    char path[4096];
    FILE *f;
    if (getenv("MP_TEST_VALGRIND") != NULL || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0)
        return CANNOT;
    snprintf(path, sizeof path, "%s/meminfo", (const char *)arg);
    CHECK((f = fopen(path, "w")) != NULL);
    fprintf(f, "MemTotal: 99999999 kB\nMemAvailable: %d kB\nSwapFree: %d kB\n", 16384, 8192);
    fclose(f);
    if (mount(path, "/proc/meminfo", "none", MS_BIND, "") != 0)
        return CANNOT;
    return whatever_is_first(with_little_memory);
}

static void test_a_machine_with_little_memory(void **state)
{
    (void)state;
    char dir[] = "/tmp/mproc-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(block, sizeof block, "%s", named("limits"));
    int result = child_end(child_start(little_memory, dir));
    snprintf(path, sizeof path, "%s/meminfo", dir);
    unlink(path);
    rmdir(dir);
    if (result == CANNOT)
        skip();
    assert_int_equal(result, 0);
}

static int no_dev_shm(void *arg)
{
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("none", "/dev", "tmpfs", 0, "size=1m") != 0)
        return CANNOT;
    mp_shared_memory *m;
    CHECK(create(10, 0) == MP_ESYS(ENOENT));
    CHECK(mp_shared_memory_new(&m, .name = block) == MP_ESYS(ENOENT));
    return 0;
}

static void test_no_dev_shm(void **state)
{
    (void)state;
    run(no_dev_shm, NULL);
}

static int large_files(void)
{
    CHECK(create(3 * MIB, 0) == MP_ESYS(EFBIG));
    CHECK(create(2 * MIB + 1, MP_YES) == MP_ESYS(EFBIG));
    CHECK(create(2 * MIB, 0) == 0);
    CHECK(create(2 * MIB, MP_YES) == 0);
    return 0;
}

static int limited_files(void *arg)
{
    (void)arg;
    signal(SIGXFSZ, SIG_DFL);
    CHECK(limit(RLIMIT_FSIZE, 2 * MIB) == 0);
    return whatever_is_first(large_files);
}

static void test_limit_on_file_sizes(void **state)
{
    (void)state;
    run(limited_files, NULL);
}

static int no_addresses(void)
{
    CHECK(create(64 * MIB, 0) == MP_ENOMEM);
    CHECK(file_length(block) == -1);
    CHECK(create(64 * MIB, MP_YES) == MP_ENOMEM);
    CHECK(file_length(block) == -1);
    return 0;
}

static int limited_addresses(void *arg)
{
    (void)arg;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f != NULL && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    size_t used = pages * (size_t)sysconf(_SC_PAGESIZE);
    if (used >> 40 != 0 || getenv("MP_TEST_VALGRIND") != NULL)
        return CANNOT; /* a tool maps terabytes of its own, or is in the process itself */
    CHECK(limit(RLIMIT_AS, used + 32 * MIB) == 0);
    return whatever_is_first(no_addresses);
}

static void test_limit_on_addresses(void **state)
{
    (void)state;
    run(limited_addresses, NULL);
}

static int attach_without_addresses(void *arg)
{
    mp_shared_memory *m;
    int rc = limited_addresses(arg);
    if (rc != 0)
        return rc;
    CHECK(mp_shared_memory_new(&m, .name = named("large")) == MP_ENOMEM);
    CHECK(file_length(named("large")) == 64 * (long long)MIB);
    return 0;
}

/* A failed attach destroys nothing; Python's unlinks the block of another. */
static void test_a_failed_attach_leaves_the_block(void **state)
{
    (void)state;
    mp_shared_memory *m;
    assert_int_equal(mp_shared_memory_new(&m, .name = named("large"), .create = true,
                                          .length = 64 * MIB, .sparse = MP_YES),
                     0);
    snprintf(block, sizeof block, "%s", named("limits"));
    int result = child_end(child_start(attach_without_addresses, NULL));
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
    if (result == CANNOT)
        skip();
    assert_int_equal(result, 0);
}

static int no_descriptors(void *arg)
{
    (void)arg;
    mp_shared_memory *a, *b;
    int taken[4096], n = 0;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        return CANNOT; /* it makes the file, and then says that there is no descriptor for it */
    struct rlimit l;
    CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
    l.rlim_cur = 64;
    CHECK(mp_shared_memory_new(&a, .name = block, .create = true, .length = 10) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
    while (n < 4096 && (taken[n] = dup(2)) >= 0)
        n++;
    if (n == 4096)
        return CANNOT;
    CHECK(mp_shared_memory_new(&b, .name = named("other"), .create = true, .length = 10) ==
          MP_ESYS(EMFILE));
    CHECK(b == NULL && file_length(named("other")) == -1);
    CHECK(mp_shared_memory_new(&b, .name = block) == MP_ESYS(EMFILE));
    /* These need none. */
    CHECK(mp_shared_memory_check(a) == 0);
    CHECK(mp_shared_memory_unlink(a) == 0);
    mp_shared_memory_free(a);
    close(taken[--n]);
    CHECK(create(10, 0) == 0); /* it needs one */
    return 0;
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    run(no_descriptors, NULL);
}

/* Standard streams that the program has closed stay so. */
static int create_once(void)
{
    return create(1000, 0);
}

static int no_standard_streams(void *arg)
{
    (void)arg;
    close(0);
    close(1);
    int rc = whatever_is_first(create_once);
    return fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 ? rc : 2;
}

static void test_closed_standard_streams(void **state)
{
    (void)state;
    run(no_standard_streams, NULL);
}

enum { MANY = 1000 };

static void test_a_thousand_handles(void **state)
{
    (void)state;
    static mp_shared_memory *m[2 * MANY];
    char name[40];
    int descriptors = open_descriptors();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "thousand-%d", i);
        assert_int_equal(mp_shared_memory_new(&m[i], .name = named(name), .create = true,
                                              .length = (size_t)i + 1),
                         0);
        assert_int_equal(mp_shared_memory_new(&m[MANY + i], .name = named(name)), 0);
    }
    assert_int_equal(open_descriptors(), descriptors);
    for (int i = 0; i < MANY; i++)
        memset(mp_shared_memory_buffer(m[i]), i % 100, (size_t)i + 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(mp_shared_memory_length(m[MANY + i]), i + 1);
        assert_int_equal(((char *)mp_shared_memory_buffer(m[MANY + i]))[i], i % 100);
        assert_int_equal(mp_shared_memory_unlink(m[MANY + i]), 0);
        mp_shared_memory_free(m[MANY + i]);
        mp_shared_memory_free(m[i]);
    }
}

/* Signals all the time: reserving goes on. */
static void on_alarm(int signal)
{
    (void)signal;
}

static int under_signals(void *arg)
{
    (void)arg;
    struct sigaction a = {.sa_handler = on_alarm}; /* no SA_RESTART */
    struct itimerval every = {{0, 1500}, {0, 1500}}, none = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &a, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    int rc = create(64 * MIB, 0);
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    CHECK(rc == 0 || rc == MP_ESYS(EFBIG) || rc == MP_ENOMEM);
    return 0;
}

static void test_signals_while_reserving(void **state)
{
    (void)state;
    run(under_signals, NULL);
}

/* The library asks for random bytes; here it gets these. */
static int made_up; /* how often a name was asked for; -1: the system's own bytes */
static int same_names;

ssize_t getrandom(void *bytes, size_t count, unsigned flags)
{
    if (made_up < 0)
        return syscall(SYS_getrandom, bytes, count, flags);
    uint32_t seed = (uint32_t)getpid() * 16 + (uint32_t)(made_up < same_names ? 0 : made_up);
    made_up++;
    memcpy(bytes, &seed, count < sizeof seed ? count : sizeof seed);
    return (ssize_t)count;
}

static void test_a_made_up_name_is_taken(void **state)
{
    (void)state;
    mp_shared_memory *a = NULL, *b = NULL, *c = NULL;
    made_up = 0;
    same_names = 4;
    int first = mp_shared_memory_new(&a, .create = true, .length = 10);
    int after_first = made_up;
    int second = mp_shared_memory_new(&b, .create = true, .length = 10);
    int after_second = made_up;
    made_up = 0;
    same_names = 1000000;
    int never = mp_shared_memory_new(&c, .create = true, .length = 10);
    made_up = -1;
    bool differ = b != NULL && strcmp(mp_shared_memory_name(a), mp_shared_memory_name(b)) != 0;
    int unlinked = mp_shared_memory_unlink(a) + mp_shared_memory_unlink(b);
    mp_shared_memory_free(a);
    mp_shared_memory_free(b);
    assert_int_equal(first, 0);
    assert_int_equal(after_first, 1);
    assert_int_equal(second, 0);
    assert_int_equal(after_second, 5);
    assert_true(differ);
    assert_int_equal(never, MP_ESYS(EEXIST));
    assert_null(c);
    assert_int_equal(unlinked, 0);
}

int main(void)
{
    made_up = -1;
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_more_than_there_is),
        BLOCK_TEST(test_a_full_dev_shm),
        BLOCK_TEST(test_no_room_for_a_file),
        BLOCK_TEST(test_a_machine_with_little_memory),
        BLOCK_TEST(test_no_dev_shm),
        BLOCK_TEST(test_limit_on_file_sizes),
        BLOCK_TEST(test_limit_on_addresses),
        BLOCK_TEST(test_a_failed_attach_leaves_the_block),
        BLOCK_TEST(test_no_descriptors_left),
        BLOCK_TEST(test_closed_standard_streams),
        BLOCK_TEST(test_a_thousand_handles),
        BLOCK_TEST(test_signals_while_reserving),
        BLOCK_TEST(test_a_made_up_name_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
