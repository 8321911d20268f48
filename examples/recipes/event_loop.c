/* SPDX-License-Identifier: MIT */
/* One epoll loop of the program's own for a queue and for the end of the child that fills it. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static int child(void *queue)
{
    for (int i = 1; i <= 3; i++)
        must(MP_PUT(queue, i, MP_FOREVER));
    return 7;
}

/* Takes all there is; the look that finds nothing makes the descriptor unreadable. */
static void drain(mp_queue *queue)
{
    int message, rc;
    while ((rc = MP_GET(queue, &message, MP_NO_WAIT)) == 0)
        printf("message %d\n", message);
    must(rc == MP_EEMPTY ? 0 : rc);
}

static int watch(int loop, int fd)
{
    must(fd);
    must(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.fd = fd}}));
    return fd;
}

int main(void)
{
    mp_queue *queue;
    mp_process *process;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    must(mp_queue_new(&queue));
    must(mp_process_new(&process, .target = child, .arg = queue));
    must(mp_process_start(process));
    int messages = watch(loop, mp_queue_fileno(queue));
    int end = watch(loop, mp_process_sentinel(process));
    for (bool running = true; running;) {
        struct epoll_event event = {0};
        must(epoll_wait(loop, &event, 1, -1));
        if (event.data.fd == end)
            running = false;
        drain(queue); /* also at the child's end: what it has put is there */
    }
    printf("exit code %d\n", mp_process_exitcode(process));
    must(mp_fileno_release(messages)); /* before the queue goes; not close() */
    mp_queue_free(queue);
    must(mp_process_free(process)); /* the sentinel goes with it */
}
