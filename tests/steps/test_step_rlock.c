/* SPDX-License-Identifier: MIT */
/* The recursive lock when its owner, at any depth, dies or stops at each step: the next has it at
 * depth 1 and is told if the owner held it. And life words, whose records pass on to others. */
#include <mproc/error.h>
#include <mproc/rlock.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "support/steps.h"
#include "sync/life.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DEEP = 3, WAITERS = 2 };

static mp_rlock *lock;

static struct common {
    word inside; /* set as long as the outermost acquire has returned, and not the last release */
    word told, entered, holds, waiting;
    _Atomic uint64_t life; /* the victim's */
} * c;

static int setup(void **state)
{
    (void)state;
    c = common(sizeof *c);
    return c == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap(c, sizeof *c);
    return mp_shared_check(NULL);
}

/* In and out, DEEP levels, with a look at the depth. */
static int go_deep(void)
{
    int rc = mp_rlock_acquire(lock, LONG);
    CHECK(rc == 0 || rc == MP_OWNERDEAD);
    CHECK(mp_rlock_depth(lock) == 1);
    CHECK(rc == MP_OWNERDEAD || mp__load_seq(&c->inside) == 0); /* else it was to be told */
    mp__store_seq(&c->inside, 1);
    mp__add_seq(&c->told, rc == MP_OWNERDEAD);
    for (int i = 1; i < DEEP; i++)
        CHECK(mp_rlock_acquire(lock, 0) == 0 && mp_rlock_depth(lock) == i + 1);
    for (int i = DEEP; i > 1; i--)
        CHECK(mp_rlock_release(lock) == 0 && mp_rlock_depth(lock) == i - 1);
    mp__store_seq(&c->inside, 0);
    CHECK(mp_rlock_release(lock) == 0 && mp_rlock_depth(lock) == 0);
    CHECK(mp_rlock_release(lock) == MP_EPERM);
    mp__add_seq(&c->entered, 1);
    return 0;
}

static int go_deep_twice(void *arg)
{
    (void)arg;
    CHECK(go_deep() == 0);
    return go_deep();
}

static int wait_and_go_deep(void *arg)
{
    (void)arg;
    mp__add_seq(&c->waiting, 1);
    return go_deep();
}

static int hold(void *arg)
{
    (void)arg;
    CHECK(mp_rlock_acquire(lock, 0) == 0 && mp_rlock_acquire(lock, 0) == 0);
    mp__store_seq(&c->holds, 1);
    CHECK(await(&c->holds, 2));
    CHECK(mp_rlock_release(lock) == 0 && mp_rlock_release(lock) == 0);
    return 0;
}

/* Others sleep on it from before, or come afterwards; the victim is one of them, or was alone. */
static int victim_ends(const char *step, int nth, bool contended, bool stops)
{
    pid_t waiter[WAITERS], holder = 0;
    memset(c, 0, sizeof *c);
    assert_int_equal(mp_rlock_new(&lock), 0);
    if (contended) {
        holder = child_start(hold, NULL);
        assert_true(await(&c->holds, 1));
    }
    pid_t victim = step_start(step, nth, stops ? SIGSTOP : SIGKILL, go_deep_twice, NULL);
    if (contended)
        until_asleep(victim);
    for (int i = 0; i < WAITERS; i++)
        waiter[i] = child_start(wait_and_go_deep, NULL);
    mp__store_seq(&c->holds, 2);
    int end = stops ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(contended ? child_end(holder) : 0, 0);
    if (stops && end == STEP_REACHED) {
        int rc = mp_rlock_acquire(lock, 0.001); /* of no use, or ours: over soon */
        assert_true(rc == 0 || rc == MP_ETIMEDOUT);
        if (rc == 0)
            assert_int_equal(mp_rlock_release(lock), 0);
        assert_int_equal(step_go_on(victim), 0);
    }
    double start = seconds();
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(child_end(waiter[i]), 0);
    assert_true(seconds() - start < LONG / 2);
    uint32_t ended = stops || end != STEP_REACHED ? WAITERS + 2 : WAITERS;
    assert_in_range(mp__load_seq(&c->entered), ended, WAITERS + 2);
    assert_int_equal(child_end(child_start(go_deep_twice, NULL)), 0);
    uint32_t most = end == STEP_REACHED && !stops && strcmp(step, "rlock.release.free") != 0;
    uint32_t least = strncmp(step, "rlock.", 6) == 0 ? most : 0; /* inside, it died with the lock */
    assert_in_range(mp__load_seq(&c->told), least, most);
    mp_rlock_free(lock);
    lock = NULL;
    return end;
}

typedef struct how {
    bool contended, stops;
} how;

static int trial(const char *step, int nth, void *arg)
{
    const how *h = arg;
    return victim_ends(step, nth, h->contended, h->stops);
}

static void test_owner_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        how h = {i & 1, i & 2};
        assert_true(each_step("rlock.", 10, trial, &h) >= 4);
        assert_true(each_step("mutex.", 10, trial, &h) >= 4);
    }
}

static int live(void *arg)
{
    (void)arg;
    mp__life *mine = mp__life_mine();
    CHECK(mine != NULL && mp__life_mine() == mine);
    mp__store_seq(&c->life, mp__life_id_of(mine));
    CHECK(!mp__life_is_over(mp__life_id_of(mine)));
    return 0;
}

/* Who dies while it takes a record blocks nobody, and its record, if it had one, is another's then;
 * the old id is over. */
static int taker_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    memset(c, 0, sizeof *c);
    int end = kill_at(step, nth, SIGKILL, live, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    for (int i = 0; i < 3; i++) {
        uint64_t before = mp__load_seq(&c->life);
        assert_int_equal(child_end(child_start(live, NULL)), 0);
        uint64_t now = mp__load_seq(&c->life);
        assert_true(now != before && mp__life_is_over(now));
        assert_true(before == 0 || mp__life_is_over(before));
        mp__life *life = mp__life_find(now);
        assert_non_null(life);
        assert_int_equal(life->index, 1); /* the same one again and again */
    }
    assert_int_equal(mp_shared_check(NULL), 0);
    return end;
}

static void test_taker_of_a_life_word_dies(void **state)
{
    (void)state;
    assert_int_equal(each_step("life.block.", 2, taker_dies, NULL), 1); /* once: the first */
    assert_int_equal(each_step("life.take.", 2, taker_dies, NULL), steps_of("life.take.").count);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_taker_of_a_life_word_dies), /* first: nobody has a record yet */
        TEST(test_owner_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
