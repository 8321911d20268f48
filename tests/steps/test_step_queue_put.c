/* SPDX-License-Identifier: MIT */
/* A putter dies or stops at each step of a put: its message is there as a whole or not at all, who
 * waits for it gets it, and the others go on. */
#include "steps/traffic.h"

#include "os/clock.h"

enum { COUNT = 16 };

/* Room for all, so that the segment is left for a larger one; large messages; limits that the
 * putter has to wait for; many at once. */
static const shape shapes[] = {
    {0, 0, 1500, false},   {0, 0, 20000, false}, {3, 0, 900, false},
    {0, 3000, 900, false}, {0, 0, 1500, true},   {0, 3000, 900, true},
};

/* At these a single message is there, at all others of the queue and the ring it is not. */
static const char *const after[] = {
    "queue.put.published",    "queue.put.published_at_once", "queue.put.woken",
    "ring.publish.published", "ring.publish.summed",         "sleepers.wake.too_few",
    "sleepers.wake.cleared",  "sleepers.wake.woken",         NULL};

typedef struct how {
    const shape *shape;
    bool getter_first;     /* it sleeps when the victim comes; else the victim comes first */
    const char *first;     /* where another dies before, or NULL */
    const char *then_kill; /* SIGSTOP first, and SIGKILL only then */
} how;

static uint32_t victims_seen(void)
{
    return seen_of(VICTIM);
}

static uint32_t queue_size(void)
{
    return (uint32_t)mp_queue_size(q);
}

/* A death before the victim comes: with a lock, so that the victim or the getter has to repair. */
static void first_death(const how *h)
{
    if (h->first == NULL)
        return;
    assert_int_equal(put_upto(PARENT, 7), 0);
    int end = kill_at(h->first, 1, SIGKILL, put_messages, &(order){FIRST, COUNT});
    assert_int_equal(end, STEP_REACHED);
    deaths++;
}

/* While it stands at the step: others leave by their deadlines. */
static void act_while_stopped(void)
{
    static unsigned char bytes[LARGEST];
    uint32_t next[PRODUCERS] = {0};
    double start = seconds();
    ssize_t length = mp_queue_get(q, bytes, sizeof bytes, 0.01);
    assert_true(length > 0 || length == MP_EEMPTY || length == MP_EAGAIN);
    if (length > 0)
        assert_int_equal(note(bytes, (size_t)length, next), 0);
    uint32_t number = mp__load_seq(&t->done[OTHER]);
    uint32_t size = compose(bytes, OTHER, number);
    int rc = mp_queue_put(q, bytes, size, 0.01);
    assert_true(rc == 0 || rc == MP_EFULL || rc == MP_EAGAIN);
    if (rc == 0)
        mp__store_seq(&t->done[OTHER], number + 1);
    assert_true(seconds() - start < LONG / 2);
}

/* How the victim ended: STEP_... */
static int end_of_victim(pid_t victim, const char *step, const how *h)
{
    if (h->then_kill == NULL)
        return step_end(victim, step, SIGKILL);
    int end = step_await_stop(victim, step);
    if (end != STEP_REACHED)
        return end;
    act_while_stopped();
    if (strcmp(h->then_kill, "kill") == 0)
        assert_int_equal(child_kill(victim), -SIGKILL);
    else
        assert_int_equal(step_go_on(victim), 0);
    return end;
}

static void check_victims_messages(const char *step, const how *h, bool died, pid_t getter)
{
    uint32_t done = mp__load_seq(&t->done[VICTIM]), begun = mp__load_seq(&t->begun[VICTIM]);
    bool exact = !form.many && strncmp(step, "mutex.", 6) != 0; /* before it or after */
    assert_becomes(queue_size, 0); /* by the getter alone: it was woken, and has no timer */
    if (!died)
        assert_becomes(victims_seen, COUNT);
    else if (exact && h->then_kill == NULL)
        assert_becomes(victims_seen, done + is_one_of(step, after));
    assert_in_range(seen_of(VICTIM), 0, begun);
    pid_t other = start_putter(OTHER, 20);
    assert_int_equal(child_end(other), 0);
    assert_becomes(queue_size, 0);
    finish(getter);
    assert_int_equal(seen_of(OTHER), 20);
    assert_in_range(seen_of(VICTIM), done, begun);
    for (uint32_t i = 0; i < seen_of(VICTIM); i++)
        assert_int_equal(mp__load_seq(&t->seen[VICTIM][i]), 1);
}

