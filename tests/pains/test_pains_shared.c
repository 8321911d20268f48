/* SPDX-License-Identifier: MIT */
/* The pains of Python's shared values, arrays and lists, and of its locks' maps (E8-E13). */
#include "pains/pain.h"

#include <sys/resource.h>

/* What a ShareableList would hold: bytes with their length. */
typedef struct text {
    size_t length;
    char bytes[8];
} text;

static const text texts[] = {{2, "a"}, {3, "\0\0"}, {4, "\xe2\x82\xac"}};
#define TEXTS (sizeof texts / sizeof *texts)

static int read_texts(void *arg)
{
    const text *shared = arg;
    CHECK(mp_array_length(shared) == TEXTS);
    for (size_t i = 0; i < TEXTS; i++)
        CHECK(memcmp(&shared[i], &texts[i], sizeof texts[i]) == 0);
    return 0;
}

static void e8_bytes_come_back_as_they_were(void **state)
{
    (void)state;
    text *shared = MP_ARRAY(text, TEXTS);
    assert_non_null(shared);
    memcpy(shared, texts, sizeof texts);
    assert_int_equal(child_end(child_start(read_texts, shared)), 0);
    ours("E8", "an array of structures holds bytes as they are: trailing NULs, UTF-8, a length");
    mp_shared_free(shared);
}

static void e9_what_fails_leaves_nothing(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "mp_pain_e9_%d", (int)getpid());
    mp_shared_memory *m;
    assert_int_equal(
        mp_shared_memory_new(&m, .name = name, .create = MP_YES, .length = SIZE_MAX / 2),
        MP_ENOMEM);
    assert_null(m);
    assert_int_equal(mp_shared_memory_new(&m, .name = name), MP_ESYS(ENOENT));

    size_t before = bytes_in_use();
    assert_null(MP_ARRAY(text, SSIZE_MAX / 2));
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    assert_int_equal(bytes_in_use(), before);
    ours("E9", "a creation that fails leaves no name and no block");
}

static void e10_an_index_beyond_the_end_is_told(void **state)
{
    (void)state;
    long *shared = MP_ARRAY(long, 3);
    assert_non_null(shared);
    for (long i = 0; i < 3; i++)
        *MP_AT(shared, i) = i + 1;
    assert_int_equal(*MP_AT(shared, -1), 3);
    assert_ptr_equal(MP_AT(shared, -3), shared);
    assert_null(MP_AT(shared, -4));
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    assert_null(MP_AT(shared, 3));
    ours("E10", "MP_AT(a, -4) of three elements is NULL, with MP_EINVAL");
    mp_shared_free(shared);
}

static int add(void *arg)
{
    _Atomic int *value = arg;
    for (int i = 0; i < 20000; i++)
        (*value)++;
    return 0;
}

static void e12_an_increment_is_atomic(void **state)
{
    (void)state;
    _Atomic int *value = MP_VALUE(_Atomic int, 0);
    assert_non_null(value);
    pid_t pid[4];
    for (int i = 0; i < 4; i++)
        pid[i] = child_start(add, (void *)(uintptr_t)value);
    for (int i = 0; i < 4; i++)
        assert_int_equal(child_end(pid[i]), 0);
    assert_int_equal(*value, 80000);
    ours("E12", "4 x 20000 increments of an _Atomic int make %d", *value);
    mp_shared_free((void *)(uintptr_t)value);
}

static int memory_maps(void)
{
    int count = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    for (int c; f != NULL && (c = fgetc(f)) != EOF;)
        count += c == '\n';
    if (f != NULL)
        fclose(f);
    return count;
}

#define LOCKS 100000

static void e13_locks_take_no_maps(void **state)
{
    (void)state;
    mp_lock **locks = calloc(LOCKS, sizeof(mp_lock *));
    assert_non_null(locks);
    int descriptors = open_descriptors();
    int before = memory_maps();
    int count = fewer(LOCKS);
    for (int i = 0; i < count; i++)
        assert_int_equal(mp_lock_new(&locks[i]), 0);
    int more = memory_maps() - before;
    assert_true(more < 10); /* the C library's own, perhaps */
    assert_int_equal(open_descriptors(), descriptors);
    ours("E13", "%d locks take no memory map and no descriptor", count);
    for (int i = 0; i < count; i++)
        mp_lock_free(locks[i]);
    free(locks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(e8_bytes_come_back_as_they_were, desk_setup),
        cmocka_unit_test_setup(e9_what_fails_leaves_nothing, desk_setup),
        cmocka_unit_test_setup(e10_an_index_beyond_the_end_is_told, desk_setup),
        cmocka_unit_test_setup(e12_an_increment_is_atomic, desk_setup),
        cmocka_unit_test_setup(e13_locks_take_no_maps, desk_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
