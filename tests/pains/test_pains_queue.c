/* SPDX-License-Identifier: MIT */
/* The pains of Python's queues (A4, A5, C1-C8), which this library has not. */
#include "pains/pain.h"
#include "pains/trap.h"

#include <limits.h>

#define MIB ((size_t)1 << 20)
#define BIG (8 * MIB)

static mp_queue *q;

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    q = NULL;
    return mp_shared_check(NULL);
}

static void make(int maxsize, size_t capacity)
{
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = maxsize, .capacity = capacity), 0);
}

/* A small message goes through, at a try. */
static void passes(char c)
{
    char got = 0;
    assert_int_equal(mp_queue_put(q, &c, 1, 0), 0);
    assert_int_equal(mp_queue_get(q, &got, 1, 0), 1);
    assert_int_equal(got, c);
}

/* A big message goes through, put and got by this process at a try. */
static void passes_big(size_t length)
{
    void *got;
    size_t got_length;
    char *bytes = malloc(length);
    assert_non_null(bytes);
    memset(bytes, 'b', length);
    assert_int_equal(mp_queue_put(q, bytes, length, 0), 0);
    assert_int_equal(mp_queue_get_alloc(q, &got, &got_length, 0), 0);
    assert_int_equal(got_length, length);
    assert_memory_equal(got, bytes, length);
    free(got);
    free(bytes);
}

#define GETTERS 4

static int get_each(void *arg)
{
    (void)arg;
    char c;
    signal_word(&notes->ready);
    while (mp_queue_get(q, &c, 1, MP_FOREVER) == 1)
        signal_word(&notes->done);
    return 1;
}

static pid_t getter(void)
{
    uint32_t ready = mp__load_acquire(&notes->ready);
    pid_t pid = child_start(get_each, NULL);
    assert_true(await(&notes->ready, ready + 1));
    until_asleep(pid);
    return pid;
}

/* Killed or terminated, one of four: first when all wait, then when the message is there already,
 * so that the dead one may be who was woken for it. */
static void a4_a_dead_getter_locks_nobody_out(void **state)
{
    (void)state;
    make(0, 0);
    random_state random = random_start("a4");
    int rounds = fewer(100);
    pid_t pid[GETTERS];
    for (int i = 0; i < GETTERS; i++)
        pid[i] = getter();
    for (int round = 0; round < 2 * rounds; round++) {
        uint32_t victim = random_below(&random, GETTERS);
        uint32_t done = mp__load_acquire(&notes->done);
        int how = random_below(&random, 2) ? SIGKILL : SIGTERM;
        bool first = round < rounds;
        if (!first)
            assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
        kill(pid[victim], how);
        assert_int_equal(child_end(pid[victim]), -how);
        double start = seconds();
        if (first) {
            assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
            assert_true(await(&notes->done, done + 1));
        }
        while (!mp_queue_empty(q)) /* by somebody living, or it went with the dead */
            nap(0.0001);
        assert_true(seconds() - start < LONG / 2);
        pid[victim] = getter();
        for (int i = 0; i < GETTERS; i++)
            until_asleep(pid[i]);
    }
    for (int i = 0; i < GETTERS; i++)
        assert_int_equal(child_kill(pid[i]), -SIGKILL);
    ours("A4",
         "a getter of %d is killed or terminated while it waits: %d of %d times another one "
         "gets the message that is put then",
         GETTERS, rounds, rounds);
}

/* Puts, and is stopped in the middle. */
static int put_trapped(void *arg)
{
    size_t length = *(size_t *)arg;
    char *bytes = trap_new(length, 'p');
    CHECK(bytes != NULL);
    CHECK(mp_queue_put(q, bytes, length, MP_FOREVER) == 0);
    signal_word(&notes->done);
    return 0;
}

