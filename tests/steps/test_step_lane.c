/* SPDX-License-Identifier: MIT */
/* The lane of a pipe, through which small messages go: deaths in what is rare. A sender waits for
 * room, a receiver finds a sender at work, an end is sent to another process. */
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/connection.h>
#include <mproc/error.h>
#include <mproc/pipe.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LENGTH = 3000, MANY = 60 /* more than a lane takes */, FEW = 3 };

static mp_connection *in, *out;
static word *sent; /* sends that have begun */

static int send_number(uint32_t number)
{
    unsigned char bytes[LENGTH];
    memset(bytes, (int)number, sizeof bytes);
    return mp_connection_send(out, bytes, sizeof bytes, LONG);
}

/* The number of the next message, which is whole; negative: a code. */
static int receive(double timeout)
{
    unsigned char bytes[LENGTH];
    ssize_t rc = mp_connection_recv(in, bytes, sizeof bytes, timeout);
    if (rc < 0)
        return (int)rc;
    for (size_t i = 0; i < sizeof bytes; i++)
        if (rc != LENGTH || bytes[i] != bytes[0])
            abort();
    return bytes[0];
}

static int send_numbers(void *arg)
{
    for (uint32_t i = 0; i < *(uint32_t *)arg; i++) {
        mp__store_seq(sent, i + 1);
        CHECK(send_number(i) == 0);
    }
    return 0;
}

static int receive_one(void *arg)
{
    (void)arg;
    CHECK(receive(LONG) == 0);
    return 0;
}

static void begin(void)
{
    mp__store_seq(sent, 0);
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    assert_int_equal(receive(0), MP_ETIMEDOUT); /* the lane is open */
}

static void finish(void)
{
    uint32_t few = FEW;
    assert_int_equal(child_end(child_start(send_numbers, &few)), 0);
    for (int i = 0; i < FEW; i++)
        assert_int_equal(receive(LONG), i);
    assert_int_equal(receive(0), MP_ETIMEDOUT);
    mp_connection_free(in);
    mp_connection_free(out);
    assert_int_equal(mp_shared_check(NULL), 0);
}

/* A sender dies waiting for room: all that it has sent is there. */
static int waiting_sender_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    begin();
    uint32_t many = MANY;
    int end = kill_at(step, nth, SIGKILL, send_numbers, &many);
    assert_int_equal(end, STEP_REACHED);
    uint32_t all = mp__load_seq(sent) - 1;
    assert_in_range(all, 1, MANY - 1);
    for (uint32_t i = 0; i < all; i++)
        assert_int_equal(receive(LONG), i);
    assert_int_equal(receive(0), MP_ETIMEDOUT);
    finish();
    return nth < 2 ? STEP_REACHED : STEP_PASSED;
}

static void test_waiting_sender_dies(void **state)
{
    (void)state;
    assert_int_equal(each_step("lane.room.", 1, waiting_sender_dies, NULL), 1);
}

/* A receiver finds a token whose sender stands still with the lock, and dies; that goes on. */
static int receiver_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    begin();
    uint32_t few = FEW;
    pid_t sender;
    assert_int_equal(stop_at("lane.bell.sent", 1, send_numbers, &few, &sender), STEP_REACHED);
    int end = kill_at(step, nth, SIGKILL, receive_one, NULL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(step_go_on(sender), 0);
    for (int i = 0; i < FEW; i++)
        assert_int_equal(receive(LONG), i);
    finish();
    return end;
}

static void test_receiver_dies(void **state)
{
    (void)state;
    assert_int_equal(each_step("lane.rearm.", 1, receiver_dies, NULL), 2);
}

/* One is about to send the receiving end to another process, and dies: what is sent arrives. */
static int send_end(void *arg)
{
    mp_connection *const *other = arg;
    CHECK(mp_connection_send_fd(*other, mp_connection_fileno(in), LONG) == 0);
    return 0;
}

static int giver_dies(const char *step, int nth, void *arg)
{
    (void)arg;
    mp_connection *from, *to;
    begin();
    assert_int_equal(mp_pipe(&from, &to, false), 0);
    assert_int_equal(send_number(0), 0);
    int end = kill_at(step, nth, SIGKILL, send_end, &to);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(receive(LONG), 0);
    finish();
    mp_connection_free(from);
    mp_connection_free(to);
    return end;
}

static void test_giver_dies(void **state)
{
    (void)state;
    assert_int_equal(each_step("lane.retire.", 1, giver_dies, NULL), 1);
    assert_true(each_step("mutex.", 1, giver_dies, NULL) > 3);
}

static int setup(void **state)
{
    (void)state;
    sent = common(sizeof *sent);
    return sent == NULL ? -1 : mp_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_sender_dies),
        cmocka_unit_test(test_receiver_dies),
        cmocka_unit_test(test_giver_dies),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
