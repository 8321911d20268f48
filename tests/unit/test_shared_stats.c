/* SPDX-License-Identifier: MIT */
/* The figures of the arena against what was allocated and what the system says; and memory that
 * goes back, with several processes at it and under kills. */
#include <mproc/error.h>
#include <mproc/shared.h>

#include "shm/reserve.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB     ((size_t)1 << 20)
#define RESERVE (8 * MIB) /* what may stay populated */

static mp_shared_usage stats(void)
{
    mp_shared_usage s = {.size = sizeof s};
    assert_int_equal(mp_shared_stats(&s), 0);
    return s;
}

/* Bytes of the arena that the system has given, whoever has asked for them. */
static size_t real_bytes(void)
{
    mp__arena *a = mp__arena_get();
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    size_t length = (size_t)(mp__chunk_address(a, mp__load_relaxed(&a->top)) - (char *)a);
    unsigned char *seen = calloc(1, length / page + 1);
    if (mincore(a, length, seen) != 0)
        length = 0;
    for (size_t i = 0; i < length / page; i++)
        count += seen[i] & 1;
    free(seen);
    return count * page;
}

static int setup(void **state)
{
    (void)state;
    return mp_init();
}

static int teardown(void **state)
{
    (void)state;
    return mp_shared_check(NULL);
}

static void test_figures(void **state)
{
    (void)state;
    static const size_t size[] = {1, 16, 100, 112, 4096, 5000, 32768, 32769, 65536, 300000};
    static const size_t whole[] = {16, 16, 112, 112, 4096, 5120, 32768, 65536, 65536, 327680};
    mp_shared_usage before = stats();
    void *block[10];
    size_t bytes = 0;
    for (int i = 0; i < 10; i++) {
        block[i] = mp_shared_alloc(size[i]);
        bytes += whole[i];
        mp_shared_usage s = stats();
        assert_int_equal(s.in_use - before.in_use, bytes);
        assert_int_equal(s.blocks - before.blocks, i + 1);
        assert_true(s.reserved >= s.in_use && s.peak >= s.reserved && s.limit >= s.peak);
    }
    mp_shared_usage full = stats();
    assert_int_equal(full.large_blocks - before.large_blocks, 3);
    assert_int_equal(full.large_bytes - before.large_bytes, 65536 + 65536 + 327680);
    size_t sum = full.large_bytes, blocks = full.large_blocks;
    for (int c = 0; c < MP_SHARED_CLASSES; c++) {
        sum += full.classes[c].block_size * full.classes[c].blocks;
        blocks += full.classes[c].blocks;
        size_t more = full.classes[c].blocks - before.classes[c].blocks;
        size_t b = full.classes[c].block_size;
        assert_int_equal(more, b == 16 || b == 112 ? 2 : b == 4096 || b == 5120 || b == 32768);
    }
    assert_true(sum == full.in_use && blocks == full.blocks);
    for (int i = 0; i < 10; i++)
        mp_shared_free(block[i]);
    mp_shared_usage after = stats();
    assert_true(after.in_use == before.in_use && after.blocks == before.blocks);
    assert_true(after.peak >= full.in_use);
}

static void test_sizes_of_the_structure(void **state)
{
    (void)state;
    mp_shared_usage s = {0};
    assert_int_equal(mp_shared_stats(NULL), MP_EINVAL);
    assert_int_equal(mp_shared_stats(&s), MP_EINVAL);
    s.size = offsetof(mp_shared_usage, classes); /* an older program's */
    s.classes[0].block_size = 12345;
    assert_int_equal(mp_shared_stats(&s), 0);
    assert_true(s.limit > 0 && s.classes[0].block_size == 12345);
    assert_int_equal(s.size, offsetof(mp_shared_usage, classes));
    struct {
        mp_shared_usage s;
        size_t more;
    } newer = {.s.size = sizeof newer, .more = 7};
    assert_int_equal(mp_shared_stats(&newer.s), 0);
    assert_true(newer.more == 0 && newer.s.size == sizeof newer);
}

/* `bytes` in blocks of one size, as a chain. */
static void **fill(size_t size, size_t bytes)
{
    void **chain = NULL;
    for (size_t n = 0; n < bytes / size; n++) {
        void **p = mp_shared_alloc(size);
        if (p == NULL)
            abort();
        *p = chain;
        chain = p;
    }
    return chain;
}

static void empty(void **chain)
{
    while (chain != NULL) {
        void **next = *chain;
        mp_shared_free(chain);
        chain = next;
    }
}

/* Waits until what was used once again, and so was kept, has gone back: with calls of somebody now
 * and then, for without them nothing happens. */
static bool settles(const mp_shared_usage *before)
{
    for (double end = seconds() + LONG; seconds() < end;) {
        empty(fill(MIB, 12 * MIB)); /* more than the reserve is at least: idle spans go as well */
        for (double soon = seconds() + 4; seconds() < soon; nap(0.02)) {
            mp_shared_usage now = stats();
            if (now.committed <= before->committed + RESERVE &&
                now.reserved <= before->reserved + MIB)
                return true;
            for (int i = 0; i < 100; i++)
                mp_shared_free(mp_shared_alloc(70000));
        }
    }
    return false;
}

/* What we say is committed is what the system has given, full and emptied; and nearly all of it
 * goes back: at once, or when it has not been used again for a while. */