/* While a putter stands in the middle, and after its death, the queue is as if it had not come. */
static void a5_round(void)
{
    pid_t pid = child_start(put_trapped, &(size_t){BIG});
    char c;
    assert_true(child_stopped(pid));
    assert_int_equal(mp_queue_size(q), 0);
    assert_int_equal(mp_queue_get(q, &c, 1, 0), MP_EEMPTY);
    passes('s');
    assert_int_equal(child_kill(pid), -SIGKILL);
    assert_int_equal(mp_queue_size(q), 0);
    assert_int_equal(mp_queue_get(q, &c, 1, 0.01), MP_EEMPTY);
    passes('d');
    passes_big(BIG);
}

static void a5_a_putter_killed_in_the_middle_put_nothing(void **state)
{
    (void)state;
    static const struct {
        int maxsize;
        size_t capacity;
    } limits[] = {{0, 0}, {1, 0}, {0, BIG + 8}, {1, BIG + 8}};
    int deaths = 0;
    for (int i = 0; i < 4; i++) {
        make(limits[i].maxsize, limits[i].capacity);
        for (int k = 0; k < 3; k++, deaths++)
            a5_round();
    }
    ours("A5",
         "%d of %d times the half message is not there, and the next one, small or big, goes "
         "through at a try",
         deaths, deaths);
}

/* Puts 100 bytes, and dies by the second half. */
static int put_and_fault(void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *border = (char *)arg + page;
    struct sigaction action = {.sa_handler = SIG_DFL};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && mprotect(border, page, PROT_NONE) == 0);
    return mp_queue_put(q, border - 50, 100, MP_FOREVER);
}

/* The same with small messages, which lie in the queue itself. */
static void small_messages_are_not_torn_either(void **state)
{
    (void)state;
    size_t length = 2 * (size_t)sysconf(_SC_PAGESIZE);
    char *bytes = common(length);
    char c;
    assert_non_null(bytes);
    memset(bytes, 's', length);
    make(0, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(child_end(child_start(put_and_fault, bytes)), -SIGSEGV);
        assert_int_equal(mp_queue_size(q), 0);
        assert_int_equal(mp_queue_get(q, &c, 1, 0), MP_EEMPTY);
        passes('d');
    }
    munmap(bytes, length);
}

static int put_and_return(void *arg)
{
    (void)arg;
    char *bytes = malloc(BIG);
    CHECK(bytes != NULL);
    memset(bytes, 'c', BIG);
    int rc = mp_queue_put(q, bytes, BIG, 0);
    free(bytes);
    return rc;
}

static void c1_a_producer_is_joined_before_the_get(void **state)
{
    (void)state;
    make(0, 0);
    assert_int_equal(child_end(child_start(put_and_return, NULL)), 0);
    void *bytes;
    size_t length;
    assert_int_equal(mp_queue_get_alloc(q, &bytes, &length, 0), 0);
    assert_int_equal(length, BIG);
    for (size_t i = 0; i < BIG; i += 1000)
        assert_int_equal(((char *)bytes)[i], 'c');
    free(bytes);
    ours("C1", "a producer of %zu MiB ends and is joined; the get comes after", BIG / MIB);
}

#define ROUNDS 200

/* Told of each put by a word, looks at once. */
static int look(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t got = ROUNDS;
        while (mp__load_acquire(&notes->ready) <= i)
            continue;
        CHECK(!mp_queue_empty(q) && mp_queue_size(q) == 1);
        CHECK(mp_queue_get(q, &got, sizeof got, 0) == sizeof got && got == i);
        CHECK(mp_queue_empty(q));
        signal_word(&notes->done);
    }
    return 0;
}

static void c2_what_was_put_is_there(void **state)
{
    (void)state;
    make(0, 0);
    pid_t pid = child_start(look, NULL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(mp_queue_put(q, &i, sizeof i, 0), 0);
        signal_word(&notes->ready);
        assert_true(await(&notes->done, i + 1));
    }
    assert_int_equal(child_end(pid), 0);
    for (int i = 0; i < ROUNDS; i++)
        passes('v');
    ours("C2",
         "right after put it is not empty, and get has it at a try, %d of %d times, in "
         "another process as in the same",
         ROUNDS, ROUNDS);
}

