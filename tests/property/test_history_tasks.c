/* SPDX-License-Identifier: MIT */
/*
 * Consumers of one queue are killed at random between a get and the end of a task, and replaced.
 * They write down what they got and did in memory that is no business of the library's: before a
 * call that they begin it, after it that it is over. When mp_queue_join() has ended, which it must:
 *
 * - a queue that redelivers has lost nothing, and each message was done once, by whoever noted it,
 *   or by one who was killed in mp_queue_task_done();
 * - one that loses has lost what was put and not done, exactly but for those killed in a call;
 * - memory is back but for the queue's own.
 *
 * `make property KILLS=100000` runs it for long.
 */
#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KILLS = 400, KILLS_OF_ROUND = 40, PLACES = 4, LIVES = 64, ENTRIES = 20000, IN_HAND = 4 };

/* The ring, seats and holds of a queue, and a block or two of those who died between two
 * instructions with it; the blocks of all who die make much more. */
enum { MOST_LEFT = 48 << 10, MOST_LEAKED = 20 << 10 };

/* One process, dead or alive: the first `known` of what it got are done, in this order. */
typedef struct life {
    word count, begun, known;
    uint32_t got[ENTRIES];
} life;

typedef struct world {
    mp_queue *queue;
    word put;
    uint32_t lives;
    life life[LIVES];
} world;

static world *w;
static word *most_left; /* bytes of a round */

/* Short ones, and such as lie in a block of their own. */
static size_t length_of(uint32_t serial)
{
    return serial % 3 == 0 ? 5000 + serial % 3000 : sizeof serial + serial % 100;
}

static int put(uint32_t serial, bool lend)
{
    static unsigned char bytes[8000];
    memcpy(bytes, &serial, sizeof serial);
    if (!lend)
        return mp_queue_put(w->queue, bytes, length_of(serial), LONG);
    void *block;
    int rc = mp_queue_loan(w->queue, length_of(serial), &block, LONG);
    if (rc < 0)
        return rc;
    memcpy(block, bytes, length_of(serial));
    return mp_queue_publish(w->queue, block, LONG);
}

/* Gets one, and writes it down; *taken: owed to release. Returns 0 or a code. */
static int get(life *l, bool take, const void **taken)
{
    static unsigned char bytes[8000];
    size_t length = 0;
    const void *at = bytes;
    int rc = 0;
    if (take)
        rc = mp_queue_take(w->queue, &at, &length, 0.01);
    else
        rc = (int)mp_queue_get_sized(w->queue, bytes, sizeof bytes, &length, 0.01);
    if (rc < 0)
        return rc;
    uint32_t serial, count = mp__load_seq(&l->count);
    memcpy(&serial, at, sizeof serial);
    CHECK(count < ENTRIES && length == length_of(serial));
    l->got[count] = serial;
    mp__store_seq(&l->count, count + 1);
    *taken = take ? at : NULL;
    return 0;
}

static int finish(life *l, const void *taken, bool release_first)
{
    if (taken != NULL && release_first)
        CHECK(mp_queue_release(w->queue, taken) == 0);
    signal_word(&l->begun);
    CHECK(mp_queue_task_done(w->queue) == 0);
    signal_word(&l->known);
    if (taken != NULL && !release_first)
        CHECK(mp_queue_release(w->queue, taken) == 0);
    return 0;
}

static int work(void *arg)
{
    life *l = arg;
    random_state r = ((uint64_t)getpid() * 7919 + (uint64_t)(l - w->life)) | 1;
    const void *taken[IN_HAND];
    for (int rc = 0; rc != MP_ECLOSED;) {
        uint32_t most = 1 + random_below(&r, IN_HAND), n = 0;
        while (n < most && (rc = get(l, random_below(&r, 2), &taken[n])) == 0) {
            n++;
            if (random_below(&r, 4) == 0)
                nap(random_below(&r, 400) * 1e-6);
        }
        CHECK(rc == 0 || rc == MP_EEMPTY || rc == MP_EAGAIN || rc == MP_ECLOSED);
        for (uint32_t i = 0; i < n; i++)
            CHECK(finish(l, taken[i], random_below(&r, 2)) == 0);
    }
    return 0;
}

