/* SPDX-License-Identifier: MIT */
/* A child sends three messages and is killed: they arrive, and then the end
 * of file. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

struct ends {
    mp_connection *reader, *writer;
};

static int send_three(void *arg)
{
    struct ends *pipe = arg;
    mp_connection_free(
        pipe->reader); /* each process closes the end that it does not use */

    for (int i = 1; i <= 3; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "message %d", i);
        must(
            mp_connection_send(pipe->writer, text, (size_t)length, MP_FOREVER));
    }
    return raise(SIGKILL);
}

int main(void)
{
    struct ends pipe;
    mp_process *child;
    must(mp_pipe(&pipe.reader, &pipe.writer, false));
    must(mp_process_new(&child, .target = send_three, .arg = &pipe,
                        .arg_size = sizeof pipe));
    must(mp_process_start(child));
    mp_connection_free(pipe.writer); /* or the end of file would never come */

    char text[32];
    ssize_t length;
    while ((length = mp_connection_recv(pipe.reader, text, sizeof text,
                                        MP_FOREVER)) >= 0)
        printf("%.*s\n", (int)length, text);
    must(length == MP_EEOF ? 0 : length);

    must(mp_process_join(child, MP_FOREVER));
    printf("end of file, exit code %d\n", mp_process_exitcode(child));
    mp_connection_free(pipe.reader);
    must(mp_process_free(child));
    return 0;
}
