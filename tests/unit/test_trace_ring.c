/* SPDX-License-Identifier: MIT */
/* The ring of a slot's events: what is kept when it is full, and what a death in it leaves. */
#include "pool/handle.h"
#include "pool/trace.h"
#include "support/workers.h"

#include <setjmp.h>

#include <cmocka.h>

#define CHUNKS 3u
#define PLACES ((uint64_t)CHUNKS * MP__TRACE_CHUNK)

static mp__slot_insight *m;

static int make_ring(void **state)
{
    if (workers_setup(state) != 0)
        return -1;
    m = mp_shared_calloc(1, sizeof *m + CHUNKS * sizeof(mp__event *));
    if (m != NULL)
        m->chunks = CHUNKS;
    return m != NULL ? 0 : -1;
}

static int free_ring(void **state)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        mp_shared_free(m->chunk[i]);
    mp_shared_free(m);
    return workers_teardown(state);
}

#define RING_TEST(f) cmocka_unit_test_setup_teardown(f, make_ring, free_ring)

/* An item of work 1 that took so many ns. */
static void add_item(uint64_t index, int64_t start, int64_t ns)
{
    mp__event e = {.start = start, .index = index, .what = 1 << 3 | MP__EVENT_ITEM};
    mp__trace_item(m, &e, start + ns);
}

/* What is kept are the items first .. end - 1, each an event. */
static void check_kept(uint64_t first, uint64_t end)
{
    uint64_t from, to;
    mp__trace_kept(m, &from, &to);
    assert_int_equal(to - from, end - first);
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(mp__trace_event(m, i)->index, first + i - from);
    assert_int_equal(mp__trace_dropped(m), first);
}

static void the_newest_are_kept(void **state)
{
    (void)state;
    check_kept(0, 0);
    for (uint64_t i = 0; i < 5 * PLACES + 7; i++) {
        add_item(i, (int64_t)i * 100000, MP__TRACE_SHORT);
        check_kept(i + 1 < PLACES ? 0 : i + 2 - PLACES, i + 1);
    }
}

/* Returns how many items the events stand for; they are in order and without a gap. */
static uint64_t count_items(void)
{
    uint64_t from, to, next = 0;
    mp__trace_kept(m, &from, &to);
    for (uint64_t i = from; i < to; i++) {
        const mp__event *e = mp__trace_event(m, i);
        bool is_run = mp__event_kind_of(e) == MP__EVENT_RUN;
        assert_int_equal(e->index, next);
        next += is_run ? mp__load_relaxed(&e->span) & ((1u << MP__RUN_BITS) - 1) : 1;
    }
    return next;
}

static uint64_t events(void)
{
    uint64_t from, to;
    mp__trace_kept(m, &from, &to);
    return to - from;
}

static void runs(void **state)
{
    (void)state;
    const int64_t shortest = 100, gap = MP__TRACE_SHORT;
    int64_t t = 1000;
    for (uint64_t i = 0; i < 50; i++, t += shortest) {
        add_item(i, t, shortest);
        assert_int_equal(count_items(), i + 1); /* at any moment */
        assert_int_equal(events(), 1);
    }
    add_item(50, t += gap, shortest); /* too long after the last one */
    assert_int_equal(events(), 2);
    add_item(51, t += shortest, gap); /* too long itself */
    assert_int_equal(events(), 3);
    add_item(52, t += gap, shortest); /* the first of a new run */
    assert_int_equal(events(), 4);
    mp__trace_close(m); /* it has waited */
    mp__trace_close(m);
    add_item(53, t += shortest, shortest);
    assert_int_equal(events(), 5);
    assert_int_equal(count_items(), 54);
    /* Neither another work nor another index continues a run; a run has an end. */
    mp__event other = {.start = t + shortest, .index = 54, .what = 2 << 3 | MP__EVENT_ITEM};
    mp__trace_item(m, &other, other.start + shortest);
    assert_int_equal(events(), 6);
    uint64_t before = events();
    for (uint64_t i = 55; i < 55 + 21000; i++, t += shortest)
        add_item(i, t, shortest);
    assert_int_equal(count_items(), 21055);
    assert_in_range(events() - before, 3, 4); /* 2.1 ms */
}

/* Killed between any two events, at a step of its own: whatever is counted is whole. */
static void a_writer_that_is_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (uint64_t n = mp__load_relaxed(&m->events) >> 1;; n++)
                add_item(n, (int64_t)n * 100000, MP__TRACE_SHORT);
        nap(0.001 * (i % 5));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        uint64_t from, to;
        mp__trace_kept(m, &from, &to);
        assert_true(to - from < PLACES);
        for (uint64_t n = from; n < to; n++) {
            const mp__event *e = mp__trace_event(m, n);
            assert_int_equal(e->index, n);
            assert_int_equal(e->start, n * 100000);
            assert_int_equal(mp__load_relaxed(&e->span), MP__TRACE_SHORT);
        }
    }
}

/* The file says what it lacks. */
static void dropped_events_are_told(void **state)
{
    (void)state;
    char path[512], script[1024];
    const char *tmp = getenv("TMPDIR"), *tree = getenv("SRC");
    snprintf(path, sizeof path, "%s/trace-ring-%d.json", tmp != NULL ? tmp : "/tmp", getpid());
    mp__pool_insight own = {.created = 5};
    mp__pool_control *c = calloc(1, sizeof *c + 2 * sizeof(mp__slot));
    assert_non_null(c);
    c->slots = 1;
    mp__store_relaxed(&c->used, 1);
    c->insight = &own;
    mp__store_relaxed(&c->slot[0].insight, m);
    mp_pool pool = {.control = c, .plan = {.name = (char *)"w", .program = (char *)"p"}};
    for (uint64_t i = 0; i < 1000; i++)
        add_item(i, (int64_t)i * 100000, MP__TRACE_SHORT);
    assert_int_equal(mp__trace_write(&pool, path), 0);
    free(c);
    if (system("python3 -c '' >/dev/null 2>&1") != 0) {
        unlink(path);
        skip();
    }
    snprintf(script, sizeof script,
             "python3 '%s/tests/unit/trace.py' '%s' 'of(\"done\") == set(range(233, 1000))' "
             "'dropped == 233 and instants == {\"events dropped\": 1}'",
             tree != NULL ? tree : ".", path);
    int status = system(script);
    unlink(path);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(the_newest_are_kept),
        RING_TEST(runs),
        RING_TEST(a_writer_that_is_killed),
        RING_TEST(dropped_events_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
