/* SPDX-License-Identifier: MIT */
/* What hurts with Python's SharedMemory: one test or two for each of E1 to E7. E1 with Python's own
 * tracker at work is in
 * tests/unit/test_shared_memory_python.c. */
#include "pains/pain.h"
#include "support/blocks.h"

enum { LENGTH = 3 * 4096 + 10 };

static mp_shared_memory *make(void)
{
    mp_shared_memory *m = NULL;
    assert_int_equal(
        mp_shared_memory_new(&m, .name = named("pain"), .create = true, .length = LENGTH), 0);
    return m;
}

static void end(mp_shared_memory *m)
{
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
}

static int attach_write_and_leave(void *arg)
{
    mp_shared_memory *m;
    CHECK(mp_shared_memory_new(&m, .name = named("pain")) == 0);
    strcpy(mp_shared_memory_buffer(m), "attached");
    if (arg != NULL)
        raise(*(int *)arg);
    mp_shared_memory_free(m);
    return 0;
}

/* In Python the end of a process that was attached removes the name under which others use it. */
static void e1_an_attachers_end_destroys_nothing(void **state)
{
    (void)state;
    int deadly = SIGKILL;
    mp_shared_memory *m = make(), *late = NULL;
    assert_int_equal(child_end(child_start(attach_write_and_leave, NULL)), 0);
    assert_int_equal(child_end(child_start(attach_write_and_leave, &deadly)), -SIGKILL);
    assert_int_equal(file_length(named("pain")), LENGTH);
    assert_int_equal(mp_shared_memory_new(&late, .name = named("pain")), 0);
    assert_string_equal(mp_shared_memory_buffer(late), "attached");
    mp_shared_memory_free(late);
    end(m);
    ours("E1", "after an attacher's exit, and after its SIGKILL, the name and the bytes are there");
}

static int create_and_leave(void *arg)
{
    mp_shared_memory *m;
    CHECK(mp_shared_memory_new(&m, .name = named("pain"), .create = true, .length = LENGTH) == 0);
    strcpy(mp_shared_memory_buffer(m), "made in a child");
    if (arg != NULL)
        raise(*(int *)arg);
    mp_shared_memory_free(m);
    return 0;
}

static void attach_and_end(void)
{
    mp_shared_memory *m = NULL;
    assert_int_equal(file_length(named("pain")), LENGTH);
    assert_int_equal(mp_shared_memory_new(&m, .name = named("pain"), .length = LENGTH), 0);
    assert_string_equal(mp_shared_memory_buffer(m), "made in a child");
    end(m);
}

/* In Python the child's tracker removes it before the parent has come. */
static void e2_made_in_a_child_for_its_parent(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(create_and_leave, NULL)), 0);
    attach_and_end();
    ours("E2", "there when its maker, a forked child, has ended");
}

/* The one thing that stays here as well: what has a name, until somebody unlinks it. Who has the
 * name can do that, and nothing says that the owner must be alive. */
static void e3_a_dead_owners_block_can_be_unlinked(void **state)
{
    (void)state;
    int deadly = SIGKILL;
    assert_int_equal(child_end(child_start(create_and_leave, &deadly)), -SIGKILL);
    attach_and_end();
    assert_int_equal(file_length(named("pain")), -1);
}

static int unlink_early_and_die(void *arg)
{
    (void)arg;
    mp_shared_memory *m;
    CHECK(mp_shared_memory_new(&m, .name = named("pain"), .create = true, .length = LENGTH) == 0);
    CHECK(mp_shared_memory_unlink(m) == 0);
    raise(SIGKILL);
    return 0;
}

/* Who unlinks as soon as all have attached leaves nothing, whoever dies. */
static void e3_unlinked_early_nothing_stays(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(unlink_early_and_die, NULL)), -SIGKILL);
    assert_int_equal(file_length(named("pain")), -1);
    ours("E3",
         "owner killed: a named block stays until somebody unlinks it, and nothing if that was "
         "done at once; what has no name goes with the last process");
}

/* In Python the second is a traceback, and one more in the tracker. */
static void e4_unlinked_twice_is_a_code(void **state)
{
    (void)state;
    mp_shared_memory *m = make(), *other = NULL;
    assert_int_equal(mp_shared_memory_new(&other, .name = named("pain")), 0);
    assert_int_equal(mp_shared_memory_unlink(other), 0);
    assert_int_equal(mp_shared_memory_unlink(other), MP_ESYS(ENOENT));
    assert_int_equal(mp_shared_memory_unlink(m), MP_ESYS(ENOENT));
    mp_shared_memory_free(other);
    mp_shared_memory_free(m);
    ours("E4", "the second unlink is MP_ESYS(ENOENT)");
}

