/* SPDX-License-Identifier: MIT */
/* Ten numbers go down one pipe, and their squares down another. The end of file comes when the last
 * copy of the writing end is closed, so each process closes the ends that it does not use. */
#include "support.h"

struct pipe {
    mp_connection *reader, *writer;
};

static int create_items(void *arg)
{
    struct pipe *pipe = arg;

    mp_connection_close(pipe->reader);
    for (int item = 0; item < 10; item++)
        CHECK(mp_connection_send(pipe->writer, &item, sizeof item, MP_FOREVER));
    mp_connection_close(pipe->writer);
    return 0;
}

static bool receive(mp_connection *reader, int *item)
{
    ssize_t length = mp_connection_recv(reader, item, sizeof *item, MP_FOREVER);

    if (length == MP_EEOF)
        return false;
    check(length, "mp_connection_recv");
    return true;
}

static int multiply_items(void *arg)
{
    struct pipe *in = arg, *out = in + 1;
    int item;

    mp_connection_close(in->writer);
    mp_connection_close(out->reader);
    while (receive(in->reader, &item)) {
        int square = item * item;
        CHECK(mp_connection_send(out->writer, &square, sizeof square, MP_FOREVER));
    }
    mp_connection_close(out->writer);
    return 0;
}

int main(void)
{
    struct pipe pipes[2];
    mp_process *creator, *multiplier;
    int item;

    CHECK(mp_pipe(&pipes[0].reader, &pipes[0].writer, false));
    CHECK(mp_process_new(&creator, .target = create_items, .arg = &pipes[0]));
    CHECK(mp_process_start(creator));

    CHECK(mp_pipe(&pipes[1].reader, &pipes[1].writer, false));
    CHECK(mp_process_new(&multiplier, .target = multiply_items, .arg = pipes));
    CHECK(mp_process_start(multiplier));

    mp_connection_free(pipes[0].reader);
    mp_connection_free(pipes[0].writer);
    mp_connection_free(pipes[1].writer);
    while (receive(pipes[1].reader, &item))
        printf("%d\n", item);
    printf("End\n");

    mp_connection_free(pipes[1].reader);
    CHECK(mp_process_join(creator, MP_FOREVER));
    CHECK(mp_process_join(multiplier, MP_FOREVER));
    mp_process_free(creator);
    mp_process_free(multiplier);
    return 0;
}
