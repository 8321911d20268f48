/* SPDX-License-Identifier: MIT */
/* Named shared memory: names, lengths, handles, forks, threads. */
#include <mproc/shared_memory.h>

#include "support/blocks.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_shared_memory *make(const char *name, size_t length)
{
    mp_shared_memory *m = (mp_shared_memory *)&name;
    assert_int_equal(mp_shared_memory_new(&m, .name = name, .create = true, .length = length), 0);
    assert_non_null(m);
    return m;
}

static mp_shared_memory *attach(const char *name)
{
    mp_shared_memory *m = NULL;
    assert_int_equal(mp_shared_memory_new(&m, .name = name), 0);
    return m;
}

static void end(mp_shared_memory *m)
{
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
}

static int create(const char *name, size_t length)
{
    mp_shared_memory *m = (mp_shared_memory *)&name;
    int rc = mp_shared_memory_new(&m, .name = name, .create = MP_YES, .length = length);
    if (rc < 0)
        assert_null(m);
    else
        end(m);
    return rc;
}

static void test_create_and_attach(void **state)
{
    (void)state;
    mp_shared_memory *a = make(named("a"), 100);
    assert_int_equal(mp_shared_memory_length(a), 100);
    assert_string_equal(mp_shared_memory_name(a), named("a"));
    assert_int_equal(file_length(named("a")), 100);
    assert_int_equal(file_mode(named("a")), S_IFREG | 0600);
    unsigned char *bytes = mp_shared_memory_buffer(a);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bytes[i], 0);
    strcpy((char *)bytes, "hello");

    mp_shared_memory *b = attach(named("a"));
    assert_int_equal(mp_shared_memory_length(b), 100);
    assert_ptr_not_equal(mp_shared_memory_buffer(b), bytes);
    assert_string_equal(mp_shared_memory_buffer(b), "hello");
    strcpy((char *)mp_shared_memory_buffer(b) + 94, "tail!");
    assert_string_equal((char *)bytes + 94, "tail!");
    assert_int_equal(mp_shared_memory_check(a), 0);
    mp_shared_memory_free(b);
    assert_int_equal(file_length(named("a")), 100);
    end(a);
    assert_int_equal(file_length(named("a")), -1);
}

static void test_lengths_are_exact(void **state)
{
    (void)state;
    const size_t lengths[] = {1, 2, 4095, 4096, 4097, 1000003};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mp_shared_memory *a = make(named("length"), lengths[i]), *b = attach(named("length"));
        assert_int_equal(file_length(named("length")), lengths[i]);
        assert_int_equal(mp_shared_memory_length(b), lengths[i]);
        memset(mp_shared_memory_buffer(a), 'x', lengths[i]);
        assert_int_equal(((char *)mp_shared_memory_buffer(b))[lengths[i] - 1], 'x');
        mp_shared_memory_free(b);
        end(a);
    }
}

static void test_made_up_names(void **state)
{
    (void)state;
    mp_shared_memory *m[20];
    for (int i = 0; i < 20; i++) {
        m[i] = NULL;
        assert_int_equal(mp_shared_memory_new(&m[i], .create = true, .length = 5), 0);
        const char *name = mp_shared_memory_name(m[i]);
        bool good = strlen(name) == 12 && strncmp(name, "psm_", 4) == 0 &&
                    strspn(name + 4, "0123456789abcdef") == 8 && file_length(name) == 5;
        for (int j = 0; j < i; j++)
            good = good && strcmp(name, mp_shared_memory_name(m[j])) != 0;
        assert_int_equal(mp_shared_memory_unlink(m[i]), 0); /* before anything can fail */
        assert_true(good);
    }
    for (int i = 0; i < 20; i++)
        mp_shared_memory_free(m[i]);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    mp_shared_memory *m;
#define REFUSED(...)                                                                               \
    do {                                                                                           \
        m = (mp_shared_memory *)&m;                                                                \
        assert_int_equal(mp_shared_memory_new(&m, __VA_ARGS__), MP_EINVAL);                        \
        assert_null(m);                                                                            \
    } while (0)
    assert_int_equal(mp_shared_memory_create(NULL, NULL), MP_EINVAL);
    m = (mp_shared_memory *)&m;
    assert_int_equal(mp_shared_memory_create(&m, NULL), MP_EINVAL);
    assert_null(m);
    assert_int_equal(mp_shared_memory_new(&m), MP_EINVAL);
    REFUSED(.create = true);
    REFUSED(.create = true, .name = named("bad"));
    REFUSED(.length = 10);
    REFUSED(.create = MP_NO, .length = 10);
    REFUSED(.create = 2, .length = 10, .name = named("bad"));
    REFUSED(.create = -2, .length = 10, .name = named("bad"));
    REFUSED(.create = true, .length = 10, .sparse = 3, .name = named("bad"));
    REFUSED(.sparse = MP_YES, .name = named("bad"));
    struct {
        mp_shared_memory_options o;
        int news;
    } newer = {{sizeof newer, named("bad"), 10, MP_YES, 0}, 1};
    assert_int_equal(mp_shared_memory_create(&m, &newer.o), MP_EINVAL);
    assert_int_equal(file_length(named("bad")), -1);

    assert_null(mp_shared_memory_buffer(NULL));
    assert_int_equal(mp_shared_memory_length(NULL), 0);
    assert_null(mp_shared_memory_name(NULL));
    assert_int_equal(mp_shared_memory_check(NULL), MP_EINVAL);
    assert_int_equal(mp_shared_memory_close(NULL), MP_EINVAL);
    assert_int_equal(mp_shared_memory_unlink(NULL), MP_EINVAL);
    mp_shared_memory_free(NULL);
}

