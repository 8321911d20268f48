/* SPDX-License-Identifier: MIT */
/* The death of who makes a named block, at each step: it leaves nothing, or the finished block; and
 * an empty file where the name must come first. */
#include <mproc/shared_memory.h>

#include "support/blocks.h"
#include "support/steps.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LENGTH = 10000 };

static int scenario(void *arg)
{
    bool *name_first = arg;
    mp_shared_memory *m;
    if (*name_first && forbid_linkat() != 0)
        return 0;
    CHECK(mp_shared_memory_new(&m, .name = named("step"), .create = true, .length = LENGTH) == 0);
    mp_shared_memory_free(m);
    return 0;
}

/* Whether the file is there, and then whole. */
static void look_at_what_is_left(bool may_be_empty)
{
    mp_shared_memory *m = NULL, *other = NULL;
    int rc = mp_shared_memory_new(&m, .name = named("step"));
    int again = mp_shared_memory_new(&other, .name = named("step"), .create = true, .length = 1);
    mp_shared_memory_free(other);
    if (rc == MP_EAGAIN && may_be_empty) {
        assert_int_equal(again, MP_ESYS(EEXIST));
        char path[64];
        snprintf(path, sizeof path, "/%s", named("step"));
        assert_int_equal(shm_unlink(path), 0);
    } else if (rc == MP_ESYS(ENOENT)) {
        assert_int_equal(again, 0);
        assert_int_equal(mp_shared_memory_new(&m, .name = named("step")), 0);
        assert_int_equal(mp_shared_memory_length(m), 1);
        assert_int_equal(mp_shared_memory_unlink(m), 0);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(again, MP_ESYS(EEXIST));
        assert_int_equal(mp_shared_memory_length(m), LENGTH);
        memset(mp_shared_memory_buffer(m), 'x', LENGTH);
        assert_int_equal(mp_shared_memory_check(m), 0);
        assert_int_equal(mp_shared_memory_unlink(m), 0);
    }
    mp_shared_memory_free(m);
    assert_int_equal(file_length(named("step")), -1);
}

static int trial(const char *step, int nth, void *arg)
{
    bool *name_first = arg;
    int how = kill_at(step, nth, SIGKILL, scenario, arg);
    assert_int_not_equal(how, STEP_FAILED);
    if (how == STEP_REACHED || !*name_first || file_length(named("step")) >= 0)
        look_at_what_is_left(*name_first);
    return how;
}

static void test_the_name_comes_last(void **state)
{
    (void)state;
    bool name_first = false;
    assert_int_equal(each_step("shared_memory.", 3, trial, &name_first), 5);
}

static void test_the_name_comes_first(void **state)
{
    (void)state;
    bool name_first = true;
    int reached = each_step("shared_memory.", 3, trial, &name_first);
    if (reached == 0)
        skip();
    assert_int_equal(reached, 5); /* the first file has no name, the second has one at once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_the_name_comes_last),
        BLOCK_TEST(test_the_name_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