static int trial(const char *step, int nth, void *arg)
{
    const how *h = arg;
    snprintf(context, sizeof context, "step %s, time %d; shape %d, %s first, after %s, %s", step,
             nth, (int)(h->shape - shapes), h->getter_first ? "getter" : "putter",
             h->first != NULL ? h->first : "nothing", h->then_kill != NULL ? "stopped" : "killed");
    begin(h->shape);
    first_death(h);
    pid_t getter = 0;
    if (h->getter_first) {
        getter = start_getter(UINT32_MAX);
        until_asleep(getter);
    }
    int signal = h->then_kill != NULL ? SIGSTOP : SIGKILL;
    pid_t victim = step_start(step, nth, signal, put_messages, &(order){VICTIM, COUNT});
    if (!h->getter_first) {
        until_asleep(victim); /* it has put all, died, stopped, or waits for room */
        getter = start_getter(UINT32_MAX);
    }
    int end = end_of_victim(victim, step, h);
    assert_int_not_equal(end, STEP_FAILED);
    bool died = end == STEP_REACHED && (h->then_kill == NULL || strcmp(h->then_kill, "kill") == 0);
    deaths += died;
    if (died)
        scribble();
    check_victims_messages(step, h, died, getter);
    return end;
}

/* Both orders, through all shapes. */
static void through(const char *prefix, int most, how h, int at_least)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int first = 0; first < 2; first++) {
            h.shape = &shapes[i];
            h.getter_first = first;
            assert_true(each_step(prefix, most, trial, &h) >= at_least);
        }
}

static void test_putter_dies(void **state)
{
    (void)state;
    through("queue.put.", COUNT, (how){0}, 3);
    through("ring.", COUNT, (how){0}, 1);
    through("sleepers.", COUNT, (how){0}, 0);
}

static void test_putter_dies_in_its_locks(void **state)
{
    (void)state;
    through("mutex.", 3, (how){0}, 4);
}

static void test_putter_stops(void **state)
{
    (void)state;
    through("queue.put.", 3, (how){.then_kill = "no"}, 3);
    through("queue.put.", 3, (how){.then_kill = "kill"}, 3);
    through("ring.", 2, (how){.then_kill = "no"}, 1);
    through("ring.", 2, (how){.then_kill = "kill"}, 1);
    through("mutex.", 1, (how){.then_kill = "no"}, 1);
    through("mutex.", 1, (how){.then_kill = "kill"}, 1);
    through("sleepers.", 2, (how){.then_kill = "no"}, 0);
    through("sleepers.", 2, (how){.then_kill = "kill"}, 0);
}

/* The victim comes after another's death, and dies repairing what that has left. */
static void test_repairer_dies(void **state)
{
    (void)state;
    static const how ways[] = {
        {&shapes[0], true, "ring.append.linked", NULL},
        {&shapes[0], false, "ring.append.linked", NULL},
        {&shapes[0], false, "ring.append.ended", NULL},
        {&shapes[3], true, "ring.add.copied", NULL},
        {&shapes[3], true, "ring.publish.counted", NULL},
        {&shapes[3], false, "ring.publish.announced", NULL},
        {&shapes[3], true, "ring.publish.published", NULL},
        {&shapes[3], false, "ring.publish.published", NULL},
        {&shapes[3], false, "ring.publish.summed", NULL},
        {&shapes[3], false, "queue.put.published", NULL},
        {&shapes[5], true, "ring.publish.published", NULL},
        {&shapes[5], false, "ring.publish.published", NULL},
    };
    int repairs = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        how h = ways[i];
        repairs += each_step("ring.repair.", 3, trial, &h);
        each_step("ring.append.", 3, trial, &h);
        each_step("queue.put.", 3, trial, &h);
    }
    assert_true(repairs >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRAFFIC_TEST(test_putter_dies),
        TRAFFIC_TEST(test_putter_dies_in_its_locks),
        TRAFFIC_TEST(test_putter_stops),
        TRAFFIC_TEST(test_repairer_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
