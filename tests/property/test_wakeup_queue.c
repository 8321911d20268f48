/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost, whoever dies: everybody sleeps, one event happens, and just then some are
 * killed: those who were woken, those who sleep on, or the one whose event it was. After it nothing
 * else happens that could wake anyone, so what was put must be got, and room be filled, by those
 * who are left. The deadline is beyond all reason: nobody must be quick, nobody sleeps for ever.
 *
 * `make property KILLS=100000` runs it for long.
 */
#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KILLS = 300, SLEEPERS = 4, FULL = 2, LENGTH = 24 };

static mp_queue *q, *scratch;
/* 0: go; 1: which event it is; 2: the queue is being closed; 3: some are fickle; 4: ready */
static word *words;
static pid_t sleeper[SLEEPERS];
static uint32_t kills;
static double slowest; /* time until what must happen had happened */
static random_state r;

/* Those who sleep for ever are the ones to rely upon. In every other round there are fickle ones,
 * who are woken as well, and may not be able, or no longer willing, to do what they were woken for:
 * then the next must be told, and not by chance: so they then keep away until the next event. */
static bool is_fickle(uint32_t i)
{
    return i >= 2 && mp__load_seq(&words[3]) != 0;
}

static void keep_away(void)
{
    uint32_t event = mp__load_seq(&words[1]);
    while (mp__load_seq(&words[1]) == event && !mp__load_seq(&words[2]))
        nap(0.0002);
}

static int get_for_ever(void *arg)
{
    uint32_t i = (uint32_t)(uintptr_t)arg;
    bool narrow = i == 2 && is_fickle(i), hasty = i == 3 && is_fickle(i);
    random_state own = ((uint64_t)getpid() << 32) | 1;
    char bytes[LENGTH];
    size_t room = narrow ? sizeof bytes / 2 : sizeof bytes;
    for (;;) {
        double timeout = hasty ? random_below(&own, 3000) * 1e-6 : MP_FOREVER;
        ssize_t length = mp_queue_get(q, bytes, room, timeout);
        if (length == MP_ECLOSED)
            return 0;
        CHECK(length == (narrow ? MP_EMSGSIZE : LENGTH) ||
              (hasty && (length == MP_EEMPTY || length == MP_EAGAIN)));
        if (length < 0)
            keep_away();
    }
}

static int put_for_ever(void *arg)
{
    static const char bytes[LENGTH];
    bool hasty = is_fickle((uint32_t)(uintptr_t)arg);
    random_state own = ((uint64_t)getpid() << 32) | 1;
    for (;;) {
        double timeout = hasty ? random_below(&own, 3000) * 1e-6 : MP_FOREVER;
        int rc = mp_queue_put(q, bytes, sizeof bytes, timeout);
        if (rc == MP_ECLOSED)
            return 0;
        CHECK(rc == 0 || (hasty && (rc == MP_EFULL || rc == MP_EAGAIN)));
        if (rc < 0)
            keep_away();
    }
}

/* Ready for a call that takes no longer than it must: all its pages are there. */
static int await_go(void)
{
    char bytes[LENGTH] = {0};
    CHECK(mp_queue_put(scratch, bytes, sizeof bytes, 0) == 0);
    CHECK(mp_queue_get(scratch, bytes, sizeof bytes, 0) == LENGTH);
    mp__store_release(&words[4], 1);
    while (mp__load_acquire(&words[0]) == 0)
        mp__pause();
    return 0;
}

/* Those who are to die at it: one call when they are told, and then they wait for their death. */
static int await_death(int rc)
{
    CHECK(rc >= 0);
    for (;;)
        pause();
}

static int put_once(void *arg)
{
    (void)arg;
    static const char bytes[LENGTH];
    CHECK(await_go() == 0);
    return await_death(mp_queue_put(q, bytes, sizeof bytes, LONG));
}

static int get_once(void *arg)
{
    (void)arg;
    char bytes[LENGTH];
    CHECK(await_go() == 0);
    return await_death((int)mp_queue_get(q, bytes, sizeof bytes, LONG));
}

static int close_once(void *arg)
{
    (void)arg;
    CHECK(await_go() == 0);
    return await_death(mp_queue_close(q));
}

static void spin_for_ns(int64_t ns)
{
    struct timespec t, begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &t);
    while ((t.tv_sec - begin.tv_sec) * 1000000000 + t.tv_nsec - begin.tv_nsec < ns);
}

/* Mostly within the call, and its wakes; sometimes after. */
static void brief_moment(void)
{
    spin_for_ns(random_below(&r, random_below(&r, 4) ? 5000 : 150000));
}

static void await_size(int size)
{
    double begin = seconds(), took;
    for (; mp_queue_size(q) != size; nap(0.00005))
        if (seconds() > begin + LONG)
            fail_msg("%d messages, not %d: a wake-up was lost", mp_queue_size(q), size);
    took = seconds() - begin;
    slowest = took > slowest ? took : slowest;
}

/* Lets all go to sleep, or catches some of them on their way. */
static void let_them_sleep(void)
{
    if (random_below(&r, 4) == 0)
        nap(random_below(&r, 200) * 1e-6);
    else
        for (uint32_t i = 0; i < SLEEPERS; i++)
            if (!is_fickle(i))
                until_asleep(sleeper[i]);
}

