/* SPDX-License-Identifier: MIT */
/* Life records when a process dies or stops at each step of taking one: others still get theirs,
 * the dead one's is taken again, and every id tells whether its holder lives. */
#include "sync/life.h"

#include "support/shared.h"
#include "support/steps.h"

#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OTHERS = 3, FIRST_BLOCK = 64, TRIAL = 50 };

static struct board {
    _Atomic uint64_t id[OTHERS], former;
    word ready, go;
} * board;

static int setup(void **state)
{
    (void)state;
    board = common(sizeof *board);
    return board == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(board, sizeof *board);
    return 0;
}

/* Takes a record and says which. */
static int take(void *arg)
{
    _Atomic uint64_t *id = arg;
    const mp__life *life = mp__life_mine();
    CHECK(life != NULL && mp__life_mine() == life);
    CHECK(!mp__life_is_over(mp__life_id_of(life)));
    mp__store_seq(id, mp__life_id_of(life));
    return 0;
}

/* And lives on. */
static int live(void *arg)
{
    CHECK(take(arg) == 0);
    signal_word(&board->ready);
    CHECK(await(&board->go, 1));
    return 0;
}

/* Starts threads until no record of the first block is free. Returns how many. */
static int fill_first_block(task *threads, _Atomic uint64_t *ids)
{
    int n = 0;
    for (uint32_t i = 1; i <= FIRST_BLOCK; i++)
        n += mp__robust_abandoned(mp__load_seq(&mp__life_at(i)->node.word));
    for (int i = 0; i < n; i++)
        if (task_start(&threads[i], live, &ids[i]) != 0)
            return -1;
    return await(&board->ready, (uint32_t)n) ? n : -1;
}

/* Processes and a thread that live at once are told apart, from each other and from the dead, and
 * one of them has the record at `place`. */
static int others_live(mp__life_id dead, uint32_t place)
{
    pid_t pid[OTHERS];
    task thread;
    bool reused = false;
    uint32_t before = mp__load_seq(&board->ready);
    for (int i = 1; i < OTHERS; i++)
        pid[i] = child_start(live, &board->id[i]);
    CHECK(task_start(&thread, live, &board->id[0]) == 0);
    CHECK(await(&board->ready, before + OTHERS));
    for (int i = 0; i < OTHERS; i++) {
        mp__life_id id = mp__load_seq(&board->id[i]);
        CHECK(!mp__life_is_over(id));
        CHECK(id != dead && id != mp__load_seq(&board->former));
        CHECK(mp__life_find(id) != mp__life_find(mp__load_seq(&board->id[(i + 1) % OTHERS])));
        reused = reused || mp__life_find(id)->index == place;
    }
    CHECK(reused);
    CHECK(mp__life_is_over(dead) && mp__life_is_over(mp__load_seq(&board->former)));
    mp__store_seq(&board->go, 1);
    CHECK(task_end(&thread) == 0);
    for (int i = 1; i < OTHERS; i++)
        CHECK(child_end(pid[i]) == 0);
    for (int i = 0; i < OTHERS; i++)
        CHECK(mp__life_is_over(mp__load_seq(&board->id[i])));
    return mp_shared_check(NULL) == 0 ? 0 : 1;
}

typedef struct plan {
    const char *step;
    int nth, signal;
    bool former; /* the record that the victim takes has had a holder */
    bool full;   /* the first block is */
} plan;

/* The victim has come to its end or its stop. Returns what became of it. */
static int see_victim(const plan *p, pid_t victim)
{
    if (p->signal == SIGKILL)
        return step_end(victim, p->step, SIGKILL);
    int how = step_await_stop(victim, p->step);
    if (how != STEP_REACHED)
        return how;
    bool over = mp__life_is_over(mp__load_seq(&board->former)); /* asked without any lock */
    return step_go_on(victim) == 0 && over ? how : STEP_FAILED;
}

/* In a process with an arena of its own, in which nobody has a record yet. */
static int run_trial(void *arg)
{
    const plan *p = arg;
    static task thread[FIRST_BLOCK];
    static _Atomic uint64_t id[FIRST_BLOCK], victims;
    CHECK(mp_init() == 0);
    CHECK(mp__life_at(1) == NULL);
    if (p->former)
        CHECK(child_end(child_start(take, &board->former)) == 0);
    CHECK(mp__life_is_over(mp__load_seq(&board->former)));
    int threads = p->full ? fill_first_block(thread, id) : 0;
    CHECK(threads >= 0);
    uint32_t place = p->full ? FIRST_BLOCK + 1 : 1;
    int how = see_victim(p, step_start(p->step, p->nth, p->signal, take, &victims));
    CHECK(how != STEP_FAILED);
    const mp__life *life = mp__life_at(place);
    mp__life_id dead = life == NULL ? 0 : mp__life_id_of(life);
    CHECK(mp__life_is_over(dead));
    if (p->former && !p->full && strncmp(p->step, "life.", 5) == 0)
        CHECK(dead != mp__load_seq(&board->former));
    CHECK(others_live(dead, place) == 0);
    for (int i = 0; i < threads; i++)
        CHECK(task_end(&thread[i]) == 0);
    return TRIAL + how;
}

static int trial(const char *step, int nth, void *arg)
{
    plan p = *(const plan *)arg;
    p.step = step;
    p.nth = nth;
    memset(board, 0, sizeof *board);
    int end = child_end(child_start(run_trial, &p));
    assert_in_range(end, TRIAL + STEP_PASSED, TRIAL + STEP_REACHED);
    return end - TRIAL;
}

static void test_steps(void **state)
{
    (void)state;
    int all = steps_of("life.").count;
    static const int signals[] = {SIGKILL, SIGSTOP};
    for (int i = 0; i < 2; i++) {
        plan first = {.signal = signals[i]}; /* in this arena */
        plan reused = {.signal = signals[i], .former = true};
        plan full = {.signal = signals[i], .former = true, .full = true};
        assert_int_equal(each_step("life.", 3, trial, &first), all);
        assert_int_equal(each_step("life.", 3, trial, &reused), all - 1); /* makes no block */
        assert_int_equal(each_step("life.", 3, trial, &full), all);
        assert_true(each_step("robust.link.", 3, trial, &reused) > 0);
        assert_true(each_step("mutex.", 3, trial, &reused) > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
