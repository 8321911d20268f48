/* SPDX-License-Identifier: MIT */
/* Deaths at each step of what keeps the books of a queue: getting, finishing, settling the dead,
 * finding a seat, loans. Whoever dies where, join ends, the counts are exact, and no block is freed
 * twice. */
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MESSAGES = 12, LARGE = 6000 };

/* What is put, and in which kind of queue. */
typedef struct shape {
    int on_death;
    size_t length;
    bool many, loans;
} shape;

static const shape shapes[] = {
    {MP_LOSE, 16, false, false},     {MP_LOSE, LARGE, false, false},
    {MP_LOSE, 16, true, false},      {MP_LOSE, 16, false, true},
    {MP_LOSE, LARGE, false, true},   {MP_REDELIVER, 16, false, false},
    {MP_REDELIVER, 16, true, false}, {MP_REDELIVER, LARGE, false, true},
};

static mp_queue *q;
static shape form;
static size_t used;

static struct board {
    word begun[MESSAGES], got[MESSAGES], done[MESSAGES]; /* by message */
    word finished;                                       /* task_done calls that returned 0 */
    word started;
} * board;

static int setup(void **state)
{
    (void)state;
    board = common(sizeof *board);
    return board == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap(board, sizeof *board);
    mp_queue_free(q);
    q = NULL;
    return 0;
}

static void begin(const shape *s)
{
    form = *s;
    memset(board, 0, sizeof *board);
    used = bytes_before();
    assert_int_equal(mp_queue_new(&q, .on_death = s->on_death), 0);
}

/* A message says its number in each of its bytes. */
static int put_one(uint32_t number)
{
    static unsigned char bytes[LARGE];
    void *block = bytes;
    if (form.loans)
        CHECK(mp_queue_loan(q, form.length, &block, 0) == 0);
    memset(block, (int)number, form.length);
    if (form.loans)
        CHECK(mp_queue_publish(q, block, LONG) == 0);
    else
        CHECK(mp_queue_put(q, block, form.length, LONG) == 0);
    return 0;
}

static int look(const unsigned char *bytes, size_t length)
{
    CHECK(length == form.length && bytes[0] < MESSAGES && bytes[length - 1] == bytes[0]);
    mp__add_seq(&board->got[bytes[0]], 1);
    return 0;
}

static int finish(uint32_t number)
{
    CHECK(mp_queue_task_done(q) == 0);
    mp__add_seq(&board->done[number], 1);
    mp__add_seq(&board->finished, 1);
    return 0;
}

/* Gets one or some, by the shape; finishes them. Returns 0, or MP_ECLOSED. */
static int work_once(double timeout)
{
    static unsigned char bytes[2][LARGE];
    const void *message;
    size_t length;
    int n = 1, rc;
    if (form.loans) {
        rc = mp_queue_take(q, &message, &length, timeout);
        if (rc == 0) {
            memcpy(bytes[0], message, length < LARGE ? length : LARGE);
            CHECK(mp_queue_release(q, message) == 0);
        }
    } else if (form.many) {
        mp_bytes batch[2] = {{bytes[0], 0, LARGE}, {bytes[1], 0, LARGE}};
        rc = n = mp_queue_get_many(q, batch, 2, timeout);
        length = batch[0].length;
    } else {
        ssize_t got = mp_queue_get(q, bytes[0], LARGE, timeout);
        rc = got < 0 ? (int)got : 0;
        length = (size_t)got;
    }
    if (rc == MP_ECLOSED || rc == MP_EEMPTY)
        return rc;
    CHECK(rc >= 0);
    for (int i = 0; i < n; i++) {
        CHECK(look(bytes[i], length) == 0);
        CHECK(finish(bytes[i][0]) == 0);
    }
    return 0;
}

static int work(void *arg)
{
    (void)arg;
    int rc;
    signal_word(&board->started);
    while ((rc = work_once(LONG)) == 0)
        continue;
    CHECK(rc == MP_ECLOSED);
    return 0;
}

/* Joins while others die. */
static int join_it(void *arg)
{
    (void)arg;
    signal_word(&board->started);
    CHECK(mp_queue_join(q, LONG) == 0);
    return 0;
}

static uint32_t sum(const word *of)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MESSAGES; i++)
        n += mp__load_relaxed(&of[i]);
    return n;
}

