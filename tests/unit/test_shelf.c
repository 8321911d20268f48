/* SPDX-License-Identifier: MIT */
/* Large blocks from hand to hand: which one is next, who has it, what hints may say, and how much
 * memory stays for it. */
#include "shm/shelf.h"

#include "shm/chunk.h"
#include "shm/reserve.h"
#include "support/shared.h"

#include <mproc/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB  ((size_t)1 << 20)
#define SIZE (3 * MP__CHUNK_SIZE) /* a block of shelf 2 */

static mp_shared_usage stats(void)
{
    mp_shared_usage s = {.size = sizeof s};
    if (mp_shared_stats(&s) != 0)
        abort();
    return s;
}

/* Each test is a family of its own. */
static int run(int (*body)(void *), void *arg)
{
    return child_end(child_start(body, arg));
}

static uint32_t hints_of(unsigned shelf)
{
    uint32_t count = 0;
    for (int i = 0; i < MP__SHELF_PLACES; i++)
        count += mp__load_seq(&mp__arena_get()->shelves[shelf].place[i]) != 0;
    return count;
}

static int free_it(void *block)
{
    mp_shared_free(block);
    return mp_shared_error() != 0;
}

/* The last that was freed is the next, whoever freed it; and a free block is nobody's. */
static int last_in_first_out(void *arg)
{
    (void)arg;
    void *block[4];
    CHECK(mp_init() == 0);
    for (int i = 0; i < 4; i++)
        CHECK((block[i] = mp_shared_alloc(SIZE)) != NULL);
    for (int i = 0; i < 4; i++)
        CHECK(i % 2 == 0 ? free_it(block[i]) == 0 : run(free_it, block[i]) == 0);
    CHECK(hints_of(2) == 4 && stats().blocks == 0 && stats().reserved == 0);
    for (int i = 4; i-- > 0;) {
        CHECK(free_it(block[i]) != 0 && mp_shared_error() == MP_EINVAL);
        CHECK(mp_shared_alloc(SIZE - 100) == block[i]);
    }
    CHECK(hints_of(2) == 0 && stats().blocks == 4 && stats().reserved == 4 * SIZE);
    for (int i = 0; i < 4; i++)
        mp_shared_free(block[i]);
    return mp_shared_check(NULL);
}

static void test_last_in_first_out(void **state)
{
    (void)state;
    assert_int_equal(run(last_in_first_out, NULL), 0);
}

/* Every length of a run, on its shelf or on none. */
static int every_length(void *arg)
{
    (void)arg;
    CHECK(mp_init() == 0);
    mp__arena *a = mp__arena_get();
    uint32_t longest = mp__shelf_longest(MP__SHELVES - 1), last = 0;
    for (unsigned shelf = 0; shelf < MP__SHELVES; shelf++) {
        uint32_t most = mp__shelf_longest(shelf);
        CHECK(most > last && (most - last) * 4 <= most + 15);
        for (uint32_t n = last + 1; n <= most && n <= 128; n++) {
            void *p = mp_shared_alloc(n * MP__CHUNK_SIZE), *q;
            CHECK(p != NULL);
            mp_shared_free(p);
            bool fits = n <= 128; /* the reserve's 8 MiB */
            CHECK(hints_of(shelf) == fits || most > 128);
            CHECK((q = mp_shared_alloc(n * MP__CHUNK_SIZE)) == p);
            mp_shared_free(q);
            CHECK(mp_shared_check(NULL) == 0);
            mp__chunk_lock(a);
            mp__shelf_clear(a);
            mp__chunk_unlock(a);
            CHECK(hints_of(shelf) == 0 && a->used == 0);
        }
        last = most;
    }
    void *p = mp_shared_alloc((longest + 1) * MP__CHUNK_SIZE);
    CHECK(p != NULL && free_it(p) == 0);
    return mp_shared_check(NULL);
}

static void test_every_length(void **state)
{
    (void)state;
    assert_int_equal(run(every_length, NULL), 0);
}

