/* SPDX-License-Identifier: MIT */
/*
 * The storm: a family operates all objects at random while its members are killed (and stopped
 * first, sometimes) at random moments, and replaced. Now and then the others are sent home; then
 * what must hold is checked, and everything is used by fresh processes.
 *
 * `make storm KILLS=100000 SEED=7` runs it for long; without KILLS there are a few hundred.
 */
#include "storm/world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KILLS = 300, BETWEEN_CHECKS = 50 };

static pid_t child[MEMBERS];
static int kills, stops, kills_at_check;
static uint32_t permits_lost; /* that the dead may have taken since the last check */
static double slowest;        /* time for all to go home */

static void make_queue(random_state *r)
{
    static const mp_queue_options shapes[] = {
        {.maxsize = 1}, {.maxsize = 20}, {.capacity = 20000}, {.maxsize = 0}};
    mp_queue_options o = shapes[random_below(r, 4)];
    o.size = sizeof o;
    assert_int_equal(mp_queue_create(&w->queue, &o), 0);
}

static void make_world(random_state *r)
{
    w = common(sizeof *w);
    assert_non_null(w);
    assert_int_equal(mp_lock_new(&w->lock), 0);
    assert_int_equal(mp_rlock_new(&w->rlock), 0);
    assert_int_equal(mp_condition_new(&w->condition), 0);
    assert_int_equal(mp_semaphore_new(&w->plain, PERMITS, .bound = PERMITS), 0);
    assert_int_equal(mp_semaphore_new(&w->owned, PERMITS, .owned = MP_YES), 0);
    assert_int_equal(mp_event_new(&w->event), 0);
    assert_int_equal(mp_barrier_new(&w->barrier, PARTIES), 0);
    make_queue(r);
}

static void free_world(void)
{
    for (int i = 0; i < MEMBERS; i++)
        for (int k = 0; k < BLOCKS; k++)
            mp_shared_free(mp__load_seq(&w->member[i].block[k]));
    mp_lock_free(w->lock);
    mp_rlock_free(w->rlock);
    mp_condition_free(w->condition);
    mp_semaphore_free(w->plain);
    mp_semaphore_free(w->owned);
    mp_event_free(w->event);
    mp_barrier_free(w->barrier);
    mp_queue_free(w->queue);
    munmap(w, sizeof *w);
}

static void start(uint32_t i)
{
    child[i] = child_start(live, (void *)(uintptr_t)i);
}

static uint32_t progress(void)
{
    uint32_t all = 0;
    for (int i = 0; i < MEMBERS; i++)
        all += mp__load_seq(&w->member[i].progress);
    return all;
}

static void assert_progress(void)
{
    uint32_t before = progress();
    for (double end = seconds() + LONG; progress() - before < MEMBERS; nap(0.0005))
        assert_true(seconds() < end);
}

static void strike(random_state *r)
{
    uint32_t i = random_below(r, MEMBERS);
    nap(random_below(r, 2000) * 1e-6);
    if (random_below(r, 4) == 0) {
        kill(child[i], SIGSTOP);
        nap(random_below(r, 10) * 1e-3);
        stops++;
        if (random_below(r, 4) == 0) { /* spared */
            kill(child[i], SIGCONT);
            return;
        }
    }
    assert_int_equal(child_kill(child[i]), -SIGKILL); /* else it has failed before */
    kills++;
    permits_lost += mp__load_seq(&w->member[i].wants_permit);
    mp__store_seq(&w->member[i].wants_permit, 0);
    start(i);
}

/* All go home: nobody may be stuck. */
static void send_home(void)
{
    double begin = seconds();
    mp__store_seq(&w->stop, 1);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    double took = seconds() - begin;
    slowest = took > slowest ? took : slowest;
    mp__store_seq(&w->stop, 0);
}

/* Every message that was put for sure came once, but for one in the hands of each who died. */
static void check_queue(random_state *r)
{
    static unsigned char bytes[LARGEST];
    uint32_t next[MEMBERS] = {0};
    ssize_t length;
    while ((length = mp_queue_get(w->queue, bytes, sizeof bytes, 0)) != MP_EEMPTY)
        assert_int_equal(note(bytes, (size_t)length, next), 0);
    int lost = 0;
    for (int i = 0; i < MEMBERS; i++) {
        member *m = &w->member[i];
        for (uint32_t n = 0; n < NUMBERS; n++) {
            lost += m->put[n] > m->got[n];
            assert_true(m->got[n] == 0 || n < mp__load_seq(&m->begun));
            m->put[n] = m->got[n] = 0;
        }
        mp__store_seq(&m->begun, 0);
    }
    assert_in_range(lost, 0, kills - kills_at_check);
    if (random_below(r, 4) == 0) {
        mp_queue_free(w->queue);
        make_queue(r);
    }
}

