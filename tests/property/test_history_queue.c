/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers of one queue are killed and stopped at random, and replaced; they write
 * down what they put and got (property/history.h), and in the end a judge (property/judge.h) looks
 * whether all of it can be true of a queue: first in, first out, everything once, nothing torn,
 * nothing lost but in the hands of the dead.
 *
 * `make property KILLS=100000` runs it for long; without KILLS there are a few hundred. Each round
 * is a family of its own, with a queue of another shape.
 */
#include "property/judge.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KILLS = 600, KILLS_OF_ROUND = 30, PLACES = 6, SPARE = 16 };

/* What the rounds of a test tell it. */
typedef struct totals {
    word kills, stops, got, lost, most_leaked, said_empty;
} totals;

static totals *all;
static pid_t child[PLACES];      /* 0: the place is empty */
static uint32_t life_of[PLACES]; /* the first `producers` places produce */
static uint32_t producers, places;

static bool is_producer(uint32_t place)
{
    return place < producers;
}

static int start(uint32_t place)
{
    uint32_t me = w->lives++;
    CHECK(me < LIVES);
    memset((void *)&w->life[me], 0, sizeof w->life[me]);
    w->life[me].produces = is_producer(place);
    life_of[place] = me;
    child[place] = child_start(live, (void *)(uintptr_t)me);
    return 0;
}

/* Who has gone home because its book is full: it must have been content. */
static int replace_who_left(void)
{
    for (uint32_t i = 0; i < places; i++) {
        int status;
        if (child[i] == 0 || waitpid(child[i], &status, WNOHANG) != child[i])
            continue;
        CHECK(status == 0);
        child[i] = 0;
        if (!is_producer(i) || !mp__load_seq(&w->stop_putting))
            CHECK(start(i) == 0);
    }
    return 0;
}

static int strike(random_state *r)
{
    uint32_t i = random_below(r, places);
    life *l = &w->life[life_of[i]];
    if (random_below(r, 4) == 0) {
        kill(child[i], SIGSTOP);
        nap(random_below(r, 10) * 1e-3);
        signal_word(&all->stops);
        if (random_below(r, 2)) {
            kill(child[i], SIGCONT);
            return 0;
        }
    }
    int how = child_kill(child[i]);
    CHECK(how == -SIGKILL || how == 0);
    l->died = how == 0 ? 0 : now();
    signal_word(&all->kills);
    return start(i);
}

/* Producers go home while consumers are at work; then the queue is closed, and these drain it. */
static int end_all(void)
{
    mp__store_seq(&w->stop_putting, 1);
    double end = seconds() + LONG;
    for (uint32_t i = 0; i < producers; i++)
        for (; child[i] != 0; nap(0.0005)) {
            CHECK(replace_who_left() == 0);
            CHECK(seconds() < end); /* else a producer is stuck */
        }
    CHECK(mp_queue_close(w->queue) == 0);
    end = seconds() + LONG;
    for (uint32_t i = producers; i < places; i++)
        for (int status; waitpid(child[i], &status, WNOHANG) == 0; nap(0.0005))
            CHECK(seconds() < end); /* else a consumer is stuck */
    for (int rc = 1; rc != MP_ECLOSED;) {
        uint32_t me = w->lives++;
        CHECK(me < LIVES);
        memset((void *)&w->life[me], 0, sizeof w->life[me]);
        while (rc != MP_ECLOSED && mp__load_seq(&w->life[me].count) < ENTRIES) {
            rc = get_some(&w->life[me], 1, 0);
            CHECK(rc == 1 || rc == MP_ECLOSED);
        }
    }
    return 0;
}

static int make_round(random_state *r)
{
    static const mp_queue_options shapes[] = {
        {.maxsize = 1}, {.maxsize = 3}, {.maxsize = 50}, {.capacity = 40000}, {.maxsize = 0}};
    static const double patience[] = {LONG, 0.001, 0};
    mp_queue_options o = shapes[random_below(r, 5)];
    o.size = sizeof o;
    CHECK(mp_queue_create(&w->queue, &o) == 0);
    w->maxsize = (uint32_t)o.maxsize;
    w->capacity = o.capacity;
    w->batches = random_below(r, 2);
    w->blocks = random_below(r, 2);
    /* An unlimited queue must not fill the memory: there, producers pause. */
    w->pause = random_below(r, 3) == 0 ? 3000 : o.maxsize == 0 && o.capacity == 0 ? 200 : 0;
    w->patience = patience[random_below(r, 3)];
    w->lives = 0;
    mp__store_seq(&w->stop_putting, 0);
    producers = 1 + random_below(r, PLACES / 2);
    places = producers + 1 + random_below(r, PLACES / 2);
    return 0;
}

/* A family of its own. */
static int round_of_kills(void *arg)
{
    random_state r = *(random_state *)arg;
    mp_arena_options limit = {.size = sizeof limit, .limit = (size_t)512 << 20};
    CHECK(mp_arena_configure(&limit) == 0 && mp_init() == 0);
    size_t used = bytes_before();
    CHECK(make_round(&r) == 0);
    for (uint32_t i = 0; i < places; i++)
        CHECK(start(i) == 0);
    for (uint32_t i = 0; i < KILLS_OF_ROUND && w->lives < LIVES - SPARE; i++) {
        nap(random_below(&r, 3000) * 1e-6);
        CHECK(replace_who_left() == 0);
        CHECK(strike(&r) == 0);
    }
    CHECK(end_all() == 0);
    const char *problem = NULL;
    if (mp_shared_check(&problem) != 0)
        fprintf(stderr, "%s\n", problem);
    CHECK(problem == NULL);
    int verdict = judge();
    mp__add_seq(&all->got, judge_got);
    mp__add_seq(&all->lost, judge_lost);
    mp_queue_free(w->queue);
    uint32_t leaked = (uint32_t)(bytes_in_use() - used);
    if (leaked > mp__load_seq(&all->most_leaked))
        mp__store_seq(&all->most_leaked, leaked);
    return verdict;
}

static void test_history(void **state)
{
    (void)state;
    const char *given = getenv("KILLS");
    uint32_t most =
        given != NULL && *given != '\0' ? (uint32_t)atoi(given) : (uint32_t)fewer(KILLS);
    random_state r = random_start("test_history_queue");
    w = common(sizeof *w);
    all = common(sizeof *all);
    assert_true(w != NULL && all != NULL);
    uint32_t rounds = 0;
    for (; mp__load_seq(&all->kills) < most; rounds++) {
        random_next(&r);
        assert_int_equal(child_end(child_start(round_of_kills, &r)), 0);
    }
    printf("%u rounds, %u killed, %u stopped; %u messages came, %u went with the dead; at most %u "
           "bytes leaked in a round\n",
           rounds, all->kills, all->stops, all->got, all->lost, all->most_leaked);
    munmap(w, sizeof *w);
    munmap(all, sizeof *all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_history)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