/* What lies on shelves serves other sizes before the system is asked. */
static int other_sizes(void *arg)
{
    (void)arg;
    void *block[6];
    CHECK(mp_init() == 0);
    for (int i = 0; i < 6; i++)
        CHECK((block[i] = mp_shared_alloc(MIB)) != NULL);
    for (int i = 0; i < 6; i++)
        mp_shared_free(block[i]);
    CHECK(hints_of(15) == 6);
    size_t committed = stats().committed;
    void *p = mp_shared_alloc(5 * MIB);
    CHECK(p == block[0] && hints_of(15) == 0);
    mp_shared_free(p);
    for (size_t size = 70000; size < 4 * MIB; size += size / 3) {
        CHECK((p = mp_shared_alloc(size)) != NULL);
        mp_shared_free(p);
    }
    CHECK(stats().committed == committed);
    return mp_shared_check(NULL);
}

static void test_other_sizes(void **state)
{
    (void)state;
    assert_int_equal(run(other_sizes, NULL), 0);
}

/* Hints that lead to blocks in use, to free chunks, into spans, nowhere, or twice to the same. */
static int wrong_hints(void *arg)
{
    (void)arg;
    CHECK(mp_init() == 0);
    mp__arena *a = mp__arena_get();
    unsigned char *used = mp_shared_alloc(SIZE), *free = mp_shared_alloc(SIZE);
    char *small = mp_shared_alloc(100);
    CHECK(used != NULL && free != NULL && small != NULL);
    memset(used, 7, SIZE);
    mp_shared_free(free);
    uint32_t head[] = {(uint32_t)((char *)used - a->data) / (uint32_t)MP__CHUNK_SIZE,
                       (uint32_t)((char *)free - a->data) / (uint32_t)MP__CHUNK_SIZE,
                       (uint32_t)(small - a->data) / (uint32_t)MP__CHUNK_SIZE, UINT32_MAX - 1,
                       a->chunks - 1};
    for (int round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 12; i++)
            mp__store_seq(&a->shelves[2].place[(i + (uint32_t)round) % MP__SHELF_PLACES],
                          head[(i + (uint32_t)round / 7) % 5] + 1);
        void *block[4];
        for (int i = 0; i < 4; i++) {
            CHECK((block[i] = mp_shared_alloc(SIZE)) != NULL && block[i] != used);
            for (int k = 0; k < i; k++)
                CHECK(block[k] != block[i]);
            memset(block[i], 1, SIZE);
        }
        for (int i = 0; i < 4; i++)
            CHECK(free_it(block[i]) == 0);
    }
    for (size_t i = 0; i < SIZE; i++)
        CHECK(used[i] == 7);
    mp__chunk_lock(a);
    mp__shelf_gather(a);
    mp__chunk_unlock(a);
    mp_shared_free(used);
    mp_shared_free(small);
    CHECK(stats().blocks == 0);
    return mp_shared_check(NULL);
}

static void test_wrong_hints(void **state)
{
    (void)state;
    assert_int_equal(run(wrong_hints, NULL), 0);
}

/* Blocks that wander: each process puts its block where another's lies, takes that one, looks
 * whether it is whole, and frees it. */
enum { TABLE = 16, WORKERS = 3 };
typedef struct market {
    _Atomic uintptr_t place[TABLE];
    random_state seed;
} market;

typedef struct ware {
    size_t size;
    uint64_t mark;
} ware;

static ware *make_ware(random_state *s)
{
    size_t size = (1 + random_below(s, 3)) * MP__CHUNK_SIZE * (1 + 7 * random_below(s, 2));
    ware *w = mp_shared_alloc(size);
    if (w == NULL)
        return NULL;
    *w = (ware){size, random_next(s)};
    for (size_t at = 4096; at < size; at += 4096)
        memcpy((char *)w + at, &w->mark, sizeof w->mark);
    return w;
}

static bool is_whole(const ware *w)
{
    for (size_t at = 4096; at < w->size; at += 4096)
        if (memcmp((const char *)w + at, &w->mark, sizeof w->mark) != 0)
            return false;
    return true;
}

static int trade(market *m, random_state *s)
{
    ware *w = make_ware(s);
    CHECK(w != NULL);
    ware *other = (ware *)mp__exchange_seq(&m->place[random_below(s, TABLE)], (uintptr_t)w);
    if (other != NULL) {
        CHECK(is_whole(other));
        memset(other, 0, sizeof *other);
        CHECK(free_it(other) == 0);
    }
    return 0;
}

static int trade_for_ever(void *arg)
{
    market *m = arg;
    random_state s = m->seed ^ (uint64_t)getpid() << 20;
    for (;;)
        CHECK(trade(m, &s) == 0);
}

static int trade_a_while(void *arg)
{
    market *m = arg;
    random_state s = m->seed ^ (uint64_t)getpid() << 20;
    for (int i = 0; i < fewer(20000); i++)
        CHECK(trade(m, &s) == 0);
    return 0;
}