/* After the deaths: others do the rest, join ends, and the books are right. */
static void settle(int deaths, bool blocks)
{
    pid_t worker = child_start(work, NULL), joiner = child_start(join_it, NULL);
    assert_int_equal(child_end(joiner), 0);
    assert_int_equal(mp_queue_join(q, LONG), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(child_end(worker), 0);
    assert_int_equal(mp_queue_task_done(q), MP_ESTATE);
    assert_int_equal(mp_queue_size(q), 0);
    int64_t lost = mp_queue_lost(q);
    if (form.on_death == MP_REDELIVER) {
        assert_int_equal(lost, 0);
        for (int i = 0; i < MESSAGES; i++)
            assert_in_range(board->got[i], 0, 1 + deaths);
    } else {
        /* A victim may have died behind a task_done that it had not noted. */
        uint32_t open = MESSAGES - sum(board->done);
        assert_in_range(lost, open > (uint32_t)deaths ? open - (uint32_t)deaths : 0, open);
        for (int i = 0; i < MESSAGES; i++)
            assert_in_range(board->got[i], 0, 1);
    }
    mp_queue_free(q);
    q = NULL;
    const char *problem = NULL;
    assert_int_equal(mp_shared_check(&problem), 0);
    assert_in_range(bytes_in_use() - used, 0, blocks ? deaths * 20480 : 0);
}

static void put_all(void)
{
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(put_one(i), 0);
}

/* Somebody has got some and does not finish them. */
static int leave_open(void *arg)
{
    for (int i = *(int *)arg; i > 0; i--) {
        static unsigned char bytes[LARGE];
        CHECK(mp_queue_get(q, bytes, LARGE, LONG) == (ssize_t)form.length);
        CHECK(look(bytes, form.length) == 0);
    }
    kill(getpid(), SIGKILL);
    return 1;
}

/* ---- A consumer. */

static int work_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++)
        CHECK(work_once(LONG) == 0);
    return 0;
}

static int consumer_dies(const char *step, int nth, void *arg)
{
    begin(arg);
    put_all();
    int end = kill_at(step, nth, SIGKILL, work_some, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    settle(end == STEP_REACHED, true);
    return end;
}

static void test_consumer(void **state)
{
    (void)state;
    int reached = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        shape s = shapes[i];
        reached += each_step("lease.", 4, consumer_dies, &s);
        reached += each_step("loan.", 4, consumer_dies, &s);
        reached += each_step("queue.get", 3, consumer_dies, &s);
        reached += each_step("mutex.", 4, consumer_dies, &s);
    }
    assert_true(reached > 40);
}

/* ---- One who settles what another has left. */

static int settle_here(void *arg)
{
    if (*(int *)arg == 0)
        return mp_queue_lost(q) >= 0 ? 0 : 1;
    if (*(int *)arg == 1)
        return work_once(LONG);
    int rc = mp_queue_join(q, 0.3);
    return rc == 0 || rc == MP_ETIMEDOUT ? 0 : 1;
}

typedef struct heir {
    const shape *shape;
    int by; /* see settle_here() */
} heir;

static int heir_dies(const char *step, int nth, void *arg)
{
    const heir *h = arg;
    int n = 3, by = h->by;
    begin(h->shape);
    put_all();
    assert_int_equal(child_end(child_start(leave_open, &n)), -SIGKILL);
    int end = kill_at(step, nth, SIGKILL, settle_here, &by);
    assert_int_not_equal(end, STEP_FAILED);
    settle(1 + (end == STEP_REACHED), true);
    return end;
}

static void test_heir(void **state)
{
    (void)state;
    int reached = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int by = 0; by < 3; by++) {
            heir h = {&shapes[i], by};
            reached += each_step("lease.", 2, heir_dies, &h);
            reached += each_step("queue.join", 2, heir_dies, &h);
        }
    assert_true(reached > 40);
}

/* ---- The heir of one who died in the lock, with a change half made. */

static const char *const half_done[] = {
    "lease.journal.written", "lease.done.ended",   "lease.done.counted", "lease.get.noted",
    "lease.get.taken",       "lease.move.written", "lease.move.erased"};

typedef struct relay {
    const shape *shape;
    const char *first;
} relay;

