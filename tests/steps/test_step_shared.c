/* SPDX-License-Identifier: MIT */
/* The allocator when a process dies or stops at each of its steps: making spans, taking and freeing
 * blocks of every kind, retiring spans, giving pages back. Each trial is a family of its own. */
#include "shm/arena.h"
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB   ((size_t)1 << 20)
#define MOST  8 /* how often a step is tried */
#define PLACE 2048

/* What the victim has: written down before it frees and after it has allocated. */
static void *volatile *held;

static mp_shared_usage stats(void)
{
    mp_shared_usage s = {.size = sizeof s};
    if (mp_shared_stats(&s) != 0)
        abort();
    return s;
}

/* `count` blocks, all in hand at once; fewer if memory is out. Returns 0. */
static int fill_and_empty(size_t size, int count)
{
    for (int i = 0; i < count; i++) {
        unsigned char *p = mp_shared_alloc(size);
        CHECK(p != NULL || mp_shared_error() == MP_ENOMEM);
        if (p != NULL)
            p[0] = p[size - 1] = (unsigned char)i;
        held[i] = p;
    }
    for (int i = 0; i < count; i++) {
        unsigned char *p = held[i];
        held[i] = NULL;
        CHECK(p == NULL || (p[0] == (unsigned char)i && p[size - 1] == (unsigned char)i));
        mp_shared_free(p);
        CHECK(mp_shared_error() == 0);
    }
    return 0;
}

/* Small blocks in more than two spans, medium and large ones, and enough at once that pages go back
 * to the system; or more than there is. */
static int scenario(void *arg)
{
    bool scarce = *(bool *)arg;
    CHECK(fill_and_empty(100, 1500) == 0);
    CHECK(fill_and_empty(20000, 40) == 0);
    for (int i = 0; i < 3; i++) /* the first time they come from chunks, then from a shelf */
        CHECK(fill_and_empty(200000, 3) == 0);
    CHECK(fill_and_empty(MIB, 12) == 0);
    CHECK(fill_and_empty(1000, 300) == 0);
    return scarce ? fill_and_empty(30000, 300) : 0;
}

/* What a fresh process does beside or after the victim, in places of its own. */
static int use_again(void *arg)
{
    held += PLACE;
    return scenario(arg);
}

static int free_held(void)
{
    for (int i = 0; i < PLACE; i++) {
        mp_shared_free(held[i]);
        CHECK(mp_shared_error() == 0);
        held[i] = NULL;
    }
    return 0;
}

typedef struct order {
    const char *step;
    int nth;
    bool scarce, stop_first;
} order;

/* Kills the victim there, or stops it, lets others work if it holds no lock, and kills it then. */
static int kill_victim(order *o)
{
    if (!o->stop_first)
        return kill_at(o->step, o->nth, SIGKILL, scenario, &o->scarce);
    pid_t victim;
    int how = stop_at(o->step, o->nth, scenario, &o->scarce, &victim);
    if (how != STEP_REACHED)
        return how;
    mp__arena *a = mp__arena_get();
    bool locked = (mp__load_seq(&a->lock.word) & MP__TID_MASK) == (uint32_t)victim ||
                  (o->scarce && mp__load_seq(&a->trim_lock.word) != 0);
    int rc = locked ? 0 : child_end(child_start(use_again, &o->scarce));
    return child_kill(victim) == -SIGKILL && rc == 0 ? how : STEP_FAILED;
}

#define REACHED 42

