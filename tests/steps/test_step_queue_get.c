/* SPDX-License-Identifier: MIT */
/* A getter dies or stops at each step of a get: the message stays or went with it, a putter that
 * waits for the room gets it, and the others go on. So for who closes a queue. */
#include "steps/traffic.h"

#include "os/clock.h"

enum { COUNT = 16, WANTED = 12 };

static const shape shapes[] = {
    {0, 0, 1500, false},   {0, 0, 20000, false}, {3, 0, 900, false},
    {0, 3000, 900, false}, {0, 0, 1500, true},   {0, 3000, 900, true},
};

/* At these a message has gone with the victim, at all others of the queue and the ring none has. */
static const char *const after[] = {"queue.get.taken", "queue.get.taken_at_once", "queue.get.woken",
                                    "queue.get.block_copied", NULL};

typedef struct how {
    const shape *shape;
    bool getter_first; /* it sleeps when the first message comes; else the queue is full */
    const char *first; /* where a getter has died before, or NULL */
    bool stopped;      /* and goes on: nothing may be lost */
} how;

static uint32_t fed(void)
{
    return mp__load_seq(&t->done[OTHER]);
}

static uint32_t lost(void)
{
    return mp__load_seq(&t->begun[OTHER]) - seen_of(OTHER) + mp__load_seq(&t->begun[PARENT]) -
           seen_of(PARENT);
}

static bool is_exact(const char *step)
{
    return !form.many && (strncmp(step, "queue.", 6) == 0 || strncmp(step, "ring.", 5) == 0);
}

/* While the victim stands at the step, others leave by their deadlines. */
static void act_while_stopped(void)
{
    static unsigned char bytes[LARGEST];
    uint32_t next[PRODUCERS] = {0};
    double start = seconds();
    ssize_t length = mp_queue_get(q, bytes, sizeof bytes, 0.01);
    assert_true(length > 0 || length == MP_EEMPTY || length == MP_EAGAIN);
    if (length > 0)
        assert_int_equal(note(bytes, (size_t)length, next), 0);
    int rc = mp_queue_put(q, bytes, compose(bytes, FIRST, 0), 0.01);
    assert_true(rc == 0 || rc == MP_EFULL || rc == MP_EAGAIN);
    assert_true(seconds() - start < LONG / 2);
}

static int end_of_victim(pid_t victim, const char *step, const how *h)
{
    if (!h->stopped)
        return step_end(victim, step, SIGKILL);
    int end = step_await_stop(victim, step);
    if (end != STEP_REACHED)
        return end;
    act_while_stopped();
    assert_int_equal(step_go_on(victim), 0);
    return end;
}

/* How many messages fit into the queue. */
static uint32_t room(void)
{
    if (form.maxsize != 0)
        return (uint32_t)form.maxsize;
    return form.capacity != 0 ? (uint32_t)(form.capacity / (form.length + 32)) : COUNT;
}

/* The feeder gets the room that the victim has made, with nobody else's help. */
static void await_feeder(uint32_t gone)
{
    uint32_t in = room() + gone < COUNT ? room() + gone : COUNT;
    uint32_t slack = form.many ? BATCH - 1 : 0; /* of a batch that waits for more room */
    for (double limit = seconds() + 30; fed() + slack < in; nap(0.0005))
        if (seconds() > limit)
            assert_in_range(fed(), in - slack, COUNT);
}

/* A getter dies before the victim comes. */
static void first_death(const how *h)
{
    assert_int_equal(put_upto(PARENT, 7), 0);
    order o = {FIRST, 1};
    assert_int_equal(kill_at(h->first, 1, SIGKILL, get_messages, &o), STEP_REACHED);
    deaths++;
}

static int trial(const char *step, int nth, void *arg)
{
    const how *h = arg;
    snprintf(context, sizeof context, "step %s, time %d; shape %d, %s first, after %s, %s", step,
             nth, (int)(h->shape - shapes), h->getter_first ? "getter" : "putter",
             h->first != NULL ? h->first : "nothing", h->stopped ? "stopped" : "killed");
    begin(h->shape);
    if (h->first != NULL)
        first_death(h);
    pid_t feeder = 0;
    if (!h->getter_first) {
        feeder = start_putter(OTHER, COUNT);
        until_asleep(feeder); /* all is in, or it waits for room */
    }
    order o = {VICTIM, WANTED};
    pid_t victim = step_start(step, nth, h->stopped ? SIGSTOP : SIGKILL, get_messages, &o);
    if (h->getter_first) {
        until_asleep(victim);
        feeder = start_putter(OTHER, COUNT);
    }
    int end = end_of_victim(victim, step, h);
    assert_int_not_equal(end, STEP_FAILED);
    bool died = end == STEP_REACHED && !h->stopped;
    bool goes = died && is_exact(step) && is_one_of(step, after);
    deaths += died;
    if (died)
        scribble();
    if (!h->stopped && h->first == NULL)
        await_feeder(mp__load_seq(&t->got) + goes);
    pid_t getter = start_getter(UINT32_MAX);
    assert_int_equal(child_end(feeder), 0);
    finish(getter);
    if (!died || is_exact(step))
        assert_int_equal(lost(), goes);
    else
        assert_in_range(lost(), 0, form.many ? BATCH : 1);
    return end;
}