static void test_bad_names(void **state)
{
    (void)state;
    char longest[400];
    snprintf(longest, sizeof longest, "%s", named(""));
    memset(longest + strlen(longest), 'n', 300);
    longest[256] = '\0';
    const char *bad[] = {"", "/", "//", ".", "..", "/.", "/..", "a/b", "/a/b", "a/", longest};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mp_shared_memory *m;
        assert_int_equal(create(bad[i], 10), MP_EINVAL);
        assert_int_equal(mp_shared_memory_new(&m, .name = bad[i]), MP_EINVAL);
    }
    longest[255] = '\0';
    assert_int_equal(create(longest, 10), 0);
}

/* As in Python slashes in front do not count; the name is told without them. */
static void test_slashes_in_front(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "/%s", named("slash"));
    mp_shared_memory *a = make(name, 10), *b = attach(named("slash"));
    assert_string_equal(mp_shared_memory_name(a), named("slash"));
    end(a);
    mp_shared_memory_free(b);
}

static void test_taken_and_absent(void **state)
{
    (void)state;
    mp_shared_memory *a = make(named("one"), 10), *b = (mp_shared_memory *)a;
    *(char *)mp_shared_memory_buffer(a) = 'x';
    assert_int_equal(mp_shared_memory_new(&b, .name = named("one"), .create = true, .length = 10),
                     MP_ESYS(EEXIST));
    assert_null(b);
    assert_int_equal(*(char *)mp_shared_memory_buffer(a), 'x');
    b = a;
    assert_int_equal(mp_shared_memory_new(&b, .name = named("none")), MP_ESYS(ENOENT));
    assert_null(b);
    assert_int_equal(mp_shared_memory_unlink(a), 0);
    assert_int_equal(mp_shared_memory_unlink(a), MP_ESYS(ENOENT));
    assert_int_equal(mp_shared_memory_new(&b, .name = named("one")), MP_ESYS(ENOENT));
    *(char *)mp_shared_memory_buffer(a) = 'y'; /* the memory stays */
    mp_shared_memory_free(a);
}

static void test_close(void **state)
{
    (void)state;
    mp_shared_memory *a = make(named("close"), 10);
    assert_int_equal(mp_shared_memory_close(a), 0);
    assert_int_equal(mp_shared_memory_close(a), 0);
    assert_null(mp_shared_memory_buffer(a));
    assert_int_equal(mp_shared_memory_length(a), 10);
    assert_string_equal(mp_shared_memory_name(a), named("close"));
    assert_int_equal(mp_shared_memory_check(a), MP_ECLOSED);
    assert_int_equal(file_length(named("close")), 10);
    end(a);
}

/* A handle never unlinks what another has made since under its name. */
static void test_unlink_leaves_a_new_block_alone(void **state)
{
    (void)state;
    mp_shared_memory *old = make(named("again"), 10), *other = attach(named("again"));
    assert_int_equal(mp_shared_memory_unlink(other), 0);
    mp_shared_memory_free(other);
    mp_shared_memory *new = make(named("again"), 20);
    assert_int_equal(mp_shared_memory_unlink(old), MP_ESYS(ENOENT));
    assert_int_equal(file_length(named("again")), 20);
    mp_shared_memory_free(old);
    end(new);
}

