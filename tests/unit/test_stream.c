/* SPDX-License-Identifier: MIT */
/* Pipes that cannot be asked not to block, as on kernels without RWF_NOWAIT for pipes. */
#include "os/stream.h"

#include "support/child.h"

#include <mproc/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int ends[2];

static int begin(void **state)
{
    (void)state;
    alarm(60); /* a call that blocks is a failure */
    return pipe(ends);
}

static int finish(void **state)
{
    (void)state;
    alarm(0);
    close(ends[0]);
    return close(ends[1]);
}

static void test_reading(void **state)
{
    (void)state;
    mp__stream *s = &(mp__stream){.fd = ends[0], .is_patient = true};
    char got[64];
    assert_int_equal(mp__stream_read(s, got, sizeof got), MP_EAGAIN);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    assert_int_equal(mp__stream_read(s, got, 2), 2);
    assert_int_equal(mp__stream_read(s, got, sizeof got), 1);
    assert_int_equal(mp__stream_read(s, got, sizeof got), MP_EAGAIN);
    close(ends[1]);
    assert_int_equal(mp__stream_read(s, got, sizeof got), 0);
    ends[1] = dup(ends[0]);
}

static void test_writing(void **state)
{
    (void)state;
    mp__stream *s = &(mp__stream){.fd = ends[1], .is_patient = true};
    char bytes[100000] = {0};
    struct iovec parts[2] = {{bytes, 4}, {bytes, sizeof bytes}};
    ssize_t n, in = 0;
    while ((n = mp__stream_write(s, parts, 2)) > 0)
        in += n;
    assert_int_equal(n, MP_EAGAIN);
    assert_true(in >= 4096);
    assert_int_equal(read(ends[0], bytes, 4096), 4096);
    assert_true(mp__stream_write(s, parts, 2) > 0);
    close(ends[0]);
    assert_int_equal(mp__stream_write(s, parts, 2), MP_EPIPE); /* and no signal */
    ends[0] = dup(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reading, begin, finish),
        cmocka_unit_test_setup_teardown(test_writing, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