static int close_market(market *m)
{
    for (int i = 0; i < TABLE; i++) {
        ware *w = (ware *)mp__exchange_seq(&m->place[i], 0);
        CHECK(w == NULL || (is_whole(w) && free_it(w) == 0));
    }
    const char *problem = NULL;
    if (mp_shared_check(&problem) != 0)
        fprintf(stderr, "%s\n", problem);
    return problem != NULL;
}

static int wander(void *arg)
{
    market *m = arg;
    pid_t child[WORKERS];
    CHECK(mp_init() == 0);
    for (int i = 0; i < WORKERS; i++)
        child[i] = child_start(trade_a_while, m);
    for (int i = 0; i < WORKERS; i++)
        CHECK(child_end(child[i]) == 0);
    CHECK(close_market(m) == 0);
    CHECK(stats().blocks == 0);
    return 0;
}

/* Each death loses what the dead one had in hand, two blocks at most. */
static int wander_and_die(void *arg)
{
    market *m = arg;
    pid_t child[WORKERS];
    int kills = fewer(300);
    random_state s = m->seed;
    CHECK(mp_init() == 0);
    for (int i = 0; i < WORKERS; i++)
        child[i] = child_start(trade_for_ever, m);
    for (int k = 0; k < kills; k++) {
        uint32_t i = random_below(&s, WORKERS);
        nap(random_below(&s, 2000) * 1e-6);
        CHECK(child_kill(child[i]) == -SIGKILL);
        child[i] = child_start(trade_for_ever, m);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK(child_kill(child[i]) == -SIGKILL);
    CHECK(close_market(m) == 0);
    mp__arena *a = mp__arena_get();
    mp__chunk_lock(a);
    mp__shelf_gather(a);
    mp__chunk_unlock(a);
    size_t lost = stats().blocks;
    printf("%d deaths: %zu blocks lost\n", kills + WORKERS, lost);
    CHECK(lost <= 2 * (size_t)(kills + WORKERS));
    CHECK(a->used * MP__CHUNK_SIZE == stats().in_use); /* and nothing else is set aside */
    return mp_shared_check(NULL);
}

static void test_wandering(void **state)
{
    (void)state;
    market *m = common(sizeof *m);
    m->seed = random_start("test_wandering");
    assert_int_equal(run(wander, m), 0);
    assert_int_equal(run(wander_and_die, m), 0);
    munmap(m, sizeof *m);
}

/* What comes and goes is kept after the first time, and given back when it was idle for long. */
static int comes_and_goes(void *arg)
{
    size_t size = *(size_t *)arg, bytes = 24 * MIB;
    mp_arena_options o = {.size = sizeof o, .limit = 1024 * MIB};
    CHECK(mp_arena_configure(&o) == 0 && mp_init() == 0);
    mp__arena *a = mp__arena_get();
    size_t count = bytes / size;
    void **block = calloc(count, sizeof *block);
    CHECK(block != NULL);
    double start = seconds();
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < count; i++)
            CHECK((block[i] = mp_shared_alloc(size)) != NULL);
        for (size_t i = 0; i < count; i++)
            mp_shared_free(block[i]);
        if (round == 0)
            CHECK(stats().committed < 10 * MIB);
    }
    /* Else each round had been given back before the next; or (valgrind) the arena is small. */
    if (seconds() - start < 0.5 && mp__reserve_most(a) * MP__CHUNK_PAGE > bytes)
        CHECK(stats().committed > bytes);
    CHECK(mp__load_seq(&a->reserve) <= mp__reserve_most(a));
    double end = seconds() + LONG;
    for (; stats().committed > 9 * MIB && seconds() < end; nap(0.02))
        for (int i = 0; i < 64; i++)
            mp_shared_free(mp_shared_alloc(size));
    CHECK(stats().committed <= 9 * MIB);
    CHECK(mp__load_seq(&a->reserve) == MP__RESERVE_LEAST);
    free(block);
    return mp_shared_check(NULL);
}

static void test_comes_and_goes(void **state)
{
    (void)state;
    size_t size[] = {8192, 70000, MIB};
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(comes_and_goes, &size[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_in_first_out), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_other_sizes),       cmocka_unit_test(test_wrong_hints),
        cmocka_unit_test(test_wandering),         cmocka_unit_test(test_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
