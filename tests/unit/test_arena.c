/* SPDX-License-Identifier: MIT */
/* The arena's structure: what the validator finds, and what a storm of deaths leaves. */
#include "shm/arena.h"

#include "shm/chunk.h"
#include "shm/shelf.h"
#include "shm/span.h"
#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int setup(void **state)
{
    (void)state;
    return mp_init();
}

static void test_classes(void **state)
{
    (void)state;
    size_t last = 0;
    for (unsigned c = 0; c < MP__SIZE_CLASSES; c++) {
        size_t size = mp__span_block_size(c);
        assert_true(size > last && size % 16 == 0);
        assert_true(last < 128 || (size - last) * 4 <= size); /* little is wasted */
        assert_int_equal(mp__span_class(size), c);
        assert_int_equal(mp__span_class(last + 1), c);
        last = size;
    }
    assert_int_equal(last, MP__SPAN_LARGEST);
    assert_int_equal(mp__span_class(0), 0);
}

static void test_contains(void **state)
{
    (void)state;
    mp__arena *a = mp__arena_get();
    char *p = mp_shared_alloc(100), local;
    assert_true(mp__arena_contains(p, 100));
    assert_false(mp__arena_contains(&local, 1));
    assert_false(mp__arena_contains(NULL, 0));
    assert_false(mp__arena_contains(p, SIZE_MAX));
    assert_false(mp__arena_contains(a, 1)); /* its own administration is nobody's block */
    char *end = a->data + (size_t)a->chunks * MP__CHUNK_SIZE;
    assert_true(mp__arena_contains(end - 1, 1));
    assert_false(mp__arena_contains(end - 1, 2));
    mp_shared_free(p);
}

/* The places that are damaged, in turn; each child damages the arena that it shares with us, and
 * the bytes are put back afterwards. */
static mp__arena *a;
static mp__span *span;
static uint32_t run, in_span; /* head chunks */
static uint32_t number;       /* of the span */

static _Atomic uint32_t *at(uint32_t chunk)
{
    return &a->table[chunk];
}

static void damage_table(int which)
{
    uint32_t top = mp__load_relaxed(&a->top);
    switch (which) {
    case 0:
        mp__store_relaxed(&a->top, a->chunks + 1);
        break;
    case 1:
        mp__store_relaxed(at(run), mp__chunk_make(MP__CHUNK_RUN, 0));
        break;
    case 2:
        mp__store_relaxed(at(run), mp__chunk_make(MP__CHUNK_RUN, a->chunks));
        break;
    case 3:
        mp__store_relaxed(at(run), mp__chunk_make(MP__CHUNK_TAIL, 3));
        break;
    case 4:
        mp__store_relaxed(at(run + 1), mp__chunk_make(MP__CHUNK_RUN, 1));
        break;
    case 5:
        mp__store_relaxed(at(run + 1), mp__chunk_make(MP__CHUNK_TAIL, 2));
        break;
    case 6:
        mp__store_relaxed(at(in_span), mp__chunk_make(MP__CHUNK_SPAN, a->spans_top));
        break;
    case 7:
        mp__store_relaxed(at(in_span), mp__chunk_make(MP__CHUNK_SPAN, number + 1));
        break;
    case 8:
        mp__store_relaxed(at(top - 1), mp__chunk_make(MP__CHUNK_FREE, 1));
        break;
    default:
        mp__add_relaxed(&a->retained, 1);
        break;
    }
}

static void damage_span(int which)
{
    switch (which) {
    case 10:
        span->magic++;
        break;
    case 11:
        span->block_size *= 2;
        break;
    case 12:
        span->blocks = UINT32_MAX;
        break;
    case 13:
        span->blocks = 0;
        break;
    case 14:
        span->start += 4096;
        break;
    case 15:
        span->class ++;
        break;
    case 16:
        mp__and_release(&span->taken[span->blocks / MP__SPAN_BITS], ~MP__SPAN_MASK);
        break;
    case 17:
        memset((void *)span, 255, 64);
        break;
    case 18:
        span->words = 1;
        break;
    case 19:
        span->chunk++;
        break;
    case 20:
        span->generation++;
        break;
    case 21:
        mp__store_relaxed(&span->taken[0], ~UINT64_C(0));
        break;
    case 22:
        mp__store_relaxed(&a->classes[number], 0);
        break;
    default:
        mp__store_relaxed(&a->classes[mp__load_relaxed(&a->spans_top) - 1], 1);
        break;
    }
}

