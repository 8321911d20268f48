/* SPDX-License-Identifier: MIT */
/* Several getters sleep, and who is to wake one, or was woken, dies or stops at each of its steps:
 * no message stays while one of them sleeps. None has a timer. */
#include "steps/traffic.h"

#include "os/robust.h"

enum { GETTERS = 4, ROUNDS = 3 };

static const shape one_by_one = {0, 0, 100, false}, together = {0, 0, 100, true};

static uint32_t all_seen(void)
{
    uint32_t n = 0;
    for (uint32_t i = FIRST; i < PRODUCERS; i++)
        n += seen_of(i);
    return n;
}

static void start_getters(pid_t *child, int n)
{
    for (int i = 0; i < n; i++) { /* one by one: the first is the first to be woken */
        child[i] = start_getter(1);
        until_asleep(child[i]);
    }
}

static bool is_taken(const char *step)
{
    static const char *const after[] = {"queue.get.taken",       "queue.get.woken",
                                        "sleepers.wake.too_few", "sleepers.wake.cleared",
                                        "sleepers.wake.woken",   NULL};
    return is_one_of(step, after);
}

static uint32_t queue_size(void)
{
    return (uint32_t)mp_queue_size(q);
}

/* All end, for the queue is closed; but the victim perhaps, which has its message or not. */
static void end_all(const pid_t *child, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(child_end(child[i]), 0);
    mp_queue_free(q);
    q = NULL;
}

/* A getter sleeps, and others behind it. It dies on its way to the message, after it was woken or
 * before it slept; one of the others gets it. */
static int getter_dies(const char *step, int nth, void *arg)
{
    uint32_t messages = *(uint32_t *)arg;
    snprintf(context, sizeof context, "step %s, time %d, %d messages", step, nth, (int)messages);
    begin(&one_by_one);
    pid_t child[GETTERS];
    pid_t victim = step_start(step, nth, SIGKILL, get_messages, &(order){VICTIM, 1});
    until_asleep(victim);
    start_getters(child, GETTERS);
    assert_int_equal(child_end(start_putter(FRESH, messages)), 0);
    assert_becomes(queue_size, 0); /* while the others sleep, and have no timer */
    assert_int_equal(mp_queue_close(q), 0);
    int end = step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    end_all(child, GETTERS);
    uint32_t gone = end == STEP_REACHED && is_taken(step);
    assert_in_range(seen_of(FRESH), messages - gone, messages); /* it may die knowing of the end */
    return end;
}

static void test_woken_getter_dies(void **state)
{
    (void)state;
    for (uint32_t messages = 1; messages <= GETTERS; messages++) {
        assert_true(each_step("queue.get.", 2, getter_dies, &messages) >= 4);
        each_step("sleepers.", 2, getter_dies, &messages);
    }
}

/* Many are put at once for as many who sleep, and the putter dies: each gets one, or nothing was
 * put. */
static int putter_dies(const char *step, int nth, void *arg)
{
    int getters = *(int *)arg; /* they may be fewer or more than the messages */
    snprintf(context, sizeof context, "step %s, time %d, %d getters", step, nth, getters);
    begin(&together);
    pid_t child[GETTERS + BATCH];
    start_getters(child, getters);
    int end = kill_at(step, nth, SIGKILL, put_messages, &(order){VICTIM, BATCH});
    assert_int_not_equal(end, STEP_FAILED);
    uint32_t done = mp__load_seq(&t->done[VICTIM]);
    uint32_t there = seen_of(VICTIM) + (uint32_t)mp_queue_size(q);
    assert_true(there == 0 || there == BATCH || (there < BATCH && getters > 0));
    if (strcmp(step, "queue.put.published_to_sleepers") == 0 || done == BATCH ||
        strncmp(step, "sleepers.", 9) == 0)
        assert_becomes(all_seen, getters < BATCH ? (uint32_t)getters : BATCH);
    assert_int_equal(mp_queue_close(q), 0);
    end_all(child, getters);
    return end;
}

static void test_putter_of_many_dies(void **state)
{
    (void)state;
    static const int getters[] = {1, GETTERS, BATCH, GETTERS + BATCH};
    int reached = 0;
    for (size_t i = 0; i < sizeof getters / sizeof getters[0]; i++) {
        int n = getters[i];
        assert_true(each_step("queue.put.", ROUNDS, putter_dies, &n) >= 3);
        reached += each_step("sleepers.", ROUNDS, putter_dies, &n);
    }
    assert_true(reached >= 3);
}

/* Who was woken is stopped where it has not yet taken the message, perhaps: that waits for it, and
 * if it is killed then a sleeper gets it. */
static int getter_stops(const char *step, int nth, void *arg)
{
    bool killed = *(bool *)arg;
    snprintf(context, sizeof context, "step %s, time %d, stopped%s", step, nth,
             killed ? " and killed" : "");
    begin(&one_by_one);
    pid_t child[2];
    pid_t victim = step_start(step, nth, SIGSTOP, get_messages, &(order){VICTIM, 1});
    until_asleep(victim);
    start_getters(child, 2);
    assert_int_equal(child_end(start_putter(FRESH, 1)), 0);
    int status = 0;
    while (queue_size() != 0 && waitpid(victim, &status, WUNTRACED | WNOHANG) == 0)
        nap(0.0005);
    if (WIFSTOPPED(status))
        kill(victim, killed ? SIGKILL : SIGCONT);
    assert_becomes(queue_size, 0);
    assert_int_equal(mp_queue_close(q), 0);
    int end = STEP_REACHED;
    if (!WIFSTOPPED(status) && step_await_stop(victim, step) != STEP_REACHED)
        end = STEP_PASSED;
    else
        kill(victim, killed ? SIGKILL : SIGCONT);
    if (end == STEP_REACHED) {
        step_record(step);
        assert_int_equal(child_end(victim), killed ? -SIGKILL : 0);
    }
    end_all(child, 2);
    assert_in_range(seen_of(FRESH), !(killed && end == STEP_REACHED && is_taken(step)), 1);
    return end;
}

static void test_woken_getter_stops(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++)
        assert_true(each_step("queue.get.", 2, getter_stops, &(bool){killed}) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRAFFIC_TEST(test_woken_getter_dies),
        TRAFFIC_TEST(test_putter_of_many_dies),
        TRAFFIC_TEST(test_woken_getter_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
