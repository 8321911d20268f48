/* SPDX-License-Identifier: MIT */
/* One call waits for a connection, a queue and the end of a process. */
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

struct shared {
    mp_connection *connection;
    mp_queue *queue;
    mp_semaphore *seen; /* so that one thing happens at a time */
};

static int talk(void *arg)
{
    struct shared *shared = arg;
    must(mp_connection_send(shared->connection, "hello", 5, MP_FOREVER));
    must(mp_semaphore_acquire(shared->seen, MP_FOREVER));
    must(MP_PUT(shared->queue, 42, MP_FOREVER));
    must(mp_semaphore_acquire(shared->seen, MP_FOREVER));
    return 7;
}

int main(void)
{
    struct shared shared;
    mp_connection *reader;
    mp_process *child;
    must(mp_pipe(&reader, &shared.connection, false));
    must(mp_queue_new(&shared.queue));
    must(mp_semaphore_new(&shared.seen, 0));
    must(mp_process_new(&child, .target = talk, .arg = &shared,
                        .arg_size = sizeof shared));
    must(mp_process_start(child));
    mp_connection_free(shared.connection);

    mp_waitable items[] = {{.kind = MP_WAIT_PROCESS, .object = child},
                           {.kind = MP_WAIT_QUEUE, .object = shared.queue},
                           {.kind = MP_WAIT_CONNECTION, .object = reader}};
    int count = 3;
    while (items[0].revents == 0) {
        must(mp_wait(items, count, MP_FOREVER));
        if (items[1].revents != 0) {
            int number;
            must(MP_GET(shared.queue, &number, MP_NO_WAIT));
            printf("the queue holds %d\n", number);
        }
        if (count == 3 && items[2].revents != 0) {
            char text[16];
            ssize_t n = mp_connection_recv(reader, text, sizeof text, 0);
            if (n == MP_EEOF)
                count = 2; /* the end of file stays readable */
            else
                printf("the connection says %.*s\n", (int)must(n), text);
        }
        must(mp_semaphore_release(shared.seen, 1));
    }
    printf("the process has ended with %d\n", mp_process_exitcode(child));

    must(mp_process_free(child));
    mp_connection_free(reader);
    mp_semaphore_free(shared.seen);
    mp_queue_free(shared.queue);
    return 0;
}
