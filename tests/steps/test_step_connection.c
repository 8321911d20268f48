/* SPDX-License-Identifier: MIT */
/* A sender or a receiver of a connection dies or stops at its steps: a message is whole or absent,
 * it stays or went with the receiver, and what others share goes on. */
#include "support/shared.h"
#include "support/steps.h"

#include <mproc/connection.h>
#include <mproc/error.h>
#include <mproc/pipe.h>
#include <mproc/shared.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { COUNT = 6, LARGEST = 200000, STEPS = 5 /* of receiving a packet */ };

static mp_connection *in, *out;
static word *w; /* 0: sent, or received, by the victim; 1: begun */
static unsigned char *bytes, *expected;
static size_t length; /* 0: descriptors are sent */
static int descriptors;
static bool opened; /* a receiver is known from the start: small messages lie in the ring */

/* Message `number`, of this length. */
static size_t compose(unsigned char *to, uint32_t number)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (unsigned char)(number * 7 + i * 3 + i / 256);
    to[0] = (unsigned char)number;
    return length;
}

/* The number of the next message, which is whole; negative: a code. */
static int receive(double timeout)
{
    if (length == 0) {
        int fd = mp_connection_recv_fd(in, timeout);
        if (fd < 0)
            return fd;
        off_t number = lseek(fd, 0, SEEK_CUR);
        close(fd);
        return (int)number;
    }
    ssize_t rc = mp_connection_recv(in, bytes, LARGEST, timeout);
    if (rc < 0)
        return (int)rc;
    uint32_t number = bytes[0];
    if ((size_t)rc != compose(expected, number) || memcmp(bytes, expected, (size_t)rc) != 0)
        abort();
    return (int)number;
}

static int send_number(uint32_t number)
{
    if (length != 0)
        return mp_connection_send(out, bytes, compose(bytes, number), LONG);
    FILE *file = tmpfile(); /* its position is the message */
    if (file == NULL || lseek(fileno(file), number, SEEK_SET) != number)
        return MP_ESTATE;
    int rc = mp_connection_send_fd(out, fileno(file), LONG);
    fclose(file);
    return rc;
}

static int send_all(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < COUNT; i++) {
        mp__store_seq(&w[1], i + 1);
        CHECK(send_number(i) == 0);
        mp__store_seq(&w[0], i + 1);
    }
    return 0;
}

static int receive_three(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK(receive(LONG) == i);
        mp__store_seq(&w[0], (uint32_t)i + 1);
    }
    return 0;
}

static void begin(size_t size)
{
    descriptors = open_descriptors();
    memset((void *)w, 0, 4096);
    length = size;
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    if (opened)
        assert_int_equal(receive(0), MP_ETIMEDOUT);
}

/* Whether a victim was at this very step. */
static bool died_at(int end, const char *step, const char *name)
{
    return end == STEP_REACHED && strcmp(step, name) == 0;
}

static void finish(void)
{
    mp_connection_free(in);
    mp_connection_free(out);
    in = out = NULL;
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(mp_shared_check(NULL), 0);
}

/* The victim sends; if the ring is open we receive while it does, and in any case after its end;
 * then another sends. */
