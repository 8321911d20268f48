/* SPDX-License-Identifier: MIT */
/* A queue is freed by who has got its only message, or the end, while who has put it, or closed it,
 * stands at a step of that call, or has died there. */
#include "support/reuse.h"
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/error.h>
#include <sys/syscall.h>

/* Free does not wait longer for one that is stopped; a trial that took so long says nothing. */
#define IN_TIME (0.8 * (double)MP__QUEUE_FREE_NS / 1e9)

enum deed { PUTS, PUTS_MANY, CLOSES };

typedef struct how {
    enum deed deed;
    bool asleep; /* somebody was, and is dead: a wake is owed */
} how;

static mp_queue *q;
static struct board {
    word freed;
} * board;
static word tid; /* of the thread that frees */
static int waited;

static int setup(void **state)
{
    (void)state;
    board = common(sizeof *board);
    return board == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap(board, sizeof *board);
    return mp_shared_check(NULL);
}

static int get_nothing(void *arg)
{
    (void)arg;
    char byte;
    return (int)mp_queue_get(q, &byte, 1, LONG);
}

static int act(void *arg)
{
    const how *h = arg;
    if (h->deed == CLOSES)
        CHECK(mp_queue_close(q) == 0);
    else if (h->deed == PUTS)
        CHECK(mp_queue_put(q, "a", 1, LONG) == 0);
    else
        CHECK(mp_queue_put_many(q, &(mp_bytes){(void *)(uintptr_t) "a", 1, 0}, 1, LONG) == 1);
    return 0;
}

static int free_it(void *arg)
{
    (void)arg;
    mp__store_seq(&tid, (uint32_t)syscall(SYS_gettid));
    mp_queue_free(q);
    signal_word(&board->freed);
    return 0;
}

static void begin(const how *h)
{
    memset(board, 0, sizeof *board);
    mp__store_seq(&tid, 0);
    assert_int_equal(mp_queue_new(&q), 0);
    if (h->asleep) {
        pid_t sleeper = child_start(get_nothing, NULL);
        until_asleep(sleeper);
        assert_int_equal(child_kill(sleeper), -SIGKILL);
    }
}

/* Whether its only message has come out, or its end. */
static bool is_over(const how *h)
{
    char byte;
    ssize_t rc = mp_queue_get(q, &byte, 1, 0);
    if (rc == (h->deed == CLOSES ? MP_ECLOSED : 1))
        return true;
    assert_int_equal(rc, MP_EEMPTY);
    return false;
}

/* The queue goes while the other stands at its step; that finds nothing of it when it goes on. */
static void free_beside(pid_t other)
{
    task thread;
    double start = seconds();
    assert_int_equal(task_start(&thread, free_it, NULL), 0);
    assert_true(await(&tid, 1));
    until_asleep((pid_t)mp__load_seq(&tid));
    bool freed = mp__load_seq(&board->freed) != 0;
    unsigned char *p = freed ? reuse_begin() : NULL;
    bool late = seconds() - start > IN_TIME;
    if (!late)
        kill(other, SIGCONT);
    else
        assert_int_equal(child_kill(other), -SIGKILL);
    assert_int_equal(task_end(&thread), 0);
    if (p == NULL)
        p = reuse_begin();
    if (!late) {
        assert_int_equal(child_end(other), 0);
        waited += !freed;
    }
    reuse_end(p);
}

static int stands(const char *step, int nth, void *arg)
{
    how *h = arg;
    begin(h);
    pid_t other;
    int end = stop_at(step, nth, act, h, &other);
    assert_int_not_equal(end, STEP_FAILED);
    if (end == STEP_REACHED && is_over(h)) {
        free_beside(other);
        return end;
    }
    if (end == STEP_REACHED)
        assert_int_equal(step_go_on(other), 0);
    mp_queue_free(q);
    return end;
}

static const char *const places[] = {"queue.", "mutex.", "ring.", "sleepers."};

static void test_free_beside_a_putter(void **state)
{
    (void)state;
    for (enum deed d = PUTS; d <= CLOSES; d++)
        for (int asleep = 0; asleep < 2; asleep++) {
            waited = 0;
            for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
                each_step(places[i], 1, stands, &(how){d, asleep});
            assert_true(waited >= 2);
        }
}

static double longest;

static int dies(const char *step, int nth, void *arg)
{
    how *h = arg;
    double shortest = LONG;
    int end = STEP_PASSED;
    for (int i = 0; i < 3 && shortest > IN_TIME; i++) {
        begin(h);
        end = kill_at(step, nth, SIGKILL, act, h);
        assert_int_not_equal(end, STEP_FAILED);
        double start = seconds();
        mp_queue_free(q);
        double took = seconds() - start;
        shortest = took < shortest ? took : shortest;
    }
    longest = shortest > longest ? shortest : longest;
    return end;
}

/* A dead one is not waited for. */
static void test_free_behind_a_dead_putter(void **state)
{
    (void)state;
    longest = 0;
    for (enum deed d = PUTS; d <= CLOSES; d++)
        for (int asleep = 0; asleep < 2; asleep++)
            for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
                each_step(places[i], 1, dies, &(how){d, asleep});
    assert_true(longest < IN_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_free_beside_a_putter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_behind_a_dead_putter, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
