/* SPDX-License-Identifier: MIT */
/* The pains of Python's connections (G1-G4), which this library has not, and what else many
 * processes at one pipe expect. */
#include "pains/pain.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static mp_connection *in, *out; /* what is sent on `out` comes from `in` */
static int descriptors;
static size_t used;

static int setup(void **state)
{
    descriptors = open_descriptors();
    used = bytes_before();
    return desk_setup(state);
}

static void hang_up(void)
{
    mp_connection_free(in);
    mp_connection_free(out);
    in = out = NULL;
}

/* Nothing is left of any message. */
static int teardown(void **state)
{
    (void)state;
    hang_up();
    if (open_descriptors() != descriptors || bytes_in_use() != used)
        return -1;
    return mp_shared_check(NULL);
}

/* Who sent it, the how manieth it is, and bytes that follow from both. */
typedef struct letter {
    uint32_t sender, number;
    uint64_t length;
    unsigned char rest[];
} letter;

static unsigned char mark(const letter *l)
{
    return (unsigned char)(l->sender * 59 + l->number * 7 + 1);
}

static void write_letter(letter *l, uint32_t sender, uint32_t number, size_t length)
{
    l->sender = sender;
    l->number = number;
    l->length = length;
    memset(l->rest, mark(l), length - sizeof *l);
}

static bool is_whole(const letter *l, ssize_t length)
{
    if (length < (ssize_t)sizeof *l || l->length != (size_t)length)
        return false;
    size_t n = (size_t)length - sizeof *l;
    return n == 0 || (l->rest[0] == mark(l) && memcmp(l->rest, l->rest + 1, n - 1) == 0);
}