static void damage_header(int which)
{
    switch (which) {
    case 24:
        a->magic++;
        break;
    case 25:
        a->layout++;
        break;
    case 26:
        a->table = (_Atomic uint32_t *)(void *)((char *)a - 4096);
        break;
    case 27:
        a->data += (size_t)1 << 50;
        break;
    case 28:
        a->classes = NULL;
        break;
    case 29:
        a->spans = (mp__span *)(void *)((char *)a->spans + ((size_t)1 << 50));
        break;
    case 30:
        a->used++;
        break;
    case 31:
        a->peak = 0;
        break;
    case 32:
        mp__store_relaxed(&a->spans_top, UINT32_MAX);
        break;
    default:
        a->chunks = UINT32_MAX;
        break;
    }
}

static void damage_shelves(int which)
{
    mp__shelf *shelf = &a->shelves[2];
    switch (which) {
    case 34:
        mp__store_relaxed(&shelf->room, MP__SHELF_PLACES + 1);
        break;
    case 35:
        mp__add_relaxed(&shelf->room, 1);
        break;
    case 36:
        mp__store_relaxed(&shelf->place[MP__SHELF_PLACES - 1], UINT32_MAX);
        break;
    case 37:
        mp__store_relaxed(&a->reserve, 0);
        break;
    case 38:
        mp__store_relaxed(&a->reserve, UINT32_MAX);
        break;
    default:
        mp__or_relaxed(at(in_span), MP__CHUNK_SHELVED);
        break;
    }
}

/* What leads outside, or on for ever, when it is followed; or when who takes the lock repairs what
 * its last owner is said to have left. */
static void damage_reach(int which)
{
    switch (which) {
    case 40:
        a->spans = (mp__span *)(void *)((char *)a->spans + 10);
        break;
    case 41:
        a->size *= 2;
        break;
    case 42:
        mp__store_relaxed(&a->lock.word, MP__OWNER_DIED);
        span->chunk = UINT32_MAX;
        break;
    case 43:
        mp__store_relaxed(&a->lock.word, MP__OWNER_DIED);
        mp__store_relaxed(at(run), mp__chunk_make(MP__CHUNK_RUN, 0));
        break;
    default:
        mp__store_relaxed(&a->lock.word, (uint32_t)getppid()); /* who does not know of it */
        break;
    }
}
#define DAMAGES 45

static void damage(int which)
{
    if (which < 10)
        damage_table(which);
    else if (which < 24)
        damage_span(which);
    else if (which < 34)
        damage_header(which);
    else if (which < 40)
        damage_shelves(which);
    else
        damage_reach(which);
}

static int check_damaged(void *arg)
{
    damage(*(int *)arg);
    const char *problem = NULL;
    CHECK(mp_shared_check(&problem) == MP_EBROKEN);
    CHECK(problem != NULL && strlen(problem) > 10);
    CHECK(mp_shared_check(NULL) == MP_EBROKEN);
    return 0;
}