/* Small messages, those that are a block of their own, and batches. */
static void c3_what_is_put_is_copied_inside_put(void **state)
{
    (void)state;
    make(0, 0);
    static char item[10000], got[sizeof item];
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t length = 1 + i * sizeof item / ROUNDS;
        memset(item, 'a', sizeof item); /* as it was */
        mp_bytes one = {item, length, 0};
        if (i % 3 == 0)
            assert_int_equal(mp_queue_put_many(q, &one, 1, 0), 1);
        else
            assert_int_equal(mp_queue_put(q, item, length, 0), 0);
        memset(item, 'z', sizeof item); /* as it is later */
        assert_int_equal(mp_queue_get(q, got, sizeof got, 0), (ssize_t)length);
        memset(item, 'a', sizeof item);
        assert_memory_equal(got, item, length);
    }
    ours("C3", "an item changed after put: the reader gets what was put, %d of %d times", ROUNDS,
         ROUNDS);
}

static void c4_what_cannot_be_put_is_told_by_put(void **state)
{
    (void)state;
    char item[200] = "";
    make(0, 100);
    assert_int_equal(mp_queue_put(q, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_put(q, item, sizeof item, LONG), MP_EMSGSIZE);
    make(0, 0);
    assert_int_equal(mp_queue_put(q, item, SIZE_MAX, LONG), MP_ENOMEM);
    assert_int_equal(mp_queue_put(q, item, SSIZE_MAX, LONG), MP_ENOMEM);
    assert_int_equal(mp_queue_size(q), 0);
    passes('n');
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_queue_put(q, item, 1, LONG), MP_ECLOSED);
    ours("C4", "put returns the error: MP_EINVAL, MP_EMSGSIZE, MP_ENOMEM, MP_ECLOSED; nothing is "
               "in the queue then");
}

static int put_and_die(void *arg)
{
    int count = *(int *)arg;
    char bytes[100] = "";
    for (int i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        CHECK(mp_queue_put(q, bytes, sizeof bytes, 0) == 0);
    }
    if (count > 1000)
        kill(getpid(), SIGKILL);
    _exit(0);
}

static void c5_what_was_put_outlives_its_putter(void **state)
{
    (void)state;
    static const int count[] = {1000, 20000};
    for (int k = 0; k < 2; k++) {
        char bytes[100];
        make(0, 0);
        int end = child_end(child_start(put_and_die, (void *)(uintptr_t)&count[k]));
        assert_int_equal(end, k ? -SIGKILL : 0);
        assert_int_equal(mp_queue_size(q), count[k]);
        for (int i = 0, got; i < count[k]; i++) {
            assert_int_equal(mp_queue_get(q, bytes, sizeof bytes, 0), sizeof bytes);
            memcpy(&got, bytes, sizeof got);
            assert_int_equal(got, i);
        }
        assert_int_equal(mp_queue_get(q, bytes, sizeof bytes, 0), MP_EEMPTY);
    }
    ours("C5",
         "after _exit %d of %d arrive, in order; after SIGKILL right behind the last put %d "
         "of %d",
         count[0], count[0], count[1], count[1]);
}

/* More than a signed 16 bit number, and the largest that can be asked for. */
static void c6_maxsize_is_exact(void **state)
{
    (void)state;
    enum { MANY = 40000 };
    make(MANY, 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            assert_false(mp_queue_full(q));
            assert_int_equal(MP_PUT(q, i, 0), 0);
        }
        assert_true(mp_queue_full(q));
        assert_int_equal(MP_PUT(q, -1, 0), MP_EFULL);
        assert_int_equal(mp_queue_size(q), MANY);
        for (int i = 0, got; i < MANY; i++) {
            assert_int_equal(MP_GET(q, &got, 0), 0);
            assert_int_equal(got, i);
        }
    }
    make(INT_MAX, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(MP_PUT(q, i, 0), 0);
    assert_int_equal(mp_queue_size(q), MANY);
    assert_false(mp_queue_full(q));
    mp_queue *none;
    assert_int_equal(mp_queue_new(&none, .maxsize = -1), MP_EINVAL);
    ours("C6", "no limit is none; maxsize %d is exact, %d is accepted, -1 is MP_EINVAL", MANY,
         INT_MAX);
}