/* Returns how many steps were reached. */
static int through(const char *prefix, int most, how h, int at_least)
{
    int reached = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int first = 0; first < 2; first++) {
            if (h.first != NULL && shapes[i].many)
                continue;
            h.shape = &shapes[i];
            h.getter_first = first;
            int n = each_step(prefix, most, trial, &h);
            assert_true(n >= at_least);
            reached += n;
        }
    return reached;
}

static void test_getter_dies(void **state)
{
    (void)state;
    through("queue.get", COUNT, (how){0}, 2);
    assert_true(through("ring.", COUNT, (how){0}, 0) > 0);
    through("sleepers.", COUNT, (how){0}, 0);
}

/* The one getter has emptied a large ring, and dies giving its memory back. */
static int shrinker_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    snprintf(context, sizeof context, "step %s, time %d: giving memory back", step, nth);
    begin(&shapes[0]);
    assert_int_equal(child_end(start_putter(OTHER, COUNT)), 0);
    pid_t victim = step_start(step, nth, SIGKILL, get_messages, &(order){VICTIM, UINT32_MAX});
    until_asleep(victim); /* or dead */
    uint32_t left = (uint32_t)mp_queue_size(q);
    pid_t getter = start_getter(UINT32_MAX);
    assert_int_equal(child_end(start_putter(FIRST, COUNT)), 0);
    assert_int_equal(mp_queue_close(q), 0);
    int end = step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(child_end(getter), 0);
    deaths += end == STEP_REACHED;
    assert_int_equal(seen_of(OTHER), COUNT);
    assert_int_equal(seen_of(FIRST), COUNT);
    assert_in_range(left, 0, COUNT);
    mp_queue_free(q);
    q = NULL;
    assert_in_range(bytes_in_use() - used_before, 0, (size_t)deaths * 65536); /* a segment */
    return end;
}

static void test_getter_dies_in_its_locks(void **state)
{
    (void)state;
    through("mutex.", 3, (how){0}, 0);
    assert_true(each_step("mutex.", 2, shrinker_dies, NULL) > 4);
    assert_true(each_step("ring.", 2, shrinker_dies, NULL) > 4);
}

static void test_getter_stops(void **state)
{
    (void)state;
    through("queue.get", 3, (how){.stopped = true}, 2);
    assert_true(through("ring.", 2, (how){.stopped = true}, 0) > 0);
    through("sleepers.", 2, (how){.stopped = true}, 0);
}

static void test_second_getter_dies(void **state)
{
    (void)state;
    through("queue.get", 2, (how){.first = "lease.take.busy"}, 2);
}

/* Who closes the queue dies: either it is not closed, or all who wait learn of it. */
enum { WAITERS = 3 };

static int get_closed(void *arg)
{
    (void)arg;
    char c;
    ssize_t rc = mp_queue_get(q, &c, 1, LONG);
    return rc == MP_ECLOSED ? 0 : 1;
}

static int put_closed(void *arg)
{
    (void)arg;
    int rc = mp_queue_put(q, "x", 1, LONG);
    return rc == MP_ECLOSED ? 0 : 1;
}

static int close_it(void *arg)
{
    (void)arg;
    return mp_queue_close(q) == 0 ? 0 : 1;
}

static int closer_dies(const char *step, int nth, void *arg)
{
    bool putters = *(bool *)arg;
    pid_t child[WAITERS];
    char c;
    assert_int_equal(mp_queue_new(&q, .maxsize = 1), 0);
    if (putters)
        assert_int_equal(mp_queue_put(q, "a", 1, 0), 0);
    for (int i = 0; i < WAITERS; i++)
        child[i] = child_start(putters ? put_closed : get_closed, NULL);
    for (int i = 0; i < WAITERS; i++)
        until_asleep(child[i]);
    int end = kill_at(step, nth, SIGKILL, close_it, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    if (strncmp(step, "queue.", 6) != 0) /* before or after it was closed */
        assert_int_equal(mp_queue_close(q), 0);
    double start = seconds();
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_true(seconds() - start < LONG / 2);
    assert_int_equal(mp_queue_put(q, "b", 1, 0), MP_ECLOSED);
    assert_int_equal(mp_queue_get(q, &c, 1, 0), putters ? 1 : MP_ECLOSED);
    assert_int_equal(mp_queue_get(q, &c, 1, 0), MP_ECLOSED);
    assert_int_equal(mp_queue_close(q), 0);
    mp_queue_free(q);
    q = NULL;
    assert_int_equal(mp_shared_check(NULL), 0);
    return end;
}

static void test_closer_dies(void **state)
{
    (void)state;
    for (int putters = 0; putters < 2; putters++) {
        bool which = putters;
        assert_int_equal(each_step("queue.close.", 3, closer_dies, &which), 3);
        assert_true(each_step("mutex.", 3, closer_dies, &which) > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRAFFIC_TEST(test_getter_dies),  TRAFFIC_TEST(test_getter_dies_in_its_locks),
        TRAFFIC_TEST(test_getter_stops), TRAFFIC_TEST(test_second_getter_dies),
        TRAFFIC_TEST(test_closer_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