static void kill_amidst(int (*act_once)(void *))
{
    mp__store_release(&words[0], 0);
    mp__store_release(&words[4], 0);
    pid_t doomed = child_start(act_once, NULL);
    assert_true(await(&words[4], 1));
    mp__store_release(&words[0], 1);
    brief_moment();
    assert_int_equal(child_kill(doomed), -SIGKILL);
    kills++;
}

/* One call by ourselves, or by a child that may die in it. Returns whether somebody died. */
static bool act(int (*act_once)(void *), int (*act_here)(void))
{
    if (random_below(&r, 2)) {
        assert_true(act_here() >= 0);
        brief_moment();
        return false;
    }
    kill_amidst(act_once);
    return true;
}

/* All but one who sleeps for ever may be killed, at once, some after a stop; some are only stopped,
 * and go on. Returns who is dead. */
static uint32_t strike(void)
{
    uint32_t spared = 1u << random_below(&r, 2);
    uint32_t victims = random_below(&r, 1u << SLEEPERS) & ~spared;
    uint32_t stopped = random_below(&r, 4) == 0 ? victims : 0;
    uint32_t dead = stopped != 0 ? victims & random_below(&r, 1u << SLEEPERS) : victims;
    for (uint32_t i = 0; i < SLEEPERS; i++)
        if ((victims >> i & 1) != 0)
            kill(sleeper[i], stopped != 0 ? SIGSTOP : SIGKILL);
    if (stopped != 0)
        brief_moment();
    for (uint32_t i = 0; i < SLEEPERS; i++)
        if ((stopped >> i & 1) != 0)
            kill(sleeper[i], (dead >> i & 1) != 0 ? SIGKILL : SIGCONT);
    return dead;
}

static void replace(uint32_t dead, int (*sleep_for_ever)(void *))
{
    for (uint32_t i = 0; i < SLEEPERS; i++) {
        if ((dead >> i & 1) == 0)
            continue;
        assert_int_equal(child_end(sleeper[i]), -SIGKILL);
        kills++;
        sleeper[i] = child_start(sleep_for_ever, (void *)(uintptr_t)i);
    }
}

/* Who closes it may die in that; who closes it again wakes all. */
static void close_and_leave(void)
{
    mp__store_seq(&words[2], 1);
    kill_amidst(close_once);
    assert_int_equal(mp_queue_close(q), 0);
    double end = seconds() + LONG;
    for (int i = 0; i < SLEEPERS; i++) {
        int status;
        pid_t pid;
        while ((pid = waitpid(sleeper[i], &status, WNOHANG)) == 0 && seconds() < end)
            nap(0.0001);
        assert_int_equal(pid, sleeper[i]); /* else it sleeps on */
        assert_int_equal(status, 0);
    }
    mp_queue_free(q);
}

static uint32_t kills_wanted(void)
{
    const char *given = getenv("KILLS");
    return given != NULL && *given != '\0' ? (uint32_t)atoi(given) : (uint32_t)fewer(KILLS);
}

static int put_here(void)
{
    static const char bytes[LENGTH];
    return mp_queue_put(q, bytes, sizeof bytes, LONG);
}

static int get_here(void)
{
    char bytes[LENGTH];
    return (int)mp_queue_get(q, bytes, sizeof bytes, LONG);
}

/* The death of a sleeper may wake another, and so hide what the death of an actor has spoilt. */
static void one_event(bool getters)
{
    bool died = false;
    int size = getters ? 0 : FULL;
    await_size(size);
    signal_word(&words[1]);
    let_them_sleep();
    for (uint32_t n = 1 + random_below(&r, FULL); n > 0; n--)
        died = act(getters ? put_once : get_once, getters ? put_here : get_here) || died;
    uint32_t dead = died && random_below(&r, 4) != 0 ? 0 : strike();
    await_size(size);
    replace(dead, getters ? get_for_ever : put_for_ever);
}

static void storm(const mp_queue_options *shape, bool getters)
{
    uint32_t events = 0;
    for (kills = 0; kills < kills_wanted();) {
        assert_int_equal(mp_queue_create(&q, shape), 0);
        mp__store_seq(&words[2], 0);
        mp__store_seq(&words[3], random_below(&r, 2));
        for (uint32_t i = 0; i < SLEEPERS; i++)
            sleeper[i] = child_start(getters ? get_for_ever : put_for_ever, (void *)(uintptr_t)i);
        for (uint32_t i = random_below(&r, 2) * 25; i > 0; i--, events++)
            one_event(getters);
        let_them_sleep();
        close_and_leave();
    }
    printf("%u events, %u killed; the slowest took %.3f s\n", events, kills, slowest);
}

static void test_getters_are_told(void **state)
{
    (void)state;
    storm(&(mp_queue_options){.size = sizeof(mp_queue_options)}, true);
}

static void test_putters_are_told_of_room(void **state)
{
    (void)state;
    storm(&(mp_queue_options){.size = sizeof(mp_queue_options), .maxsize = FULL}, false);
}

static void test_putters_are_told_of_bytes(void **state)
{
    (void)state;
    storm(&(mp_queue_options){.size = sizeof(mp_queue_options), .capacity = FULL * (LENGTH + 8)},
          false);
}

int main(void)
{
    r = random_start("test_wakeup_queue");
    words = common(4096);
    if (words == NULL || mp_queue_new(&scratch) != 0)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_getters_are_told),
                                       cmocka_unit_test(test_putters_are_told_of_room),
                                       cmocka_unit_test(test_putters_are_told_of_bytes)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mp_queue_free(scratch);
    return failed;
}