/* Puts and gets so many, both counted by the size at the end of all. */
static int put_and_get(void *arg)
{
    int me = *(int *)arg, got;
    for (int i = 0; i < 1000; i++) {
        CHECK(MP_PUT(q, me, MP_FOREVER) == 0);
        int size = mp_queue_size(q);
        CHECK(size >= 0 && size <= 4000);
        if (i % 2 == 0) /* own or another's: there are always enough */
            CHECK(MP_GET(q, &got, MP_FOREVER) == 0);
    }
    return 0;
}

static void c7_the_size_is_counted(void **state)
{
    (void)state;
    int me[4] = {0, 1, 2, 3}, got;
    pid_t pid[4];
    make(0, 0);
    for (int i = 0; i < 4; i++)
        pid[i] = child_start(put_and_get, &me[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(child_end(pid[i]), 0);
    assert_int_equal(mp_queue_size(q), 2000);
    for (int i = 2000; i > 0; i--) {
        assert_int_equal(mp_queue_size(q), i);
        assert_int_equal(MP_GET(q, &got, 0), 0);
    }
    assert_int_equal(mp_queue_size(q), 0);
    ours("C7", "4 processes put 4000 and get 2000: mp_queue_size is 2000, and exact at each get "
               "after that");
}

/* Gets, and is stopped in the middle. */
static int get_trapped(void *arg)
{
    (void)arg;
    char *bytes = trap_new(BIG, 0);
    CHECK(bytes != NULL);
    CHECK(mp_queue_get(q, bytes, BIG, MP_FOREVER) == BIG);
    for (size_t i = 0; i < BIG; i++)
        CHECK(bytes[i] == 'g');
    return 0;
}

/* A reader, or a writer, that stands in the middle of a big message is in nobody's way, and has it
 * whole when it goes on. */
static void c8_who_is_slow_with_a_big_message_blocks_nobody(void **state)
{
    (void)state;
    char *bytes = malloc(BIG);
    assert_non_null(bytes);
    make(2, 2 * (BIG + 8));
    for (int dies = 0; dies < 2; dies++) {
        memset(bytes, 'g', BIG);
        assert_int_equal(mp_queue_put(q, bytes, BIG, 0), 0);
        pid_t reader = child_start(get_trapped, NULL);
        assert_true(child_stopped(reader));
        pid_t writer = child_start(put_trapped, &(size_t){BIG});
        assert_true(child_stopped(writer));
        for (int i = 0; i < 100; i++)
            passes('f');
        passes_big(BIG);
        assert_int_equal(mp_queue_size(q), 0);
        if (dies) {
            assert_int_equal(child_kill(reader), -SIGKILL);
            assert_int_equal(child_kill(writer), -SIGKILL);
            passes_big(BIG);
            break;
        }
        kill(reader, SIGCONT);
        assert_int_equal(child_end(reader), 0);
        kill(writer, SIGCONT);
        assert_int_equal(child_end(writer), 0);
        assert_int_equal(mp_queue_get(q, bytes, BIG, 0), BIG);
        for (size_t i = 0; i < BIG; i++)
            assert_true(bytes[i] == 'p');
    }
    free(bytes);
    ours("C8",
         "a reader and a writer stopped in a message of %zu MiB each: 100 small messages and "
         "a big one pass, at a try; going on, both have theirs whole",
         BIG / MIB);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, desk_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a4_a_dead_getter_locks_nobody_out),
        TEST(a5_a_putter_killed_in_the_middle_put_nothing),
        TEST(small_messages_are_not_torn_either),
        TEST(c1_a_producer_is_joined_before_the_get),
        TEST(c2_what_was_put_is_there),
        TEST(c3_what_is_put_is_copied_inside_put),
        TEST(c4_what_cannot_be_put_is_told_by_put),
        TEST(c5_what_was_put_outlives_its_putter),
        TEST(c6_maxsize_is_exact),
        TEST(c7_the_size_is_counted),
        TEST(c8_who_is_slow_with_a_big_message_blocks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