static int trial_in_family(void *arg)
{
    order *o = arg;
    mp_arena_options few = {.size = sizeof few, .limit = 9 * MIB};
    CHECK(!o->scarce || mp_arena_configure(&few) == 0);
    CHECK(mp_init() == 0);
    held = common(2 * PLACE * sizeof *held);
    mp_shared_usage before = stats();
    int how = kill_victim(o);
    CHECK(how != STEP_FAILED);
    const char *problem = NULL;
    if (mp_shared_check(&problem) != 0) {
        fprintf(stderr, "%s: %s\n", o->step, problem);
        return 1;
    }
    CHECK(free_held() == 0);
    mp_shared_usage after = stats();
    CHECK(after.blocks <= before.blocks + (how == STEP_REACHED)); /* the one in flight */
    double start = seconds();
    CHECK(child_end(child_start(use_again, &o->scarce)) == 0);
    CHECK(child_end(child_start(use_again, &o->scarce)) == 0);
    CHECK(seconds() - start < LONG);
    CHECK(mp_shared_check(NULL) == 0);
    mp_shared_usage last = stats();
    CHECK(last.blocks == after.blocks && last.in_use == after.in_use);
    CHECK(mp__load_seq(&mp__arena_get()->trimming) == 0); /* what was begun is done */
    CHECK(last.reserved <= last.in_use + 3 * MIB);        /* empty spans that are current */
    size_t reserve = mp__load_seq(&mp__arena_get()->reserve) * MP__CHUNK_PAGE;
    CHECK(last.committed <= last.reserved + reserve + MIB);
    return how == STEP_REACHED ? REACHED : 0;
}

static int trial(const char *step, int nth, void *arg)
{
    order o = *(order *)arg;
    o.step = step;
    o.nth = nth;
    int status = child_end(child_start(trial_in_family, &o));
    if (status != 0 && status != REACHED)
        print_error("%s, the %d. time\n", step, nth);
    assert_true(status == 0 || status == REACHED);
    return status == REACHED ? STEP_REACHED : STEP_PASSED;
}

static void every_step(bool scarce, bool stop_first)
{
    order o = {.scarce = scarce, .stop_first = stop_first};
    int reached = each_step("shared.", fewer(MOST), trial, &o);
    assert_int_equal(reached, steps_of("shared.").count);
}

static void test_killed(void **state)
{
    (void)state;
    every_step(false, false);
}

static void test_stopped_then_killed(void **state)
{
    (void)state;
    every_step(false, true);
}

static void test_killed_in_scarcity(void **state)
{
    (void)state;
    every_step(true, false);
}

static void test_stopped_in_scarcity(void **state)
{
    (void)state;
    every_step(true, true);
}

/* Sleeps through it all between reading where to allocate and taking a block there. */
static int late(void *arg)
{
    (void)arg;
    char *p = mp_shared_alloc(100);
    CHECK(p != NULL);
    memset(p, 1, 100);
    mp_shared_free(p);
    CHECK(mp_shared_error() == 0);
    p = mp_shared_alloc(100); /* stops in here */
    CHECK(p != NULL);
    memset(p, 2, 100);
    mp_shared_free(p);
    CHECK(mp_shared_error() == 0);
    return 0;
}

enum { LARGE = 60000 };

static int make_small(void *arg)
{
    (void)arg;
    return mp_shared_alloc(100) == NULL;
}

/* Whether the process has ended, or waits for the table's lock. */
static bool ended_or_waits(pid_t pid)
{
    siginfo_t info = {0};
    mp__arena *a = mp__arena_get();
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0 ||
           (mp__load_seq(&a->lock.word) & MP__WAITERS) != 0;
}

/* A span is retired under one who sleeps there. Its chunk becomes a large block; and, if asked for,
 * its record is being made anew when the sleeper goes on: that one is not yet to be used. */