static void check_semaphores(void)
{
    int value = mp_semaphore_value(w->plain);
    assert_in_range(value, PERMITS > permits_lost ? PERMITS - permits_lost : 0, PERMITS);
    if (value < PERMITS)
        assert_int_equal(mp_semaphore_release(w->plain, PERMITS - value), 0);
    permits_lost = 0;
    assert_int_equal(mp_semaphore_value(w->owned), PERMITS);
}

static bool may_go(void *arg)
{
    (void)arg;
    return mp__load_seq(&w->go) != 0;
}

/* A fresh process: holds everything once, and waits for all that wakes. */
static int use_everything(void *arg)
{
    random_state r = (uint64_t)(uintptr_t)arg;
    CHECK(use_lock() == 0 && use_rlock(&r) == 0);
    CHECK(mp_semaphore_acquire(w->plain, LONG) == 0 && mp_semaphore_acquire(w->owned, LONG) == 0);
    CHECK(mp_semaphore_release(w->plain, 1) == 0 && mp_semaphore_release(w->owned, 1) == 0);
    CHECK(mp_barrier_wait(w->barrier, LONG) >= 0);
    mp__add_seq(&w->waiting, 1);
    CHECK(mp_event_wait(w->event, LONG) == 0);
    CHECK(change(&w->by_condition, mp_condition_acquire(w->condition, LONG)) == 0);
    mp__add_seq(&w->waiting, 1);
    CHECK(mp_condition_wait_for(w->condition, may_go, NULL, LONG) == 0);
    CHECK(mp_condition_release(w->condition) == 0);
    return 0;
}

/* All of it works as if nothing had happened; a waiter that is stopped hinders nobody. */
static void use_again(void)
{
    pid_t fresh[PARTIES];
    assert_int_equal(mp_barrier_reset(w->barrier), 0);
    assert_int_equal(mp_event_clear(w->event), 0);
    mp__store_seq(&w->waiting, 0);
    mp__store_seq(&w->go, 0);
    for (uintptr_t i = 0; i < PARTIES; i++)
        fresh[i] = child_start(use_everything, (void *)(i + 1));
    assert_true(await(&w->waiting, PARTIES));
    assert_int_equal(mp_event_set(w->event), 0);
    assert_true(await(&w->waiting, 2 * PARTIES));
    int rc = mp_condition_acquire(w->condition, LONG); /* all wait when we have it */
    assert_int_equal(rc, 0);
    mp__store_seq(&w->go, 1);
    assert_int_equal(mp_condition_notify_all(w->condition), PARTIES);
    assert_int_equal(mp_condition_release(w->condition), 0);
    for (int i = 0; i < PARTIES; i++)
        assert_int_equal(child_end(fresh[i]), 0);
}

static void check_all(random_state *r)
{
    const char *problem = NULL;
    send_home();
    if (mp_shared_check(&problem) != 0)
        fail_msg("%s", problem);
    check_semaphores();
    check_queue(r);
    /* No wait was woken without a notify; one that died had not told how many it woke. */
    assert_in_range(mp__load_seq(&w->woken), 0,
                    mp__load_seq(&w->promised) + (uint32_t)kills * MEMBERS);
    use_again();
    kills_at_check = kills;
}

static void test_storm(void **state)
{
    (void)state;
    const char *given = getenv("KILLS");
    int most = given != NULL && *given != '\0' ? atoi(given) : fewer(KILLS);
    random_state r = random_start("test_storm");
    assert_int_equal(mp_init(), 0);
    size_t used = bytes_in_use();
    make_world(&r);
    while (kills < most) {
        for (uint32_t i = 0; i < MEMBERS; i++)
            start(i);
        int until = kills + BETWEEN_CHECKS < most ? kills + BETWEEN_CHECKS : most;
        for (int before = -1; kills < until;) {
            if (kills % 10 == 0 && kills != before)
                assert_progress();
            before = kills;
            strike(&r);
        }
        check_all(&r);
    }
    printf(
        "%d killed, %d stopped; %u operations, %u barrier rounds, %u times told of a dead owner\n",
        kills, stops, progress(), mp__load_seq(&w->rounds), mp__load_seq(&w->told));
    free_world();
    size_t leaked = bytes_in_use() - used;
    printf("%zu bytes leaked; all went home within %.2f s\n", leaked, slowest);
    assert_in_range(leaked, 0, (size_t)kills * (LARGEST_BLOCK + 65536));
    assert_int_equal(mp_shared_check(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
