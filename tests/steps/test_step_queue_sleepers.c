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

static uint32_t victims_seen(void)
{
    return seen_of(VICTIM);
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

/* At these steps a putter's message is there, or its batch; at all others it is not. */
static bool is_put(const char *step)
{
    static const char *const after[] = {"queue.put.published",   "queue.put.published_at_once",
                                        "queue.put.woken",       "mutex.free.freed",
                                        "sleepers.wake.too_few", "sleepers.wake.cleared",
                                        "sleepers.wake.woken",   NULL};
    return is_one_of(step, after);
}

/* How many messages the victim has put, that died at the step or has put all. */
static uint32_t put_by_victim(const char *step, int end)
{
    bool amidst = end == STEP_REACHED && is_put(step);
    return mp__load_seq(&t->done[VICTIM]) + (amidst ? (form.many ? BATCH : 1) : 0);
}

typedef struct crowd {
    const shape *shape;
    uint32_t getters;
} crowd;

/* Some are put, together or one by one, for fewer or more who sleep, and the putter dies: those get
 * what was put, and another putter goes on, and the rest of them get their messages from that. */
static int putter_dies(const char *step, int nth, void *arg)
{
    const crowd *c = arg;
    snprintf(context, sizeof context, "step %s, time %d, %d getters, %s", step, nth,
             (int)c->getters, c->shape->many ? "together" : "one by one");
    begin(c->shape);
    pid_t child[GETTERS + BATCH];
    start_getters(child, (int)c->getters);
    int end = kill_at(step, nth, SIGKILL, put_messages, &(order){VICTIM, BATCH});
    assert_int_not_equal(end, STEP_FAILED);
    uint32_t put = put_by_victim(step, end);
    assert_becomes(all_seen, c->getters < put ? c->getters : put);
    assert_int_equal(seen_of(VICTIM) + queue_size(), put);
    assert_int_equal(child_end(start_putter(FRESH, BATCH + GETTERS)), 0);
    assert_becomes(all_seen, c->getters);
    assert_int_equal(mp_queue_close(q), 0);
    end_all(child, (int)c->getters);
    return end;
}

static void test_putter_dies_with_sleepers(void **state)
{
    (void)state;
    static const uint32_t getters[] = {1, GETTERS, BATCH, GETTERS + BATCH};
    int woken = 0;
    for (size_t i = 0; i < 2 * sizeof getters / sizeof getters[0]; i++) {
        crowd c = {i % 2 ? &together : &one_by_one, getters[i / 2]};
        assert_true(each_step("queue.put.", ROUNDS, putter_dies, &c) >= 3);
        assert_true(each_step("mutex.", ROUNDS, putter_dies, &c) >= 2);
        each_step("ring.", ROUNDS, putter_dies, &c);
        woken += each_step("sleepers.", ROUNDS, putter_dies, &c);
    }
    assert_true(woken >= 6);
}

/* A getter has found nothing and stands where it is about to sleep, while a putter puts and dies:
 * the kernel has nobody to wake, but the getter does not fall asleep. */
static int putter_dies_unheard(const char *step, int nth, void *arg)
{
    static const char here[] = "queue.get.looked";
    snprintf(context, sizeof context, "step %s, time %d, unheard", step, nth);
    begin(arg);
    pid_t getter = step_start(here, 1, SIGSTOP, get_messages, &(order){OTHER, UINT32_MAX});
    assert_int_equal(step_await_stop(getter, here), STEP_REACHED);
    int end = kill_at(step, nth, SIGKILL, put_messages, &(order){VICTIM, BATCH});
    assert_int_not_equal(end, STEP_FAILED);
    deaths += end == STEP_REACHED;
    kill(getter, SIGCONT);
    assert_becomes(victims_seen, put_by_victim(step, end));
    finish(getter);
    return end;
}

/* The same, but the getter comes while the putter stands at a step, and that goes on and dies at
 * another one. */
typedef struct stand {
    const shape *shape;
    const char *first; /* where the putter is when the getter comes */
} stand;

/* One stops at a step, and each time that it goes on gets the next of these: it stops there, and at
 * the last of them dies. */
static const char *const *then;

static void arm_next(int signal)
{
    (void)signal;
    mp__step_arm(then[0], 1, then[1] != NULL ? SIGSTOP : SIGKILL);
    then++;
}

static int put_stopping(void *arg)
{
    signal(SIGCONT, arm_next);
    return put_messages(arg);
}

static int get_stopping(void *arg)
{
    signal(SIGCONT, arm_next);
    return get_messages(arg);
}

static int putter_dies_later(const char *step, int nth, void *arg)
{
    static const char here[] = "queue.get.looked";
    const stand *s = arg;
    (void)nth;
    snprintf(context, sizeof context, "step %s, the getter came at %s", step, s->first);
    begin(s->shape);
    then = (const char *const[]){step, NULL};
    pid_t putter = step_start(s->first, 1, SIGSTOP, put_stopping, &(order){VICTIM, BATCH});
    assert_int_equal(step_await_stop(putter, s->first), STEP_REACHED);
    pid_t getter = step_start(here, 1, SIGSTOP, get_messages, &(order){OTHER, UINT32_MAX});
    assert_int_equal(step_await_stop(getter, here), STEP_REACHED);
    kill(putter, SIGCONT);
    int end = step_end(putter, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    deaths += end == STEP_REACHED;
    kill(getter, SIGCONT);
    assert_becomes(victims_seen, put_by_victim(step, end));
    finish(getter);
    return end;
}

static void test_getter_is_about_to_sleep(void **state)
{
    (void)state;
    static const char *const places[] = {"queue.put.", "mutex.", "ring.", "sleepers."};
    static const stand stands[] = {{&one_by_one, "mutex.take_lightly.taken"},
                                   {&one_by_one, "ring.add_one.copied"},
                                   {&one_by_one, "queue.put.announced"},
                                   {&together, "queue.put.copied"},
                                   {&together, "mutex.hold_lightly.unlinked"}};
    int reached = 0, later = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (int many = 0; many < 2; many++) {
            shape s = many ? together : one_by_one;
            reached += each_step(places[i], 2, putter_dies_unheard, &s);
        }
        for (size_t k = 0; k < sizeof stands / sizeof stands[0]; k++) {
            stand s = stands[k];
            later += each_step(places[i], 1, putter_dies_later, &s);
        }
    }
    assert_true(reached >= 10);
    assert_true(later >= 20);
}

/* A getter stands before its sleep while a message is put, and another that has found nothing joins
 * only then, and dies: the first finds out about the message. */
static void test_later_getter_dies(void **state)
{
    (void)state;
    static const char here[] = "queue.get.looked";
    static const char *const steps[] = {"ring.follow.freed", "mutex.release.woken",
                                        "queue.get.joined", NULL};
    static const shape s = {0, 0, 1500, false};
    snprintf(context, sizeof context, "a later getter dies");
    begin(&s);
    pid_t getter = step_start(here, 1, SIGSTOP, get_messages, &(order){OTHER, UINT32_MAX});
    assert_int_equal(step_await_stop(getter, here), STEP_REACHED);
    assert_int_equal(put_upto(PARENT, 5 + 20), 0); /* the ring grows */
    assert_int_equal(get_upto(20, NULL), 0);
    then = steps + 1; /* where the ring becomes small again, behind its lock, and behind join */
    pid_t later = step_start(steps[0], 1, SIGSTOP, get_stopping, &(order){VICTIM, UINT32_MAX});
    assert_int_equal(step_await_stop(later, steps[0]), STEP_REACHED);
    kill(later, SIGCONT);
    assert_int_equal(step_await_stop(later, steps[1]), STEP_REACHED);
    assert_int_equal(put_upto(PARENT, 5 + 21), 0);
    kill(later, SIGCONT);
    assert_int_equal(step_end(later, steps[2], SIGKILL), STEP_REACHED);
    deaths++;
    assert_int_equal(queue_size(), 1);
    kill(getter, SIGCONT);
    assert_becomes(queue_size, 0);
    finish(getter);
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
        TRAFFIC_TEST(test_woken_getter_dies),        TRAFFIC_TEST(test_putter_dies_with_sleepers),
        TRAFFIC_TEST(test_getter_is_about_to_sleep), TRAFFIC_TEST(test_later_getter_dies),
        TRAFFIC_TEST(test_woken_getter_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