static pid_t start(void)
{
    life *l = &w->life[w->lives++];
    memset((void *)l, 0, sizeof *l);
    return child_start(work, l);
}

/* What those who are dead or gone wrote down. */
static int judge(bool redelivers, int64_t lost)
{
    static uint32_t known[ENTRIES], perhaps[ENTRIES], delivered[ENTRIES];
    memset(known, 0, sizeof known);
    memset(perhaps, 0, sizeof perhaps);
    memset(delivered, 0, sizeof delivered);
    uint32_t all_put = mp__load_seq(&w->put), all_known = 0, all_begun = 0;
    for (uint32_t i = 0; i < w->lives; i++) {
        const life *l = &w->life[i];
        for (uint32_t n = 0; n < l->count; n++) {
            delivered[l->got[n]]++;
            known[l->got[n]] += n < l->known;
            perhaps[l->got[n]] += n >= l->known && n < l->begun;
        }
        all_known += l->known;
        all_begun += l->begun;
    }
    if (!redelivers)
        CHECK(lost >= (int64_t)all_put - all_begun && lost <= (int64_t)all_put - all_known);
    for (uint32_t n = 0; redelivers && n < all_put; n++)
        if (known[n] > 1 || known[n] + perhaps[n] == 0 || delivered[n] == 0) {
            fprintf(stderr, "message %u: %u times delivered, %u done, %u perhaps\n", n,
                    delivered[n], known[n], perhaps[n]);
            return 1;
        }
    CHECK(!redelivers || lost == 0);
    return 0;
}

/* All that is put, with kills meanwhile; then nobody dies any more. */
static int put_and_kill(pid_t *child, random_state *r)
{
    for (int kills = 0; kills < KILLS_OF_ROUND;) {
        for (uint32_t i = 1 + random_below(r, 40); i > 0; i--) {
            uint32_t serial = mp__load_seq(&w->put);
            CHECK(serial < ENTRIES && put(serial, random_below(r, 2)) == 0);
            mp__store_seq(&w->put, serial + 1);
        }
        nap(random_below(r, 2000) * 1e-6);
        uint32_t victim = random_below(r, PLACES);
        CHECK(child_kill(child[victim]) == -SIGKILL);
        kills++;
        child[victim] = start();
    }
    return 0;
}

static int round_of_kills(void *arg)
{
    random_state r = *(random_state *)arg;
    mp_arena_options limit = {.size = sizeof limit, .limit = (size_t)512 << 20};
    CHECK(mp_arena_configure(&limit) == 0 && mp_init() == 0);
    size_t used = bytes_before();
    bool redelivers = random_below(&r, 2);
    CHECK(mp_queue_new(&w->queue, .maxsize = random_below(&r, 2) ? 20 : 0,
                       .on_death = redelivers ? MP_REDELIVER : MP_LOSE) == 0);
    w->lives = 0;
    mp__store_seq(&w->put, 0);
    pid_t child[PLACES];
    for (uint32_t i = 0; i < PLACES; i++)
        child[i] = start();
    CHECK(put_and_kill(child, &r) == 0);
    CHECK(mp_queue_join(w->queue, LONG) == 0);
    CHECK(mp_queue_empty(w->queue) && mp_queue_task_done(w->queue) == MP_ESTATE);
    CHECK(mp_queue_close(w->queue) == 0);
    for (uint32_t i = 0; i < PLACES; i++)
        CHECK(child_end(child[i]) == 0);
    CHECK(judge(redelivers, mp_queue_lost(w->queue)) == 0);
    uint32_t left = (uint32_t)(bytes_in_use() - used);
    CHECK(left < MOST_LEFT);
    mp_queue_free(w->queue);
    CHECK(bytes_in_use() - used < MOST_LEAKED);
    if (left > mp__load_seq(most_left))
        mp__store_seq(most_left, left);
    CHECK(mp_shared_check(NULL) == 0);
    return 0;
}

