/* SPDX-License-Identifier: MIT */
/* The barrier when a party dies or stops at each of its steps: the first to arrive, one in the
 * middle, the last; with an action and without; one that gives up, aborts or resets. */
#include <mproc/barrier.h>
#include <mproc/error.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "support/steps.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OTHERS = 3, MOST = 24, TOLD = 100, NTH = 4 };

enum { WAIT, WAIT_BRIEFLY, ABORT, RESET }; /* what the victim does */

typedef struct scene {
    int verb;
    int before; /* so many others are there already when the victim comes */
    int parties;
    bool action, asleep;
} scene;

/* The play: the victim, and the others, who only wait. */
static struct {
    pid_t victim;
    bool victim_lives, victim_stopped;
    int how;
    pid_t other[MOST];
    bool ended[MOST];
    int others, live;
} play;

static mp_barrier *b;
static word *words; /* 0: others that have begun */
static double worst;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    b = NULL;
    return words == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    mp_barrier_free(b);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static int act(void *arg)
{
    (void)arg;
    return 0;
}

static int result_of(int rc)
{
    return rc == MP_EBROKEN ? TOLD : rc >= 0 && rc < mp_barrier_parties(b) ? 0 : 101;
}

static int other(void *arg)
{
    (void)arg;
    signal_word(&words[0]);
    return result_of(mp_barrier_wait(b, MP_FOREVER));
}

static int scenario(void *arg)
{
    const scene *s = arg;
    if (s->verb == ABORT)
        return mp_barrier_abort(b);
    if (s->verb == RESET)
        return mp_barrier_reset(b);
    int rc = result_of(mp_barrier_wait(b, s->verb == WAIT ? MP_FOREVER : 0.03));
    return rc == TOLD ? 0 : rc;
}

static void add_other(void)
{
    assert_true(play.others < MOST);
    uint32_t begun = mp__load_seq(&words[0]);
    play.ended[play.others] = false;
    play.other[play.others++] = child_start(other, NULL);
    play.live++;
    assert_true(await(&words[0], begun + 1));
}

/* Learns who has ended, and whether the victim has stopped. */
static void look(const char *step, int signal)
{
    int status;
    for (int i = 0; i < play.others; i++)
        if (!play.ended[i] && waitpid(play.other[i], &status, WNOHANG) == play.other[i]) {
            assert_true(WIFEXITED(status));
            assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == TOLD);
            play.ended[i] = true;
            play.live--;
        }
    if (!play.victim_lives || waitpid(play.victim, &status, WNOHANG | WUNTRACED) != play.victim)
        return;
    play.victim_stopped = WIFSTOPPED(status);
    play.victim_lives = play.victim_stopped;
    if (play.victim_stopped || (WIFSIGNALED(status) && WTERMSIG(status) == signal)) {
        play.how = STEP_REACHED;
        step_record(step);
    } else {
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    }
}

/* Whether all who live have arrived and none who is dead: nothing will happen by itself. */
static bool is_quiet(const scene *s)
{
    int waiting = mp_barrier_waiting(b), live = play.live;
    bool victim = play.victim_lives && (s->verb == WAIT || s->verb == WAIT_BRIEFLY);
    if (waiting == 0)
        return false;
    return waiting == live + victim || (play.victim_stopped && waiting == live);
}

/* Lets all end who can. If they wait for nothing but parties, parties come. */
static bool finish(const scene *s, const char *step, int signal, double time)
{
    double end = seconds() + time;
    while (look(step, signal), play.live > 0 || (play.victim_lives && !play.victim_stopped)) {
        if (seconds() > end)
            return false;
        if (is_quiet(s))
            add_other();
        nap(0.0003);
    }
    return true;
}

