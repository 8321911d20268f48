/* SPDX-License-Identifier: MIT */
/* An event loop of the program's own, on epoll: a queue of the library's, a timer and a pipe.
 * One child puts the squares of ten numbers into the queue and closes it; another one, which
 * knows nothing of the library, writes three lines into the pipe. The loop ends when both have,
 * and the timer has ticked three times. */
#include "support.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int produce(void *arg)
{
    mp_queue *queue = arg;
    for (int i = 1; i <= 10; i++) {
        int square = i * i;
        nap(0.2);
        CHECK(MP_PUT(queue, square, MP_FOREVER));
    }
    return mp_queue_close(queue);
}

/* Each of these returns false when there will be no more. */

/* Readable for no reason or for many: so all that is there is taken, until the queue says that
 * it is empty. That makes its descriptor unreadable. */
static bool on_queue(mp_queue *queue)
{
    int square, rc;
    while ((rc = MP_GET(queue, &square, MP_NO_WAIT)) == 0)
        printf("queue: %d\n", square);
    if (rc != MP_EEMPTY && rc != MP_ECLOSED)
        CHECK(rc);
    return rc != MP_ECLOSED;
}

static bool on_timer(int timer)
{
    static int ticks;
    uint64_t count;
    if (read(timer, &count, sizeof count) == (ssize_t)sizeof count)
        printf("timer: tick %d\n", ++ticks);
    return ticks < 3;
}

static bool on_pipe(int end)
{
    char text[100];
    ssize_t length = read(end, text, sizeof text);
    if (length > 0)
        fwrite(text, 1, (size_t)length, stdout);
    return length > 0;
}

static void add(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(EXIT_FAILURE);
    }
}

/* A timer that ticks twice a second, at the reader's pace. */
static int make_timer(void)
{
    const char *pace = getenv("PACE");
    double period = pace != NULL ? 0.5 * atof(pace) : 0.5;
    if (period < 0.001)
        period = 0.001;
    struct timespec t = {(time_t)period, (long)((period - (double)(time_t)period) * 1e9)};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(timer, 0, &(struct itimerspec){t, t}, NULL);
    return timer;
}

static pid_t start_writer(int *end)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/bin/sh", "sh", "-c", "for i in 1 2 3; do echo pipe: line $i; done", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *end = ends[0];
    return pid;
}

int main(void)
{
    mp_queue *queue;
    mp_process *producer;
    int end = -1, loop = epoll_create1(EPOLL_CLOEXEC), timer = make_timer(), open = 3;

    CHECK(mp_queue_new(&queue));
    CHECK(mp_process_new(&producer, .target = produce, .arg = queue));
    CHECK(mp_process_start(producer));
    pid_t writer = start_writer(&end);
    CHECK(writer);

    int queue_fd = mp_queue_fileno(queue);
    CHECK(queue_fd);
    add(loop, queue_fd);
    add(loop, timer);
    add(loop, end);
    while (open > 0) {
        struct epoll_event event;
        if (epoll_wait(loop, &event, 1, -1) != 1)
            continue;
        int fd = event.data.fd;
        bool goes_on = fd == queue_fd ? on_queue(queue)
                       : fd == timer  ? on_timer(timer)
                                      : on_pipe(end);
        if (!goes_on) {
            epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL);
            open--;
        }
    }
    printf("that is all\n");

    CHECK(mp_fileno_release(queue_fd));
    close(loop);
    close(timer);
    close(end);
    waitpid(writer, NULL, 0);
    CHECK(mp_process_join(producer, MP_FOREVER));
    mp_process_free(producer);
    mp_queue_free(queue);
    return 0;
}