static void test_tasks(void **state)
{
    (void)state;
    const char *given = getenv("KILLS");
    int most = given != NULL && *given != '\0' ? atoi(given) : fewer(KILLS), kills = 0;
    random_state r = random_start("test_history_tasks");
    w = common(sizeof *w);
    most_left = common(sizeof *most_left);
    assert_true(w != NULL && most_left != NULL);
    for (; kills < most; kills += KILLS_OF_ROUND) {
        random_next(&r);
        assert_int_equal(child_end(child_start(round_of_kills, &r)), 0);
    }
    printf("%d killed; at most %u bytes left in a round\n", kills, *most_left);
    munmap(w, sizeof *w);
    munmap(most_left, sizeof *most_left);
}

static int get_and_stay(void *arg)
{
    uint32_t serial;
    CHECK(MP_GET(w->queue, &serial, LONG) == 0);
    signal_word(arg);
    for (;;)
        pause();
}

/* Gets 1, then 0 that has come back; does one task, which is that of 1, and dies. */
static int get_two_and_do_one(void *arg)
{
    uint32_t serial;
    CHECK(MP_GET(w->queue, &serial, LONG) == 0 && serial == 1);
    signal_word(arg);
    CHECK(MP_GET(w->queue, &serial, LONG) == 0 && serial == 0);
    CHECK(mp_queue_task_done(w->queue) == 0);
    return 0;
}

/* "The oldest that the thread got" is what it got first, not what was put first. */
static void test_tasks_end_in_the_order_of_gets(void **state)
{
    (void)state;
    w = common(sizeof *w);
    word *ready = common(sizeof *ready);
    assert_true(w != NULL && ready != NULL);
    assert_int_equal(mp_queue_new(&w->queue, .on_death = MP_REDELIVER), 0);
    for (uint32_t serial = 0; serial < 2; serial++)
        assert_int_equal(MP_PUT(w->queue, serial, LONG), 0);
    pid_t first = child_start(get_and_stay, ready);
    assert_true(await(ready, 1));
    pid_t second = child_start(get_two_and_do_one, ready);
    assert_true(await(ready, 2));
    assert_int_equal(child_kill(first), -SIGKILL);
    assert_int_equal(child_end(second), 0);
    uint32_t serial = 42;
    assert_int_equal(MP_GET(w->queue, &serial, LONG), 0);
    assert_int_equal(serial, 0);
    assert_int_equal(mp_queue_task_done(w->queue), 0);
    assert_int_equal(mp_queue_join(w->queue, LONG), 0);
    mp_queue_free(w->queue);
    munmap(w, sizeof *w);
    munmap(ready, sizeof *ready);
}

static int get_and_do(void *arg)
{
    uint32_t serial;
    CHECK(MP_GET((mp_queue *)arg, &serial, LONG) == 0);
    return mp_queue_task_done(arg);
}

/* Whoever has joined may free the queue: the last task_done touches it no more. */
static void test_a_queue_that_was_joined_is_free_to_go(void **state)
{
    (void)state;
    enum { SIZE = 1024 };
    for (uint32_t i = 0; i < (uint32_t)fewer(3000); i++) {
        mp_queue *q;
        task t;
        assert_int_equal(mp_queue_new(&q), 0);
        assert_int_equal(task_start(&t, get_and_do, q), 0);
        assert_int_equal(MP_PUT(q, i, LONG), 0);
        assert_int_equal(mp_queue_join(q, LONG), 0);
        mp_queue_free(q);
        unsigned char *again = mp_shared_alloc(SIZE); /* the same place, as a rule */
        assert_non_null(again);
        memset(again, 0xff, SIZE);
        assert_int_equal(task_end(&t), 0);
        for (int k = 0; k < SIZE; k++)
            assert_int_equal(again[k], 0xff);
        mp_shared_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_tasks_end_in_the_order_of_gets),
        cmocka_unit_test(test_a_queue_that_was_joined_is_free_to_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