static void test_damages(void **state)
{
    (void)state;
    uint32_t d;
    a = mp__arena_get();
    char *large = mp_shared_alloc(3 * MP__CHUNK_SIZE), *small = mp_shared_alloc(200);
    void *last = mp_shared_alloc(3 * MP__CHUNK_SIZE);
    mp_shared_free(last);
    mp__chunk_lock(a);
    mp__shelf_clear(a); /* the last chunks are free and populated */
    mp__chunk_unlock(a);
    assert_true(mp__chunk_find(a, large + 70000, &run, &d));
    assert_true(mp__chunk_find(a, small, &in_span, &d));
    number = (uint32_t)mp__chunk_value(d);
    span = &a->spans[number];
    assert_true(span->blocks % MP__SPAN_BITS != 0);
    size_t table = mp__load_relaxed(&a->top) * sizeof *a->table;
    size_t classes = mp__load_relaxed(&a->spans_top);
    void *saved_table = malloc(table), *saved_span = malloc(sizeof *span);
    void *saved = malloc(sizeof *a), *saved_classes = malloc(classes);
    memcpy(saved_table, (void *)a->table, table);
    memcpy(saved_span, (void *)span, sizeof *span);
    memcpy(saved_classes, (void *)a->classes, classes);
    memcpy(saved, (void *)a, sizeof *a);
    mp__arena whole = *a;
    for (int i = 0; i < DAMAGES; i++) {
        assert_int_equal(mp_shared_check(NULL), 0);
        int status = child_end(child_start(check_damaged, &i));
        memcpy((void *)a, saved, sizeof *a);
        memcpy((void *)whole.table, saved_table, table);
        memcpy((void *)span, saved_span, sizeof *span);
        memcpy((void *)whole.classes, saved_classes, classes);
        if (status != 0)
            print_error("damage %d\n", i);
        assert_int_equal(status, 0);
    }
    free(saved_table);
    free(saved_classes);
    free(saved_span);
    free(saved);
    const char *problem = "";
    assert_int_equal(mp_shared_check(&problem), 0);
    assert_null(problem);
    mp_shared_free(large);
    mp_shared_free(small);
}

#define LARGEST_BLOCK ((size_t)400000)

/* Allocates and frees at random for ever; what it holds stands in shared memory, in `held`. */
static void *volatile *held;
#define HELD 64

static int churn(void *arg)
{
    random_state s = *(random_state *)arg ^ (uint64_t)getpid() << 16;
    for (;;) {
        uint32_t i = random_below(&s, HELD);
        unsigned char *p = held[i];
        held[i] = NULL; /* a death between these two leaks this block */
        mp_shared_free(p);
        CHECK(mp_shared_error() == 0);
        size_t size = random_below(&s, random_below(&s, 8) == 0 ? (uint32_t)LARGEST_BLOCK : 3000);
        p = mp_shared_alloc(size);
        CHECK(p != NULL);
        if (size > 0)
            p[0] = p[size - 1] = 1;
        held[i] = p;
    }
}

static void free_held(void *volatile *of)
{
    for (int i = 0; i < HELD; i++) {
        mp_shared_free(of[i]);
        assert_int_equal(mp_shared_error(), 0);
        of[i] = NULL;
    }
}

static void test_storm(void **state)
{
    (void)state;
    enum { WORKERS = 3 };
    random_state s = random_start("test_storm");
    void *volatile *all = common(WORKERS * HELD * sizeof *all);
    size_t used = bytes_in_use();
    pid_t child[WORKERS];
    int kills = fewer(500);
    for (int i = 0; i < WORKERS; i++) {
        held = all + i * HELD;
        child[i] = child_start(churn, &s);
    }
    for (int k = 0; k < kills; k++) {
        uint32_t i = random_below(&s, WORKERS);
        nap(random_below(&s, 2000) * 1e-6);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        held = all + i * HELD;
        free_held(held);
        random_next(&s);
        child[i] = child_start(churn, &s);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        free_held(all + i * HELD);
    }
    const char *problem = NULL;
    int rc = mp_shared_check(&problem);
    if (rc != 0)
        print_error("%s\n", problem);
    assert_int_equal(rc, 0);
    size_t leaked = bytes_in_use() - used;
    printf("test_storm: %zu bytes leaked by %d deaths\n", leaked, kills + WORKERS);
    assert_true(leaked <= (size_t)(kills + WORKERS) * (LARGEST_BLOCK + MP__CHUNK_SIZE));
    munmap((void *)all, WORKERS * HELD * sizeof *all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_storm),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
