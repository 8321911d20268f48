/* SPDX-License-Identifier: MIT */
/* Queues for a single answer: who gets it frees the queue at once, while who has put it may still
 * be in its call. What lies in the same memory then is nobody else's. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "support/reuse.h"
#include "support/shared.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROUNDS = 3000 };

typedef struct scene {
    word begun, put; /* rounds */
    _Atomic(mp_queue *) queue;
    bool asleep; /* the getter comes first, and sleeps */
    bool ends;   /* what comes is the end */
} scene;

static scene *s;
static pid_t child;

static int setup(void **state)
{
    (void)state;
    s = common(sizeof *s);
    return s == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap(s, sizeof *s);
    return mp_shared_check(NULL);
}

static int answer(void *arg)
{
    (void)arg;
    for (uint32_t i = 1; i <= (uint32_t)fewer(ROUNDS); i++) {
        CHECK(await(&s->begun, i));
        mp_queue *q = mp__load_acquire(&s->queue);
        if (s->asleep)
            while (!mp__sleepers_any(&q->not_empty))
                sched_yield();
        CHECK((s->ends ? mp_queue_close(q) : MP_PUT(q, i, LONG)) == 0);
        signal_word(&s->put);
    }
    return 0;
}

/* The child has left its call, or the child is no more: that is no matter of time. */
static void until_put(uint32_t round)
{
    while (mp__load_acquire(&s->put) < round) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            fail_msg("the child has died in round %d", (int)round);
        sched_yield();
    }
}

/* Returns how often the same memory was had again. */
static uint32_t ask(uint32_t rounds)
{
    uint32_t again = 0;
    for (uint32_t i = 1; i <= rounds; i++) {
        mp_queue *q;
        uint32_t value = i;
        assert_int_equal(mp_queue_new(&q), 0);
        mp__store_release(&s->queue, q); /* pairs with answer() */
        signal_word(&s->begun);
        assert_int_equal(MP_GET(q, &value, LONG), s->ends ? MP_ECLOSED : 0);
        assert_int_equal(value, i);
        mp_queue_free(q);
        unsigned char *p = reuse_begin();
        again += (void *)p == (void *)q;
        until_put(i);
        reuse_end(p);
    }
    return again;
}

/* On one processor the getter that is woken runs before the putter has returned from that. */
static void on_one_processor(bool one)
{
    static cpu_set_t all;
    if (one) {
        assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
        cpu_set_t first;
        CPU_ZERO(&first);
        for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&first) == 0; i++)
            if (CPU_ISSET(i, &all))
                CPU_SET(i, &first);
        assert_int_equal(sched_setaffinity(0, sizeof first, &first), 0);
    } else {
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    }
}

static void one_shots(bool asleep, bool ends)
{
    for (int one = 0; one < 2; one++) {
        memset(s, 0, sizeof *s);
        s->asleep = asleep;
        s->ends = ends;
        if (one)
            on_one_processor(true);
        child = child_start(answer, NULL);
        uint32_t rounds = (uint32_t)fewer(ROUNDS);
        uint32_t again = ask(rounds);
        int end = child_end(child);
        if (one)
            on_one_processor(false);
        assert_int_equal(end, 0);
        assert_true(again > rounds / 2);
    }
}

static void test_one_answer(void **state)
{
    (void)state;
    one_shots(false, false);
    one_shots(true, false);
}

static void test_the_end(void **state)
{
    (void)state;
    one_shots(false, true);
    one_shots(true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
