/* SPDX-License-Identifier: MIT */
/* Plain frames with Python itself at the other end, if it is installed. */
#include <mproc/connection.h>

#include "support/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#define MIB (1024 * 1024)

static mp_connection *c; /* ours */
static int peer;         /* the bare other end */

static int stream_socket(void **state)
{
    (void)state;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    peer = ends[1];
    return mp_connection_create(&c, ends[0], NULL);
}

static int finish(void **state)
{
    (void)state;
    mp_connection_free(c);
    return close(peer);
}

static void test_python(void **state)
{
    (void)state;
    static const char script[] = "from multiprocessing.connection import Connection\n"
                                 "c = Connection(0)\n"
                                 "while True:\n"
                                 "    m = c.recv_bytes()\n"
                                 "    if not m: break\n"
                                 "    c.send_bytes(m[::-1])\n"
                                 "c.send_bytes(b'')\n";
    if (system("python3 -c 'import multiprocessing.connection' >/dev/null 2>&1") != 0)
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(peer, 0);
        execlp("python3", "python3", "-c", script, (char *)NULL);
        _exit(127);
    }
    static const size_t sizes[] = {1, 5, 16384, 16385, MIB};
    unsigned char *bytes = malloc(MIB), *got = malloc(MIB);
    for (int i = 0; i < 5; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            bytes[j] = (unsigned char)(j % 251);
        assert_int_equal(mp_connection_send(c, bytes, sizes[i], LONG), 0);
        assert_int_equal(mp_connection_recv(c, got, MIB, LONG), (ssize_t)sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(got[j], bytes[sizes[i] - 1 - j]);
    }
    assert_int_equal(mp_connection_send(c, NULL, 0, LONG), 0);
    assert_int_equal(mp_connection_recv(c, got, 1, LONG), 0);
    assert_int_equal(child_end(pid), 0);
    free(bytes);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_python, stream_socket, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