static void test_goes_back(void **state)
{
    (void)state;
    static const size_t size[] = {100, 16, 1000, 5000, 32768, 100000, 2 << 20};
    size_t bytes = (getenv("MP_TEST_VALGRIND") != NULL ? 16 : 64) * MIB;
    mp_shared_usage first = stats();
    size_t most = mp__reserve_most(mp__arena_get()) * MP__CHUNK_PAGE;
    for (int i = 0; i < 7; i++) {
        mp_shared_usage before = stats();
        void **chain = fill(size[i], bytes);
        mp_shared_usage full = stats();
        assert_true(full.committed >= bytes / size[i] * size[i]);
        assert_int_equal(full.committed, real_bytes());
        empty(chain);
        mp_shared_usage after = stats();
        assert_int_equal(after.in_use, before.in_use);
        assert_int_equal(after.committed, real_bytes());
        assert_true(after.committed <= first.committed + (i == 0 ? RESERVE : most + 2 * MIB));
        assert_true(after.reserved <= first.reserved + 2 * MIB);
    }
    assert_true(settles(&first));
}

/* A span with one block in use stays; when that goes, it goes. */
static void test_holes(void **state)
{
    (void)state;
    enum { SPANS = 50 };
    void *held[SPANS];
    mp_shared_usage before = stats();
    for (int i = 0; i < SPANS; i++) {
        void **chain = fill(64, 2 * 65536);
        held[i] = mp_shared_alloc(64);
        empty(chain);
    }
    mp_shared_usage thin = stats();
    assert_int_equal(thin.in_use - before.in_use, SPANS * 64);
    for (int i = 0; i < SPANS; i++)
        mp_shared_free(held[i]);
    assert_true(stats().reserved <= thin.reserved);
    assert_true(stats().reserved <= before.reserved + 2 * 65536);
}

/* Waves of blocks of all sizes, up and down, for so many rounds. */
static int waves(void *arg)
{
    enum { HELD = 200 };
    static unsigned char *block[HELD];
    static size_t size[HELD];
    random_state s = *(random_state *)arg ^ (uint64_t)getpid() << 20;
    for (int round = 0; round < fewer(60); round++) {
        unsigned mark = (unsigned)getpid() + (unsigned)round;
        uint32_t shift = 4 + random_below(&s, 12);
        for (int i = 0; i < HELD; i++) {
            size[i] = 1 + random_below(&s, 1u << shift);
            block[i] = mp_shared_alloc(size[i]);
            CHECK(block[i] != NULL);
            memset(block[i], (int)(mark + (unsigned)i), size[i]);
        }
        for (int i = 0; i < HELD; i++) {
            for (size_t k = 0; k < size[i]; k += 1 + size[i] / 32)
                CHECK(block[i][k] == (unsigned char)(mark + (unsigned)i));
            mp_shared_free(block[i]);
            CHECK(mp_shared_error() == 0);
        }
    }
    return 0;
}

static void test_processes_together(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    pid_t child[COUNT];
    random_state s = random_start("test_processes_together");
    mp_shared_usage before = stats();
    for (int i = 0; i < COUNT; i++)
        child[i] = child_start(waves, &s);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(child_end(child[i]), 0);
    bool settled = settles(&before);
    mp_shared_usage after = stats();
    assert_int_equal(after.in_use, before.in_use);
    if (getenv("MP_TEST_VALGRIND") == NULL) /* which looks for pointers in every hole */
        assert_int_equal(after.committed, real_bytes());
    printf("reserved %zu KiB, then %zu KiB of at most %zu KiB; committed %zu KiB, then %zu KiB\n",
           before.reserved >> 10, after.reserved >> 10, after.peak >> 10, before.committed >> 10,
           after.committed >> 10);
    assert_true(settled);
}

static int waves_for_ever(void *arg)
{
    for (;;)
        CHECK(waves(arg) == 0);
}

/* Whoever is killed leaks what it held; all else goes back, and the figures stay right. */
static void test_kills(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    pid_t child[COUNT];
    random_state s = random_start("test_kills");
    bool slow = getenv("MP_TEST_VALGRIND") != NULL; /* its arena is small */
    for (int i = 0; i < COUNT; i++)
        child[i] = child_start(waves_for_ever, &s);
    for (int k = 0; k < (slow ? 1 : fewer(150)); k++) {
        uint32_t i = random_below(&s, COUNT);
        nap(random_below(&s, 3000) * 1e-6);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        random_next(&s);
        child[i] = child_start(waves_for_ever, &s);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_int_equal(mp_shared_check(NULL), 0);
    mp_shared_usage before = stats();
    void **chain = fill(100, 16 * MIB);
    empty(chain);
    mp_shared_usage after = stats();
    assert_int_equal(after.in_use, before.in_use);
    assert_true(settles(&before));
}

/* What is freed here and there in spans that were full is used again, before new ones are made. */
static void test_room_in_full_spans(void **state)
{
    (void)state;
    enum { BLOCKS = 20000 };
    random_state seed = random_start("room in full spans");
    void **block = calloc(BLOCKS, sizeof *block);
    assert_non_null(block);
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(block[i] = mp_shared_alloc(100));
    size_t before = stats().reserved;
    for (int i = 0; i < 5 * BLOCKS; i++) {
        uint32_t k = random_below(&seed, BLOCKS);
        mp_shared_free(block[k]);
        assert_non_null(block[k] = mp_shared_alloc(100));
    }
    assert_true(stats().reserved <= before + MIB / 2);
    for (int i = 0; i < BLOCKS; i++)
        mp_shared_free(block[i]);
    free(block);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_figures),
        TEST(test_sizes_of_the_structure),
        TEST(test_goes_back),
        TEST(test_holes),
        TEST(test_processes_together),
        TEST(test_kills),
        TEST(test_room_in_full_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
