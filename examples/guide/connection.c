/* SPDX-License-Identifier: MIT */
/* A child is given an open file over a connection, counts its lines and
 * answers. */
#include <mproc.h>
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

static int count_lines(void *connection)
{
    int lines = 0;
    char line[64], answer[64];
    long fd = must(mp_connection_recv_fd(connection, MP_FOREVER));
    FILE *file = fdopen((int)fd, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        lines++;
    int length = snprintf(answer, sizeof answer,
                          "the file that I was given has %d lines", lines);
    must(mp_connection_send(connection, answer, (size_t)length, MP_FOREVER));
    return file == NULL || fclose(file) != 0;
}

int main(void)
{
    mp_connection *mine, *childs;
    mp_process *child;
    must(mp_pipe(&mine, &childs, true));
    must(mp_process_new(&child, .target = count_lines, .arg = childs));
    must(mp_process_start(child));
    mp_connection_free(childs);

    FILE *file = tmpfile();
    if (file == NULL || fputs("one\ntwo\nthree\n", file) < 0 ||
        fseek(file, 0, SEEK_SET) != 0)
        must(MP_ESYS(EIO));
    must(mp_connection_send_fd(mine, fileno(file), MP_FOREVER));
    fclose(file); /* the child has a descriptor of its own */

    char small[8], text[64];
    ssize_t length = mp_connection_recv(mine, small, sizeof small, MP_FOREVER);
    if (length == MP_EMSGSIZE) { /* and it is still there */
        length = mp_connection_next_size(mine, MP_FOREVER);
        printf("%zd bytes do not fit into %zu\n", length, sizeof small);
    }
    length = must(mp_connection_recv(mine, text, sizeof text, MP_FOREVER));
    printf("%.*s\n", (int)length, text);

    must(mp_process_join(child, MP_FOREVER));
    must(mp_process_free(child));
    mp_connection_free(mine);
    return 0;
}
