/* SPDX-License-Identifier: MIT */
/* Shared memory blocks: every size, many processes, limits of every kind. */
#include <mproc/error.h>
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

static size_t used;

static int setup(void **state)
{
    (void)state;
    int descriptors = open_descriptors();
    if (mp_init() != 0 || open_descriptors() != descriptors)
        return -1; /* no descriptor is kept */
    used = bytes_in_use();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return bytes_in_use() == used ? mp_shared_check(NULL) : -1;
}

static void test_every_size(void **state)
{
    (void)state;
    enum { COUNT = 2600 };
    static unsigned char *block[COUNT];
    static size_t size[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size[i] = i < 600 ? i : i < 2500 ? i * 8 : 20000 + (i - 2500) * 2000;
        block[i] = mp_shared_alloc(size[i]);
        assert_non_null(block[i]);
        assert_int_equal(mp_shared_error(), 0);
        assert_true(mp__is_aligned(block[i], 16));
        memset(block[i], (int)i, size[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < size[i]; k += 1 + size[i] / 512)
            assert_int_equal(block[i][k], (unsigned char)i);
    for (size_t i = 0; i < COUNT; i++) {
        mp_shared_free(block[i * 7 % COUNT]); /* 7 and COUNT have no common factor */
        assert_int_equal(mp_shared_error(), 0);
    }
}

static void test_zeroed(void **state)
{
    (void)state;
    static const size_t size[] = {1, 100, 5000, 40000, 3 << 20};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) {
            unsigned char *p = mp_shared_alloc(size[i]);
            memset(p, 255, size[i]);
            mp_shared_free(p);
            p = mp_shared_calloc(size[i], 1);
            for (size_t at = 0; at < size[i]; at++)
                assert_int_equal(p[at], 0);
            mp_shared_free(p);
        }
    void *p = mp_shared_calloc(0, 8);
    assert_non_null(p);
    mp_shared_free(p);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_null(mp_shared_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    assert_null(mp_shared_calloc((size_t)1 << 32, (size_t)1 << 32));
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 65535, SIZE_MAX / 2, (size_t)1 << 46};
    for (int i = 0; i < 4; i++) {
        assert_null(mp_shared_alloc(huge[i]));
        assert_int_equal(mp_shared_error(), MP_ENOMEM);
    }
    mp_shared_free(NULL);
    assert_int_equal(mp_shared_error(), 0);
}

/* What is no live block is left alone. */
static void test_bad_free(void **state)
{
    (void)state;
    char local[32];
    static const size_t size[] = {16, 100, 4000, 32768, 32769, 200000};
    mp__arena *a = mp__arena_get();
    void *foreign[] = {local, (void *)1, (void *)UINTPTR_MAX, a, a->data - 1, a->data + a->size};
    for (int i = 0; i < 6; i++) {
        mp_shared_free(foreign[i]);
        assert_int_equal(mp_shared_error(), MP_EINVAL);
    }
    for (int i = 0; i < 6; i++) {
        char *p = mp_shared_alloc(size[i]);
        static const size_t off[] = {1, 8, 15, 4096, 65536, 100000};
        for (int k = 0; k < 6 && off[k] < size[i]; k++) {
            mp_shared_free(p + off[k]);
            assert_int_equal(mp_shared_error(), MP_EINVAL);
        }
        mp_shared_free(p);
        assert_int_equal(mp_shared_error(), 0);
        mp_shared_free(p);
        assert_int_equal(mp_shared_error(), MP_EINVAL);
    }
}

/* Each process allocates, fills, and checks what it has filled, in wild order. */
static int churn(void *arg)
{
    enum { HELD = 200 };
    static unsigned char *block[HELD];
    static size_t size[HELD];
    static unsigned char mark[HELD];
    random_state s = *(random_state *)arg ^ (uint64_t)getpid() << 20;
    for (int i = 0; i < fewer(20000); i++) {
        uint32_t at = random_below(&s, HELD);
        for (size_t k = 0; block[at] != NULL && k < size[at]; k += 1 + size[at] / 64)
            CHECK(block[at][k] == mark[at]);
        mp_shared_free(block[at]);
        CHECK(mp_shared_error() == 0);
        size[at] = random_below(&s, 1u << random_below(&s, 18));
        block[at] = mp_shared_alloc(size[at]);
        CHECK(block[at] != NULL);
        mark[at] = (unsigned char)random_next(&s);
        memset(block[at], mark[at], size[at]);
    }
    for (int i = 0; i < HELD; i++)
        mp_shared_free(block[i]);
    return 0;
}

static void test_many_processes(void **state)
{
    (void)state;
    pid_t child[4];
    random_state s = random_start("test_many_processes");
    for (int i = 0; i < 4; i++)
        child[i] = child_start(churn, &s);
    for (int i = 0; i < 4; i++)
        assert_int_equal(child_end(child[i]), 0);
}

static char **post;
static word *words;

static int older(void *arg)
{
    (void)arg;
    CHECK(await(words, 1));
    for (int i = 0; i < 3; i++)
        CHECK(strcmp(post[i], "younger") == 0); /* by the same pointer */
    strcpy(post[0], "older");
    mp_shared_free(post[1]); /* freed by another than the allocator */
    CHECK(mp_shared_error() == 0);
    post[3] = mp_shared_alloc(70000);
    strcpy(post[3], "from the child");
    return 0;
}

static void test_older_process(void **state)
{
    (void)state;
    words = common(4096);
    post = common(4096);
    pid_t child = child_start(older, NULL);
    static const size_t size[] = {16, 5000, 5 << 20};
    for (int i = 0; i < 3; i++) {
        post[i] = mp_shared_alloc(size[i]);
        strcpy(post[i], "younger");
    }
    signal_word(words);
    assert_int_equal(child_end(child), 0);
    assert_string_equal(post[0], "older");
    assert_string_equal(post[3], "from the child");
    mp_shared_free(post[1]);
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    mp_shared_free(post[0]);
    mp_shared_free(post[2]);
    mp_shared_free(post[3]);
    munmap(post, 4096);
    munmap((void *)words, 4096);
}

/* How many pages of the block are in memory. */
static size_t resident(void *block, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    unsigned char *seen = calloc(1, size / page + 2);
    char *start = (char *)((uintptr_t)block / page * page);
    if (mincore(start, size, seen) != 0)
        count = SIZE_MAX;
    for (size_t i = 0; count != SIZE_MAX && i < size / page; i++)
        count += seen[i] & 1;
    free(seen);
    return count;
}

static void test_memory_goes_back(void **state)
{
    (void)state;
    size_t size = 40 * MIB; /* more than the allocator keeps */
    char *block = mp_shared_alloc(size);
    assert_non_null(block);
    size_t pages = size / (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(resident(block, size), pages); /* real when it is handed out */
    mp_shared_free(block);
    assert_true(resident(block, size) * (size_t)sysconf(_SC_PAGESIZE) <= 3 * MIB);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_memory_goes_back), TEST(test_every_size), TEST(test_zeroed),
        TEST(test_refusals),         TEST(test_bad_free),   TEST(test_many_processes),
        TEST(test_older_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