static int second_dies(const char *step, int nth, void *arg)
{
    const relay *r = arg;
    int n = 2, lost = 0, deaths = 1;
    begin(r->shape);
    put_all();
    assert_int_equal(child_end(child_start(leave_open, &n)), -SIGKILL);
    if (r->shape->on_death == MP_REDELIVER)
        assert_int_equal(mp_queue_lost(q), 0); /* looks: two come back */
    int end = kill_at(r->first, 1, SIGKILL, work_some, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    deaths += end == STEP_REACHED;
    end = kill_at(step, nth, SIGKILL, settle_here, &lost);
    assert_int_not_equal(end, STEP_FAILED);
    settle(deaths + (end == STEP_REACHED), true);
    return end;
}

static void test_second_death(void **state)
{
    (void)state;
    int reached = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t k = 0; k < sizeof half_done / sizeof half_done[0]; k++) {
            relay r = {&shapes[i], half_done[k]};
            reached += each_step("lease.", 1, second_dies, &r);
        }
    assert_true(reached > 40);
}

/* ---- Who lends and publishes. */

static int lend_some(void *arg)
{
    (void)arg;
    void *block;
    for (uint32_t i = 0; i < 3; i++) {
        mp__store_seq(&board->begun[i], 1);
        CHECK(put_one(i) == 0);
        CHECK(mp_queue_loan(q, 100, &block, 0) == 0);
        CHECK(mp_queue_discard(q, block) == 0);
    }
    return 0;
}

static int lender_dies(const char *step, int nth, void *arg)
{
    begin(arg);
    bool early = nth % 2 == 1; /* who comes first to the dead one's lock: a putter, or a settler */
    int end = kill_at(step, nth, SIGKILL, lend_some, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    if (early)
        assert_int_equal(mp_queue_lost(q), 0);
    assert_int_equal(put_one(5), 0);
    if (!early)
        assert_int_equal(mp_queue_lost(q), 0);
    uint32_t there = (uint32_t)mp_queue_size(q), begun = sum(board->begun);
    assert_in_range(there, begun, begun + 1); /* the last that was begun, or not; and ours */
    while (mp_queue_join(q, 0) == MP_ETIMEDOUT)
        assert_int_equal(work_once(LONG), 0);
    assert_int_equal(sum(board->got), there);
    mp_queue_free(q);
    q = NULL;
    assert_int_equal(mp_shared_check(NULL), 0);
    /* A block whose owner died before it was in a hold, or after it had left one. */
    assert_in_range(bytes_in_use() - used, 0, end == STEP_REACHED ? 20480 : 0);
    return end;
}

static void test_lender(void **state)
{
    (void)state;
    int reached = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        shape s = shapes[i];
        s.many = false;
        s.loans = true;
        reached += each_step("loan.", 6, lender_dies, &s);
        reached += each_step("lease.", 4, lender_dies, &s);
        reached += each_step("queue.put", 4, lender_dies, &s);
        reached += each_step("mutex.", 6, lender_dies, &s);
    }
    assert_true(reached > 40);
}

/* ---- One who repairs put_lock after a publisher's death. */

static int put_there(void *arg)
{
    (void)arg;
    return put_one(5);
}

static int repairer_dies(const char *step, int nth, void *arg)
{
    const relay *r = arg;
    begin(r->shape);
    int first = kill_at(r->first, 1, SIGKILL, lend_some, NULL);
    assert_int_equal(first, STEP_REACHED);
    int end = kill_at(step, nth, SIGKILL, put_there, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(mp_queue_lost(q), 0);
    uint32_t there = (uint32_t)mp_queue_size(q);
    assert_in_range(there, 0, 2);
    while (mp_queue_join(q, 0) == MP_ETIMEDOUT)
        assert_int_equal(work_once(LONG), 0);
    assert_int_equal(sum(board->got), there);
    mp_queue_free(q);
    q = NULL;
    assert_int_equal(mp_shared_check(NULL), 0);
    assert_in_range(bytes_in_use() - used, 0, 2 * 20480);
    return end;
}

static void test_repairer(void **state)
{
    (void)state;
    static const char *const firsts[] = {"queue.put.loan_announced", "queue.put.published",
                                         "queue.put.loan_gone"};
    shape s = {MP_LOSE, LARGE, false, true};
    for (int i = 0; i < 3; i++) {
        relay r = {&s, firsts[i]};
        assert_true(each_step("queue.repair", 2, repairer_dies, &r) > 0);
        each_step("ring.repair", 2, repairer_dies, &r);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_consumer), TEST(test_heir),     TEST(test_second_death),
        TEST(test_lender),   TEST(test_repairer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