static void test_attach_asks_for_a_length(void **state)
{
    (void)state;
    mp_shared_memory *a = make(named("least"), 100), *b = a;
    assert_int_equal(mp_shared_memory_new(&b, .name = named("least"), .length = 101), MP_EINVAL);
    assert_null(b);
    assert_int_equal(mp_shared_memory_new(&b, .name = named("least"), .length = 7), 0);
    assert_int_equal(mp_shared_memory_length(b), 100);
    mp_shared_memory_free(b);
    end(a);
}

static void make_node(mode_t mode)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/%s", named("node"));
    assert_int_equal(mknod(path, mode | 0600, 0), 0);
}

static void test_attach_to_what_is_no_block(void **state)
{
    (void)state;
    char path[64];
    mp_shared_memory *m;
    snprintf(path, sizeof path, "/dev/shm/%s", named("node"));
    make_node(S_IFREG); /* whose maker has not come to its length */
    assert_int_equal(mp_shared_memory_new(&m, .name = named("node")), MP_EAGAIN);
    assert_int_equal(mp_shared_memory_new(&m, .name = named("node"), .length = 1), MP_EAGAIN);
    assert_int_equal(create(named("node"), 1), MP_ESYS(EEXIST));
    assert_int_equal(file_length(named("node")), 0); /* attaching destroys nothing */
    unlink(path);
    make_node(S_IFIFO);
    assert_int_equal(mp_shared_memory_new(&m, .name = named("node")), MP_EINVAL);
    unlink(path);
    assert_int_equal(symlink("/dev/shm/nothing", path), 0);
    assert_int_equal(mp_shared_memory_new(&m, .name = named("node")), MP_EINVAL);
    assert_int_equal(create(named("node"), 1), MP_ESYS(EEXIST));
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mp_shared_memory_new(&m, .name = named("node")), MP_EINVAL);
    assert_int_equal(create(named("node"), 1), MP_ESYS(EEXIST));
    rmdir(path);
}

static void test_memory_is_reserved_unless_sparse(void **state)
{
    (void)state;
    mp_shared_memory *a = make(named("full"), 3000000), *b = NULL;
    assert_true(file_memory(named("full")) >= 3000000);
    end(a);
    assert_int_equal(mp_shared_memory_new(&b, .name = named("thin"), .create = true,
                                          .length = 3000000, .sparse = MP_YES),
                     0);
    assert_int_equal(file_length(named("thin")), 3000000);
    assert_int_equal(file_memory(named("thin")), 0);
    ((char *)mp_shared_memory_buffer(b))[2999999] = 1;
    assert_true(file_memory(named("thin")) > 0 && file_memory(named("thin")) < 3000000);
    end(b);
}

/* Forks. */

static mp_shared_memory *inherited;

static int use_and_free_the_copy(void *arg)
{
    (void)arg;
    char *bytes = mp_shared_memory_buffer(inherited);
    CHECK(strcmp(bytes, "parent") == 0);
    strcpy(bytes, "child");
    CHECK(mp_shared_memory_close(inherited) == 0);
    CHECK(mp_shared_memory_buffer(inherited) == NULL);
    mp_shared_memory_free(inherited);
    return 0;
}

static void test_a_forked_child_has_a_copy(void **state)
{
    (void)state;
    inherited = make(named("fork"), 100);
    char *bytes = mp_shared_memory_buffer(inherited);
    strcpy(bytes, "parent");
    assert_int_equal(child_end(child_start(use_and_free_the_copy, NULL)), 0);
    assert_string_equal(bytes, "child");
    assert_int_equal(file_length(named("fork")), 100);
    end(inherited);
}

static int unlink_the_copy(void *arg)
{
    (void)arg;
    CHECK(mp_shared_memory_close(inherited) == 0);
    CHECK(mp_shared_memory_unlink(inherited) == 0);
    return 0;
}

static void test_a_forked_child_may_unlink(void **state)
{
    (void)state;
    inherited = make(named("fork"), 100);
    assert_int_equal(child_end(child_start(unlink_the_copy, NULL)), 0);
    assert_int_equal(mp_shared_memory_unlink(inherited), MP_ESYS(ENOENT));
    strcpy(mp_shared_memory_buffer(inherited), "still here");
    mp_shared_memory_free(inherited);
}

/* Threads. */

static pthread_barrier_t both;

static void *close_it(void *m)
{
    pthread_barrier_wait(&both);
    return (void *)(intptr_t)mp_shared_memory_close(m);
}

/* If both unmapped, the second would hit what lies there since. */
static void test_two_threads_close(void **state)
{
    (void)state;
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 500; i++) {
        mp_shared_memory *m = make(named("threads"), 5000);
        void *there = mp_shared_memory_buffer(m), *rc;
        pthread_t id;
        assert_int_equal(pthread_create(&id, NULL, close_it, m), 0);
        pthread_barrier_wait(&both);
        assert_int_equal(mp_shared_memory_close(m), 0);
        void *other = mmap(there, 5000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_join(id, &rc);
        assert_null(rc);
        memset(other, 1, 5000);
        munmap(other, 5000);
        end(m);
    }
    pthread_barrier_destroy(&both);
}