static void begin(const scene *s, const char *step, int nth, int signal)
{
    memset(&play, 0, sizeof play);
    mp_barrier_free(b);
    assert_int_equal(mp_barrier_new(&b, s->parties, .action = s->action ? act : NULL), 0);
    mp__store_seq(&words[0], 0);
    for (int i = 0; i < s->before; i++)
        add_other();
    for (double end = seconds() + LONG; mp_barrier_waiting(b) < s->before; nap(0.0001))
        assert_true(seconds() < end);
    for (int i = 0; s->asleep && i < s->before; i++)
        until_asleep(play.other[i]);
    play.victim = step_start(step, nth, signal, scenario, (void *)(uintptr_t)s);
    play.victim_lives = true;
    if (s->before < OTHERS)
        until_asleep(play.victim); /* or it has ended */
    while (play.others < OTHERS)
        add_other();
}

/* A round of fresh processes, twice. */
static void assert_usable(const scene *s)
{
    pid_t child[8];
    for (int round = 0; round < 2; round++) {
        assert_int_equal(mp_barrier_reset(b), 0);
        assert_false(mp_barrier_broken(b));
        for (int i = 1; i < s->parties; i++)
            child[i] = child_start(other, NULL);
        assert_in_range(mp_barrier_wait(b, LONG), 0, s->parties - 1);
        for (int i = 1; i < s->parties; i++)
            assert_int_equal(child_end(child[i]), 0);
    }
    assert_int_equal(mp_barrier_waiting(b), 0);
    assert_int_equal(mp_shared_check(NULL), 0);
}

static bool reached[STEPS_MOST][2];

static void note(const char *step, bool stopped)
{
    step_list l = steps_of("barrier.");
    for (int i = 0; i < l.count && play.how == STEP_REACHED; i++)
        if (strcmp(l.name[i], step) == 0)
            reached[i][stopped] = true;
}

static int dies(const char *step, int nth, void *arg)
{
    const scene *s = arg;
    begin(s, step, nth, SIGKILL);
    double start = seconds();
    if (!finish(s, step, SIGKILL, LONG))
        fail_msg("%s, %d: %d others wait still, %d arrived", step, nth, play.live,
                 mp_barrier_waiting(b));
    worst = seconds() - start > worst ? seconds() - start : worst;
    assert_usable(s);
    note(step, false);
    return play.how;
}

static int stops(const char *step, int nth, void *arg)
{
    const scene *s = arg;
    begin(s, step, nth, SIGSTOP);
    /* Without an action nobody has to wait for one that is stopped. */
    bool all = finish(s, step, SIGSTOP, s->action ? 0.05 : LONG);
    if (play.victim_stopped) {
        kill(play.victim, SIGCONT);
        play.victim_stopped = false;
    }
    if ((!all && !s->action) || !finish(s, step, SIGKILL, LONG))
        fail_msg("%s, %d: %d others wait still, %d arrived", step, nth, play.live,
                 mp_barrier_waiting(b));
    assert_usable(s);
    note(step, true);
    return play.how;
}

static void all_scenes(int (*trial)(const char *, int, void *))
{
    int count = 0, every = fewer(1000) < 1000 ? 5 : 1; /* of the scenes, with a slow tool */
    for (int verb = WAIT; verb <= RESET; verb++)
        for (int before = 0; before <= OTHERS; before++)
            for (int parties = OTHERS; parties <= OTHERS + 2; parties++)
                for (int kind = 0; kind < 4; kind++) {
                    scene s = {verb, before, parties, (kind & 1) != 0, (kind & 2) != 0};
                    bool possible = before < parties;
                    bool plain = verb == WAIT || (parties == OTHERS + 1 && !s.action);
                    if (possible && plain && count++ % every == 0)
                        each_step("barrier.", NTH, trial, &s);
                }
}

static void all_reached(bool stopped)
{
    step_list l = steps_of("barrier.");
    assert_true(l.count > 8);
    for (int i = 0; i < l.count; i++)
        if (!reached[i][stopped])
            fail_msg("never came to %s", l.name[i]);
}

static void test_deaths(void **state)
{
    (void)state;
    all_scenes(dies);
    all_reached(false);
    printf("worst time from the last arrival to all being told: %.1f ms\n", worst * 1e3);
}

static void test_stops(void **state)
{
    (void)state;
    all_scenes(stops);
    all_reached(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_deaths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stops, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
