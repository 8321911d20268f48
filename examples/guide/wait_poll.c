/* SPDX-License-Identifier: MIT */
/* A queue in a program's own poll() loop, beside the end of the process that
 * fills it. */
#include <errno.h>
#include <mproc.h>
#include <poll.h>
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

static int produce(void *queue)
{
    for (int i = 1; i <= 3; i++)
        must(MP_PUT(queue, i, MP_FOREVER));
    return 0;
}

int main(void)
{
    mp_queue *queue;
    mp_process *child;
    must(mp_queue_new(&queue));
    must(mp_process_new(&child, .target = produce, .arg = queue));
    must(mp_process_start(child));

    struct pollfd fds[] = {
        {.fd = (int)must(mp_queue_fileno(queue)), .events = POLLIN},
        {.fd = (int)must(mp_process_sentinel(child)), .events = POLLIN}};
    bool runs = true;
    while (runs) {
        int rc, number;
        if (poll(fds, 2, -1) < 0)
            must(MP_ESYS(errno));
        runs = fds[1].revents == 0; /* if not, all that it has put is there */
        while ((rc = MP_GET(queue, &number, MP_NO_WAIT)) == 0)
            printf("got %d\n", number);
        must(rc == MP_EEMPTY ? 0 : rc);
    }
    printf("exit code %d\n", mp_process_exitcode(child));

    must(mp_fileno_release(fds[0].fd));
    must(mp_process_free(child));
    mp_queue_free(queue);
    return 0;
}