static _Atomic int winners;

static void *race_to_create(void *name)
{
    mp_shared_memory *m;
    int rc = mp_shared_memory_new(&m, .name = name, .create = true, .length = 20000);
    if (rc == 0) {
        winners++;
        mp_shared_memory_free(m);
    }
    return (void *)(intptr_t)(rc == 0 || rc == MP_ESYS(EEXIST) ? 0 : rc);
}

static void *race_to_attach(void *name)
{
    mp_shared_memory *m;
    int rc;
    do
        rc = mp_shared_memory_new(&m, .name = name, .length = 20000);
    while (rc == MP_ESYS(ENOENT) || rc == MP_EAGAIN);
    if (rc == 0 && mp_shared_memory_length(m) != 20000)
        rc = -1;
    if (rc == 0)
        mp_shared_memory_free(m);
    return (void *)(intptr_t)rc;
}

/* One creates it, and who attaches finds all of it. */
static void test_races_for_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        pthread_t id[4];
        char name[64];
        snprintf(name, sizeof name, "%s", named("race"));
        winners = 0;
        for (int t = 0; t < 4; t++)
            assert_int_equal(
                pthread_create(&id[t], NULL, t < 2 ? race_to_create : race_to_attach, name), 0);
        for (int t = 0; t < 4; t++) {
            void *rc;
            pthread_join(id[t], &rc);
            assert_null(rc);
        }
        assert_int_equal(winners, 1);
        end(attach(name));
    }
}

/* Beside what closes the descriptors of others: nothing of ours is open. */
static void test_no_descriptor_is_kept(void **state)
{
    (void)state;
    int before = open_descriptors();
    mp_shared_memory *a = make(named("fd"), 10), *b = attach(named("fd"));
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(mp_shared_memory_check(b), 0);
    mp_shared_memory_free(b);
    end(a);
}

static int name_first(const char *name)
{
    mp_shared_memory *m, *n;
    CHECK(mp_shared_memory_new(&m, .name = name, .create = true, .length = 5000) == 0);
    CHECK(file_length(name) == 5000 && file_mode(name) == (S_IFREG | 0600));
    CHECK(file_memory(name) >= 5000);
    CHECK(mp_shared_memory_new(&n, .name = name, .create = true, .length = 1) == MP_ESYS(EEXIST));
    CHECK(mp_shared_memory_new(&n, .name = name) == 0);
    strcpy(mp_shared_memory_buffer(m), "named first");
    CHECK(strcmp(mp_shared_memory_buffer(n), "named first") == 0);
    CHECK(mp_shared_memory_unlink(n) == 0);
    CHECK(mp_shared_memory_unlink(m) == MP_ESYS(ENOENT));
    mp_shared_memory_free(m);
    mp_shared_memory_free(n);
    return 0;
}

static int without_unnamed_files(void *arg)
{
    if (forbid_linkat() != 0)
        return CANNOT;
    if (name_first(arg) != 0 || forbid_unnamed_files() != 0)
        return 1;
    return name_first(arg);
}

static void test_where_the_name_must_come_first(void **state)
{
    (void)state;
    int result = child_end(child_start(without_unnamed_files, (void *)(uintptr_t)named("first")));
    if (result == CANNOT)
        skip();
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_create_and_attach),
        BLOCK_TEST(test_lengths_are_exact),
        BLOCK_TEST(test_made_up_names),
        BLOCK_TEST(test_bad_arguments),
        BLOCK_TEST(test_bad_names),
        BLOCK_TEST(test_slashes_in_front),
        BLOCK_TEST(test_taken_and_absent),
        BLOCK_TEST(test_close),
        BLOCK_TEST(test_unlink_leaves_a_new_block_alone),
        BLOCK_TEST(test_attach_asks_for_a_length),
        BLOCK_TEST(test_attach_to_what_is_no_block),
        BLOCK_TEST(test_memory_is_reserved_unless_sparse),
        BLOCK_TEST(test_a_forked_child_has_a_copy),
        BLOCK_TEST(test_a_forked_child_may_unlink),
        BLOCK_TEST(test_two_threads_close),
        BLOCK_TEST(test_races_for_a_name),
        BLOCK_TEST(test_no_descriptor_is_kept),
        BLOCK_TEST(test_where_the_name_must_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