static int sleep_through(void *arg)
{
    bool anew = *(bool *)arg;
    mp_arena_options few = {.size = sizeof few, .limit = 2 * MIB};
    unsigned char *block[64], *p;
    int n = 0;
    pid_t sleeper, maker = 0;
    CHECK(mp_arena_configure(&few) == 0 && mp_init() == 0);
    CHECK(stop_at("shared.alloc.current_read", 2, late, NULL, &sleeper) == STEP_REACHED);
    for (; (p = mp_shared_alloc(LARGE)) != NULL; n++) {
        memset(p, 0xa5, LARGE);
        block[n] = p;
    }
    CHECK(n == 32 && stats().blocks == 32); /* the sleeper's span went for the last of them */
    mp_shared_free(block[--n]);
    if (anew)
        CHECK(stop_at("shared.span.laid_out", 1, make_small, NULL, &maker) == STEP_REACHED);
    kill(sleeper, SIGCONT);
    double end = seconds() + LONG;
    while (anew && !ended_or_waits(sleeper) && seconds() < end)
        nap(0.001);
    if (anew)
        CHECK(child_kill(maker) == -SIGKILL);
    CHECK(child_end(sleeper) == 0);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < LARGE; k++)
            CHECK(block[i][k] == 0xa5);
    for (int i = 0; i < n; i++)
        mp_shared_free(block[i]);
    CHECK(mp_shared_check(NULL) == 0 && stats().blocks == 0);
    return 0;
}

static void test_sleep_through(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(sleep_through, &(bool){false})), 0);
    assert_int_equal(child_end(child_start(sleep_through, &(bool){true})), 0);
}

/* One that trims, or looks for room, stops at each of these; what others free or give back
 * meanwhile is neither forgotten nor out of reach. */
#define RELEASED "mutex.release.woken"

static int alloc_and_free(void *arg)
{
    void *p = mp_shared_alloc(*(size_t *)arg);
    CHECK(p != NULL);
    mp_shared_free(p);
    return 0;
}

static bool locks_table(pid_t pid)
{
    return (mp__load_seq(&mp__arena_get()->lock.word) & MP__TID_MASK) == (uint32_t)pid;
}

/* Both free 12 MiB; who comes second leaves the trimming to the first. */
static int free_beside(void *arg)
{
    int nth = *(int *)arg;
    size_t size = 12 * MIB;
    mp_arena_options few = {.size = sizeof few, .limit = 32 * MIB};
    pid_t first;
    CHECK(mp_arena_configure(&few) == 0 && mp_init() == 0);
    void *p = mp_shared_alloc(size);
    CHECK(p != NULL);
    int how = stop_at(RELEASED, nth, alloc_and_free, &size, &first);
    CHECK(how != STEP_FAILED);
    if (how == STEP_REACHED && locks_table(first))
        return child_kill(first) == -SIGKILL ? REACHED : 1;
    mp_shared_free(p);
    if (how == STEP_REACHED)
        CHECK(step_go_on(first) == 0);
    CHECK(mp__load_seq(&mp__arena_get()->retained) <= 8 * MIB / MP__CHUNK_PAGE);
    return how == STEP_REACHED ? REACHED : 0;
}

/* Room for one of 12 MiB, which is being discarded; that is over between the look and the next. */
static int alloc_beside(void *arg)
{
    int nth = *(int *)arg;
    size_t size = 12 * MIB;
    mp_arena_options few = {.size = sizeof few, .limit = 13 * MIB};
    pid_t trims, looks;
    CHECK(mp_arena_configure(&few) == 0 && mp_init() == 0);
    CHECK(stop_at("shared.trim.discarded", 1, alloc_and_free, &size, &trims) == STEP_REACHED);
    int how = stop_at(RELEASED, nth, alloc_and_free, &size, &looks);
    CHECK(how == STEP_REACHED);
    CHECK(step_go_on(trims) == 0);
    CHECK(step_go_on(looks) == 0);
    return 0;
}

static void test_free_beside_trimming(void **state)
{
    (void)state;
    int status, nth = 0;
    do {
        nth++;
        status = child_end(child_start(free_beside, &nth));
    } while (status == REACHED);
    assert_int_equal(status, 0);
    assert_true(nth > 4);
}

static void test_alloc_beside_trimming(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(alloc_beside, &(int){1})), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep_through),         cmocka_unit_test(test_killed),
        cmocka_unit_test(test_stopped_then_killed),   cmocka_unit_test(test_killed_in_scarcity),
        cmocka_unit_test(test_stopped_in_scarcity),   cmocka_unit_test(test_free_beside_trimming),
        cmocka_unit_test(test_alloc_beside_trimming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