/* In Python a colon breaks the tracker's lines, and the block leaks. */
static void e5_a_colon_in_a_name(void **state)
{
    (void)state;
    const char *names[] = {"a:b", ":", "a\nb", "a b", "\xc3\xa9", "%s", "-rf", "*", "a\x01\x7f"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mp_shared_memory *m = NULL, *n = NULL;
        const char *name = named(names[i]);
        assert_int_equal(mp_shared_memory_new(&m, .name = name, .create = true, .length = 5), 0);
        assert_string_equal(mp_shared_memory_name(m), name);
        assert_int_equal(file_length(name), 5);
        assert_int_equal(mp_shared_memory_new(&n, .name = name), 0);
        mp_shared_memory_free(n);
        end(m);
        assert_int_equal(file_length(name), -1);
    }
    ours("E5", "works, as do a newline and a blank, and is gone after its unlink");
}

/* In Python a view that somebody still has makes close() fail. Here the close succeeds, pointers
 * are the program's, and another handle of the same block goes on. */
static void e6_close_beside_another_view(void **state)
{
    (void)state;
    mp_shared_memory *m = make(), *other = NULL;
    assert_int_equal(mp_shared_memory_new(&other, .name = named("pain")), 0);
    char *view = (char *)mp_shared_memory_buffer(other) + 5;
    assert_int_equal(mp_shared_memory_close(m), 0);
    assert_null(mp_shared_memory_buffer(m));
    strcpy(view, "view");
    assert_string_equal((char *)mp_shared_memory_buffer(other) + 5, "view");
    mp_shared_memory_free(other);
    end(m);
    ours("E6", "close with a live pointer: 0; the pointer is the program's to forget");
}

static int open_file(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/%s", named("pain"));
    return open(path, O_RDWR | O_CLOEXEC);
}

static int touch_the_end(void *arg)
{
    signal(SIGBUS, SIG_DFL); /* a sanitizer would report it in its own way */
    volatile char *bytes = mp_shared_memory_buffer(arg);
    bytes[0] = 1;
    bytes[LENGTH - 1] = 1;
    return 0;
}

/* A peer that truncates: in Python exit code -7. Here it is told to who asks; to touch what is gone
 * is a SIGBUS still. */
static void e7_a_peer_truncates(void **state)
{
    (void)state;
    mp_shared_memory *m = make(), *late = NULL;
    int fd = open_file();
    assert_true(fd >= 0);
    assert_int_equal(mp_shared_memory_check(m), 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(mp_shared_memory_check(m), MP_ESYS(EFAULT));
    assert_int_equal(mp_shared_memory_length(m), LENGTH);
    assert_int_equal(mp_shared_memory_new(&late, .name = named("pain"), .length = LENGTH),
                     MP_EINVAL);
    assert_int_equal(mp_shared_memory_new(&late, .name = named("pain")), 0);
    assert_int_equal(mp_shared_memory_length(late), 4096);
    assert_int_equal(mp_shared_memory_check(late), 0);
    mp_shared_memory_free(late);
    assert_int_equal(child_end(child_start(touch_the_end, m)), -SIGBUS);

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(mp_shared_memory_check(m), MP_ESYS(EFAULT));
    assert_int_equal(mp_shared_memory_new(&late, .name = named("pain")), MP_EAGAIN);
    /* Cut within the last page, or long again, it can be touched. */
    assert_int_equal(ftruncate(fd, LENGTH - 5), 0);
    assert_int_equal(mp_shared_memory_check(m), 0);
    assert_int_equal(child_end(child_start(touch_the_end, m)), 0);
    close(fd);
    end(m);
    ours("E7",
         "mp_shared_memory_check: MP_ESYS(EFAULT), an attach that asks for the length: MP_EINVAL; "
         "a touch is SIGBUS as ever. What the family shares cannot be truncated");
}

/* Why it cannot be prevented: what lies in /dev/shm takes no seals. */
static void e7_files_cannot_be_sealed(void **state)
{
    (void)state;
    mp_shared_memory *m = make();
    int fd = open_file();
    int rc = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    int cause = errno;
    close(fd);
    end(m);
    assert_int_equal(rc, -1);
    assert_true(cause == EPERM || cause == EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(e1_an_attachers_end_destroys_nothing),
        BLOCK_TEST(e2_made_in_a_child_for_its_parent),
        BLOCK_TEST(e3_a_dead_owners_block_can_be_unlinked),
        BLOCK_TEST(e3_unlinked_early_nothing_stays),
        BLOCK_TEST(e4_unlinked_twice_is_a_code),
        BLOCK_TEST(e5_a_colon_in_a_name),
        BLOCK_TEST(e6_close_beside_another_view),
        BLOCK_TEST(e7_a_peer_truncates),
        BLOCK_TEST(e7_files_cannot_be_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
