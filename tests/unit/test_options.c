/* SPDX-License-Identifier: MIT */
/* Size-stamped options and keyword constructors: older and newer callers, and nonsense. */
#include <mproc/barrier.h>
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/queue.h>

#include "base/options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct sample {
    size_t size;
    int first;
    int second;
    void *last;
} sample;

static void test_read(void **state)
{
    (void)state;
    sample ours;
    memset(&ours, 255, sizeof ours);
    assert_int_equal(mp__options_read(&ours, sizeof ours, NULL), 0);
    assert_int_equal(ours.size, sizeof ours);
    assert_int_equal(ours.first, 0);
    assert_null(ours.last);

    sample given = {sizeof given, 1, 2, &given};
    assert_int_equal(mp__options_read(&ours, sizeof ours, &given), 0);
    assert_memory_equal(&ours, &given, sizeof given);

    given.size = offsetof(sample, second); /* an older caller: what it does not know is not given */
    assert_int_equal(mp__options_read(&ours, sizeof ours, &given), 0);
    assert_int_equal(ours.size, sizeof ours);
    assert_int_equal(ours.first, 1);
    assert_int_equal(ours.second, 0);
    assert_null(ours.last);

    given.size = sizeof given.size; /* knows nothing but its size */
    assert_int_equal(mp__options_read(&ours, sizeof ours, &given), 0);
    assert_int_equal(ours.first, 0);
}

static void test_wrong_size(void **state)
{
    (void)state;
    sample ours, given = {0, 1, 2, NULL};
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, 4097, 1 << 20, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        given.size = wrong[i];
        assert_int_equal(mp__options_read(&ours, sizeof ours, &given), MP_EINVAL);
    }
}

/* The options of every object here, as a caller of another version has them. */
static int make(int which, void *options)
{
    mp_lock *lock = NULL;
    mp_queue *queue = NULL;
    mp_barrier *barrier = NULL;
    int rc = which == 0   ? mp_lock_create(&lock, options)
             : which == 1 ? mp_queue_create(&queue, options)
                          : mp_barrier_create(&barrier, 1, options);
    bool made = lock != NULL || queue != NULL || barrier != NULL;
    mp_lock_free(lock);
    mp_queue_free(queue);
    mp_barrier_free(barrier);
    return made == (rc == 0) ? rc : 99;
}

static void test_every_object(void **state)
{
    (void)state;
    static const size_t known[] = {sizeof(mp_lock_options), sizeof(mp_queue_options),
                                   sizeof(mp_barrier_options)};
    for (int which = 0; which < 3; which++) {
        _Alignas(16) unsigned char bytes[256] = {0};
        assert_int_equal(make(which, NULL), 0);
        assert_int_equal(make(which, bytes), MP_EINVAL); /* size 0 */
        size_t size = sizeof(size_t);
        memcpy(bytes, &size, sizeof size);
        assert_int_equal(make(which, bytes), 0);
        for (size = known[which]; size <= known[which] + 64; size++) {
            memcpy(bytes, &size, sizeof size);
            assert_int_equal(make(which, bytes), 0);
        }
        size = known[which] + 64;
        for (size_t at = known[which]; at < size; at++) {
            bytes[at] = 1;
            assert_int_equal(make(which, bytes), MP_EINVAL);
            bytes[at] = 0;
        }
        bytes[size] = 1; /* beyond what it says it is */
        assert_int_equal(make(which, bytes), 0);
    }
}

static void test_contradictions(void **state)
{
    (void)state;
    mp_queue *q = (mp_queue *)state;
    assert_int_equal(mp_queue_new(&q, .maxsize = -1), MP_EINVAL);
    assert_null(q);
    assert_int_equal(mp_queue_new(&q, .on_death = MP_REDELIVER + 1), MP_EINVAL);
    assert_int_equal(mp_queue_new(&q, .on_death = -1), MP_EINVAL);
    mp_barrier *b = (mp_barrier *)state;
    int x;
    assert_int_equal(mp_barrier_new(&b, 2, .action_arg = &x), MP_EINVAL);
    assert_null(b);
    assert_int_equal(mp_barrier_new(&b, 2, .timeout = -1), MP_EINVAL);
    assert_int_equal(mp_barrier_new(&b, 2, .timeout = NAN), MP_EINVAL);
    assert_int_equal(mp_barrier_new(&b, 2, .timeout = -INFINITY), MP_EINVAL);
    assert_int_equal(mp_barrier_new(&b, 0), MP_EINVAL);
    assert_int_equal(mp_barrier_new(&b, -5), MP_EINVAL);
    assert_int_equal(mp_barrier_new(&b, INT_MIN), MP_EINVAL);
    assert_int_equal(mp_lock_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_queue_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_barrier_create(NULL, 1, NULL), MP_EINVAL);
}

static void test_keywords(void **state)
{
    (void)state;
    mp_lock *lock;
    assert_int_equal(mp_lock_new(&lock), 0);
    mp_lock_free(lock);
    mp_queue *q;
    assert_int_equal(mp_queue_new(&q), 0);
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = 3), 0);
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = 3, .capacity = 100), 0);
    assert_int_equal(mp_queue_put(q, &q, 93, MP_NO_WAIT), MP_EMSGSIZE);
    mp_queue_free(q);
    mp_barrier *b;
    assert_int_equal(mp_barrier_new(&b, 3), 0);
    assert_int_equal(mp_barrier_parties(b), 3);
    mp_barrier_free(b);
    assert_int_equal(mp_barrier_new(&b, 1 + 1, .timeout = INFINITY), 0);
    assert_int_equal(mp_barrier_parties(b), 2);
    mp_barrier_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),         cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_every_object), cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