static void passes(const char *text)
{
    char got[64];
    assert_int_equal(mp_connection_send(out, text, strlen(text), LONG), 0);
    assert_int_equal(mp_connection_recv(in, got, sizeof got, LONG), (ssize_t)strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

/* Half a message can only be there in Python's frames, which a connection made of a descriptor
 * reads. */
static void g1_a_deadline_covers_the_whole_message(void **state)
{
    (void)state;
    int ends[2];
    char got[100];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(mp_connection_new(&in, ends[0]), 0);
    assert_int_equal(write(ends[1], "\0\0\0\x08half", 8), 8);
    assert_int_equal(mp_connection_poll(in, 0), 1);
    assert_int_equal(mp_connection_recv(in, got, sizeof got, 0), MP_ETIMEDOUT);
    double start = seconds();
    assert_int_equal(mp_connection_recv(in, got, sizeof got, 0.1), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.1 && seconds() - start < LONG / 2);
    assert_int_equal(write(ends[1], "more", 4), 4);
    assert_int_equal(mp_connection_recv(in, got, sizeof got, LONG), 8);
    assert_memory_equal(got, "halfmore", 8);
    close(ends[1]);
    ours("G1", "half a message is there: recv: MP_ETIMEDOUT by its deadline, and the whole message "
               "when the rest has come; on a pipe no half message can be seen");
}

static int send_large(void *arg)
{
    size_t length = *(size_t *)arg;
    letter *l = malloc(length);
    CHECK(l != NULL);
    write_letter(l, 1, 1, length);
    signal_word(&notes->ready);
    CHECK(mp_connection_send(out, l, length, MP_FOREVER) == 0);
    free(l);
    return 0;
}

/* What poll says is true: with 1 the message is there as a whole, at a try; with 0 none is. */
static bool look_truly(letter *l, size_t length)
{
    bool ready = mp_connection_poll(in, 0);
    ssize_t got = mp_connection_recv(in, l, length, 0);
    if (!ready)
        assert_true(got == MP_ETIMEDOUT || got == (ssize_t)length); /* it may have come since */
    else
        assert_int_equal(got, (ssize_t)length);
    if (got == MP_ETIMEDOUT)
        return false;
    assert_true(is_whole(l, got));
    return true;
}

/* Looked at all the time, or when the sender was stopped or killed somewhere in its message. */
static void a_half_sent_message_is_not_seen(void **state)
{
    (void)state;
    size_t length = 4 * MIB;
    letter *l = malloc(length);
    random_state random = random_start("half sent");
    assert_non_null(l);
    for (int round = 1; round <= fewer(30); round++) {
        int how = (int[]){0, SIGSTOP, SIGKILL}[round % 3];
        assert_int_equal(mp_pipe(&in, &out, false), 0);
        pid_t pid = child_start(send_large, &length);
        assert_true(await(&notes->ready, (uint32_t)round));
        bool came = false;
        if (how != 0) {
            siginfo_t info;
            nap(random_below(&random, 4000) * 1e-6);
            kill(pid, how);
            assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
            came = look_truly(l, length);
            kill(pid, SIGCONT);
        }
        while (how != SIGKILL && !came)
            came = look_truly(l, length);
        int end = child_end(pid);
        assert_true(end == 0 || end == -how);
        assert_true(came || end != 0);
        assert_int_equal(mp_connection_recv(in, l, length, 0), MP_ETIMEDOUT);
        passes("the next one");
        hang_up();
    }
    free(l);
}

#define SENDERS   4
#define RECEIVERS 3
#define EACH      60
#define LARGEST   (300 * KIB)

static word (*arrived)[EACH];

static int send_all(void *arg)
{
    static const size_t length[] = {sizeof(letter), 64, LARGEST, 64 * KIB, 5000, 64 * KIB + 1};
    uint32_t me = *(uint32_t *)arg;
    letter *l = malloc(LARGEST);
    CHECK(l != NULL);
    mp_connection_free(in);
    for (uint32_t i = 0; i < EACH; i++) {
        write_letter(l, me, i, length[(i + me) % 6]);
        CHECK(mp_connection_send(out, l, l->length, LONG) == 0);
    }
    free(l);
    return 0;
}

static int receive_all(void *arg)
{
    (void)arg;
    letter *l = malloc(LARGEST);
    ssize_t n;
    CHECK(l != NULL);
    mp_connection_free(out);
    while ((n = mp_connection_recv(in, l, LARGEST, LONG)) >= 0) {
        CHECK(is_whole(l, n) && l->sender < SENDERS && l->number < EACH);
        signal_word(&arrived[l->sender][l->number]);
    }
    free(l);
    return n == MP_EEOF ? 0 : 1;
}

/* Until the end of file, which comes when all senders are gone. */
static void g2_many_share_one_end(void **state)
{
    (void)state;
    uint32_t me[SENDERS] = {0, 1, 2, 3};
    pid_t pid[SENDERS + RECEIVERS];
    arrived = common(SENDERS * sizeof *arrived);
    assert_non_null(arrived);
    for (int duplex = 0; duplex < 2; duplex++) {
        memset(arrived, 0, SENDERS * sizeof *arrived);
        assert_int_equal(mp_pipe(&in, &out, duplex), 0);
        for (int i = 0; i < SENDERS; i++)
            pid[i] = child_start(send_all, &me[i]);
        for (int i = SENDERS; i < SENDERS + RECEIVERS; i++)
            pid[i] = child_start(receive_all, NULL);
        hang_up();
        for (int i = 0; i < SENDERS + RECEIVERS; i++)
            assert_int_equal(child_end(pid[i]), 0);
        for (int i = 0; i < SENDERS * EACH; i++)
            assert_int_equal(mp__load_acquire(&arrived[i / EACH][i % EACH]), 1);
    }
    munmap(arrived, SENDERS * sizeof *arrived);
    ours("G2",
         "%d processes send %d messages each on one end and %d receive on the other: all %d "
         "come whole, once",
         SENDERS, EACH, RECEIVERS, SENDERS * EACH);
}

/* What Python's recv() would call os.getppid for is bytes here. */
static void g3_a_message_is_bytes(void **state)
{
    (void)state;
    static const char pickled[] = "\x80\x04\x95\x18\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x07getppid"
                                  "\x94\x93\x94)R\x94.";
    char got[100];
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    assert_int_equal(mp_connection_send(out, pickled, sizeof pickled - 1, 0), 0);
    assert_int_equal(mp_connection_recv(in, got, sizeof got, 0), sizeof pickled - 1);
    assert_memory_equal(got, pickled, sizeof pickled - 1);
    ours("G3", "a message is bytes, which come as they were sent: recv runs nothing");
}

static void too_long_a_message_stays(void)
{
    char got[200] = "", sent[100];
    memset(sent, 'x', sizeof sent);
    assert_int_equal(mp_connection_send(out, sent, sizeof sent, 0), 0);
    assert_int_equal(mp_connection_send(out, "ok", 2, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mp_connection_recv(in, got, 10, LONG), MP_EMSGSIZE);
        assert_false(mp_connection_closed(in));
        assert_int_equal(mp_connection_next_size(in, LONG), sizeof sent);
    }
    assert_int_equal(mp_connection_recv(in, got, sizeof got, LONG), sizeof sent);
    assert_memory_equal(got, sent, sizeof sent);
    assert_int_equal(mp_connection_recv(in, got, sizeof got, LONG), 2);
    assert_memory_equal(got, "ok", 2);
    hang_up();
}

/* Both on a pipe and in Python's frames. */
static void g4_too_long_a_message_stays(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    too_long_a_message_stays();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(mp_connection_new(&in, ends[0]), 0);
    assert_int_equal(mp_connection_new(&out, ends[1]), 0);
    too_long_a_message_stays();
    ours("G4", "recv of 100 bytes into 10: MP_EMSGSIZE; the message stays, its size can be asked, "
               "and it and the next one are received");
}

#define READERS 4

static int receive_each(void *arg)
{
    (void)arg;
    char c;
    signal_word(&notes->ready);
    while (mp_connection_recv(in, &c, 1, MP_FOREVER) == 1)
        signal_word(&notes->done);
    return 1;
}

static pid_t reader(void)
{
    uint32_t ready = mp__load_acquire(&notes->ready);
    pid_t pid = child_start(receive_each, NULL);
    assert_true(await(&notes->ready, ready + 1));
    until_asleep(pid);
    return pid;
}

/* One of four, again and again: first when all wait, then when the message is there already. */
static void a_dead_receiver_locks_nobody_out(void **state)
{
    (void)state;
    random_state random = random_start("dead receiver");
    int rounds = fewer(100);
    pid_t pid[READERS];
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    for (int i = 0; i < READERS; i++)
        pid[i] = reader();
    for (int round = 0; round < 2 * rounds; round++) {
        uint32_t victim = random_below(&random, READERS);
        uint32_t done = mp__load_acquire(&notes->done);
        if (round >= rounds)
            assert_int_equal(mp_connection_send(out, "x", 1, 0), 0);
        assert_int_equal(child_kill(pid[victim]), -SIGKILL);
        double start = seconds();
        if (round < rounds) {
            assert_int_equal(mp_connection_send(out, "x", 1, 0), 0);
            assert_true(await(&notes->done, done + 1));
        }
        while (mp_connection_poll(in, 0) != 0) /* somebody living has it, or the dead had */
            nap(0.0001);
        assert_true(seconds() - start < LONG / 2);
        pid[victim] = reader();
    }
    for (int i = 0; i < READERS; i++)
        assert_int_equal(child_kill(pid[i]), -SIGKILL);
    passes("to whom is left");
}

/* A peer that is stopped: deadlines hold on both sides, and it has everything when it goes on. */
static void a_stopped_peer_delays_until_the_deadline(void **state)
{
    (void)state;
    static char bytes[32 * KIB];
    uint32_t sent = 0;
    int rc;
    assert_int_equal(mp_pipe(&in, &out, true), 0);
    pid_t pid = reader();
    assert_true(child_stop(pid));
    while ((rc = mp_connection_send(out, "x", 1, 0)) == 0)
        sent++;
    assert_int_equal(rc, MP_ETIMEDOUT);
    double start = seconds();
    assert_int_equal(mp_connection_send(out, bytes, sizeof bytes, 0.1), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_send(out, "x", 1, 0.1), MP_ETIMEDOUT);
    assert_int_equal(mp_connection_recv(out, bytes, sizeof bytes, 0.1), MP_ETIMEDOUT);
    assert_true(seconds() - start >= 0.3 && seconds() - start < LONG / 2);
    assert_int_equal(mp__load_acquire(&notes->done), 0);
    kill(pid, SIGCONT);
    assert_true(await(&notes->done, sent));
    assert_int_equal(mp_connection_send(out, "x", 1, LONG), 0);
    assert_true(await(&notes->done, sent + 1));
    assert_int_equal(child_kill(pid), -SIGKILL);
}

/* Larger than any buffer: it goes through, also while nobody receives yet, and takes its memory
 * away with it. The setup knows of the descriptors and of the blocks. */
static void a_message_of_64_MiB_goes_through(void **state)
{
    (void)state;
    size_t length = 64 * MIB;
    assert_int_equal(mp_pipe(&in, &out, false), 0);
    for (int k = 0; k < 2; k++) {
        int before = open_descriptors();
        size_t in_use = bytes_in_use(), got;
        pid_t pid = child_start(send_large, &length);
        void *bytes;
        if (k == 1) /* whether it ends before: that is for the buffers to say */
            until_asleep(pid);
        assert_int_equal(mp_connection_recv_alloc(in, &bytes, &got, LONG), 0);
        assert_int_equal(got, length);
        assert_true(is_whole(bytes, (ssize_t)got));
        free(bytes);
        assert_int_equal(child_end(pid), 0);
        assert_int_equal(open_descriptors(), before);
        assert_int_equal(bytes_in_use(), in_use);
    }
    passes("a small one");
    letter *l = malloc(length);
    assert_non_null(l);
    write_letter(l, 2, 1, length); /* one that nobody receives */
    assert_int_equal(mp_connection_send(out, l, length, LONG), 0);
    free(l);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(g1_a_deadline_covers_the_whole_message),
        TEST(a_half_sent_message_is_not_seen),
        TEST(g2_many_share_one_end),
        TEST(g3_a_message_is_bytes),
        TEST(g4_too_long_a_message_stays),
        TEST(a_dead_receiver_locks_nobody_out),
        TEST(a_stopped_peer_delays_until_the_deadline),
        TEST(a_message_of_64_MiB_goes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