static int sender_dies(const char *step, int nth, void *arg)
{
    begin(*(size_t *)arg);
    pid_t victim = step_start(step, nth, SIGKILL, send_all, NULL);
    int number, last = -1, end = 100;
    if (!opened) /* who receives beside it opens the ring */
        end = step_end(victim, step, SIGKILL);
    for (double limit = seconds() + LONG; seconds() < limit;) {
        number = receive(0.01);
        if (number == MP_ETIMEDOUT && end != 100)
            break; /* it has ended, and nothing was left */
        if (number == MP_ETIMEDOUT) {
            siginfo_t info = {0};
            waitid(P_PID, (id_t)victim, &info, WEXITED | WNOHANG | WNOWAIT);
            if (info.si_pid != 0)
                end = step_end(victim, step, SIGKILL);
            continue;
        }
        assert_int_equal(number, last + 1);
        last = number;
    }
    assert_int_not_equal(end, STEP_FAILED);
    /* A message is there if its one system call was made, or its place in the ring published. A
     * packet whose note is missing is dropped. */
    bool sent =
        died_at(end, step, "lane.put.published") || died_at(end, step, "lane.note.published");
    bool maybe = died_at(end, step, "packet.send.sent") && !opened;
    /* The bell comes before the message or, for one who waits in a receive, after it. */
    maybe = maybe || died_at(end, step, "lane.bell.sent") || died_at(end, step, "lane.bell.rung") ||
            died_at(end, step, "packet.send.unlocked");
    uint32_t told = mp__load_seq(&w[0]) + sent;
    assert_in_range(last + 1, told, told + maybe);
    assert_int_equal(send_number(9), 0);
    assert_int_equal(receive(LONG), 9);
    pid_t fresh = child_start(send_all, NULL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(receive(LONG), i);
    assert_int_equal(child_end(fresh), 0);
    finish();
    return end;
}

static void test_sender_dies(void **state)
{
    (void)state;
    size_t sizes[] = {100, 0, 130000};
    for (int i = 0; i < 2; i++)
        assert_int_equal(each_step("packet.send.sent", 10, sender_dies, &sizes[i]), 1);
    opened = true;
    assert_int_equal(each_step("packet.send.sent", 10, sender_dies, &sizes[1]), 1);
    assert_int_equal(each_step("lane.bell.", 10, sender_dies, &sizes[0]), 2);
    assert_int_equal(each_step("lane.put.", 10, sender_dies, &sizes[0]), 1);
    assert_true(each_step("ring.add_one.copied", 10, sender_dies, &sizes[0]) == 1);
    for (int i = 1; i < 3; i++)
        assert_int_equal(each_step("lane.note.", 10, sender_dies, &sizes[i]), 3);
}

/* The end is shared: the victim receives, or dies, and we go on where it has left. */
static int receiver_ends(const char *step, int nth, size_t size, bool stops)
{
    begin(size);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(send_number(i), 0);
    pid_t victim = step_start(step, nth, stops ? SIGSTOP : SIGKILL, receive_three, NULL);
    int end = stops ? step_await_stop(victim, step) : step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    if (end == STEP_REACHED && stops) {
        double start = seconds(); /* with the lock, maybe: our wait ends, we go on afterwards */
        int rc = mp_connection_poll(in, 0);
        assert_in_range(rc, 0, 1);
        assert_int_equal(send_number(COUNT), 0);
        assert_true(seconds() - start < LONG / 2);
        assert_int_equal(step_go_on(victim), 0);
    }
    bool taken =
        strcmp(step, "packet.receive.taken") == 0 || strcmp(step, "packet.receive.unlocked") == 0 ||
        strcmp(step, "packet.receive.small_taken") == 0 ||
        (opened && strcmp(step, "packet.receive.note_taken") == 0); /* the packet is dropped */
    bool with_it = end == STEP_REACHED && !stops && taken;
    uint32_t next = mp__load_seq(&w[0]) + with_it;
    int number = receive(LONG);
    if (strncmp(step, "mutex.", 6) == 0 && end == STEP_REACHED) /* before or after it was taken */
        assert_in_range(number, next, next + 1);
    else
        assert_int_equal(number, next);
    for (int i = number + 1; i < COUNT; i++)
        assert_int_equal(receive(LONG), i);
    if (end == STEP_REACHED && stops)
        assert_int_equal(receive(LONG), COUNT);
    assert_int_equal(receive(0), MP_ETIMEDOUT);
    assert_int_equal(send_number(9), 0);
    assert_int_equal(receive(LONG), 9);
    finish();
    return end;
}

static int receiver_dies(const char *step, int nth, void *arg)
{
    return receiver_ends(step, nth, *(size_t *)arg, false);
}

static int receiver_stops(const char *step, int nth, void *arg)
{
    return receiver_ends(step, nth, *(size_t *)arg, true);
}

static void test_receiver_dies(void **state)
{
    (void)state;
    size_t sizes[] = {100, 0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(each_step("packet.receive.", 10, receiver_dies, &sizes[i]), STEPS);
        assert_int_equal(each_step("packet.receive.", 2, receiver_stops, &sizes[i]), STEPS);
        assert_int_equal(each_step("lane.open.", 2, receiver_dies, &sizes[i]), 3);
        assert_true(each_step("mutex.", 3, receiver_dies, &sizes[i]) > 3);
    }
    opened = true;
    for (int i = 0; i < 2; i++) {
        int steps = i == 0 ? 2 : STEPS;
        assert_int_equal(each_step("packet.receive.", 10, receiver_dies, &sizes[i]), steps);
        assert_int_equal(each_step("packet.receive.", 2, receiver_stops, &sizes[i]), steps);
    }
}

/* A receiver that finds nothing takes the token away, and dies amidst that: what is sent then is
 * told of. */
static int receive_one_and_none(void *arg)
{
    (void)arg;
    CHECK(receive(LONG) == 0);
    CHECK(receive(0) == MP_ETIMEDOUT);
    return 0;
}

static int rearming_dies(const char *step, int nth, void *arg)
{
    begin(*(size_t *)arg);
    assert_int_equal(send_number(0), 0);
    pid_t victim = step_start(step, nth, SIGKILL, receive_one_and_none, NULL);
    int end = step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_int_equal(send_number(1), 0);
    struct pollfd told = {.fd = mp_connection_fileno(in), .events = POLLIN};
    assert_int_equal(poll(&told, 1, 0), 1);
    assert_int_equal(receive(LONG), 1);
    assert_int_equal(receive(0), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_poll(in, 0), 0);
    assert_int_equal(poll(&told, 1, 0), 0);
    finish();
    return end;
}

static void test_rearming_dies(void **state)
{
    (void)state;
    size_t size = 100;
    opened = true;
    assert_int_equal(each_step("lane.rearm.", 3, rearming_dies, &size), 1);
    assert_int_equal(each_step("packet.receive.rearmed", 3, rearming_dies, &size), 1);
    assert_int_equal(each_step("packet.receive.dropped", 3, rearming_dies, &size), 1);
}

/* A message that is larger than a packet carries a file. The one who sent it need not live. */
static void test_large_messages(void **state)
{
    (void)state;
    size_t size = 130000;
    opened = true;
    assert_int_equal(each_step("packet.send.", 10, sender_dies, &size), 3);
}

/* One receives a large message and dies; the next message is whole. */
static int large_receiver_dies(const char *step, int nth, void *arg)
{
    begin(*(size_t *)arg);
    pid_t sender = child_start(send_all, NULL);
    word *received = &w[2];
    pid_t victim = step_start(step, nth, SIGKILL, receive_three, NULL);
    int end = step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    int last = -1, number;
    while ((number = receive(0.2)) >= 0) {
        assert_true(number > last);
        last = number;
        mp__add_seq(received, 1);
    }
    assert_int_equal(number, MP_ETIMEDOUT);
    assert_int_equal(child_end(sender), 0);
    assert_int_equal(last, COUNT - 1);
    finish();
    return end;
}

static void test_receiver_of_large_dies(void **state)
{
    (void)state;
    size_t size = 130000;
    assert_int_equal(each_step("packet.receive.", 5, large_receiver_dies, &size), STEPS);
}

/* A plain frame that is cut off by its sender's death is told as such, and never as a message. */
static int send_frame(void *arg)
{
    int fd = *(int *)arg;
    mp_connection *c;
    CHECK(mp_connection_new(&c, fd, .writable = MP_YES, .readable = MP_NO) == 0);
    out = c;
    CHECK(send_number(1) == 0);
    return 0;
}

static int torn; /* how many were cut off */

static int frame_sender_dies(const char *step, int nth, void *arg)
{
    int ends[2];
    (void)arg;
    length = LARGEST;
    assert_int_equal(pipe(ends), 0);
    pid_t victim = step_start(step, nth, SIGKILL, send_frame, &ends[1]);
    close(ends[1]);
    assert_int_equal(mp_connection_new(&in, ends[0], .readable = MP_YES, .writable = MP_NO), 0);
    int first = receive(LONG);
    int end = step_end(victim, step, SIGKILL);
    assert_int_not_equal(end, STEP_FAILED);
    assert_true(first == 1 || (first == MP_EPIPE && end == STEP_REACHED));
    assert_int_equal(receive(LONG), first == 1 ? MP_EEOF : MP_EPIPE);
    torn += first == MP_EPIPE;
    mp_connection_free(in);
    in = NULL;
    return end;
}

static void test_frame_sender_dies(void **state)
{
    (void)state;
    torn = 0;
    assert_int_equal(each_step("frame.", 50, frame_sender_dies, NULL), 1);
    assert_true(torn > 0);
}

static int setup(void **state)
{
    (void)state;
    opened = false;
    w = common(4096);
    bytes = malloc(LARGEST);
    expected = malloc(LARGEST);
    return w == NULL || bytes == NULL || expected == NULL ? -1 : mp_init();
}

static int teardown(void **state)
{
    (void)state;
    munmap((void *)w, 4096);
    free(bytes);
    free(expected);
    return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sender_dies),    TEST(test_receiver_dies),          TEST(test_rearming_dies),
        TEST(test_large_messages), TEST(test_receiver_of_large_dies), TEST(test_frame_sender_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
