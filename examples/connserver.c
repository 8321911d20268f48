/* SPDX-License-Identifier: MIT */
/* A server whose connections are served by worker processes. The main process accepts in an epoll
 * loop, and sends each connection's descriptor down a pipe from which all workers receive: the next
 * one that is free gets it. A worker that is killed takes its one connection along, and is
 * replaced. SIGTERM and ctrl-C end the server in order: what was accepted is served first. */
#include "support.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 3, LISTENER = WORKERS, SIGNALS, PATIENCE = 5 /* seconds */ };

static int loop, listener, signals;
static mp_connection *taking, *giving; /* the ends of the pipe */
static mp_process *workers[WORKERS];
static sigset_t ends;

/* Ends the process with errno's reason if a call of the system failed. */
static int must(int result, const char *call)
{
    check(result < 0 ? MP_ESYS(errno) : 0, call);
    return result;
}

/* Answers each line with the same, and who served it. Who is silent too long is hung up on. */
static void serve(int fd)
{
    struct timeval limit = {.tv_sec = PATIENCE};
    FILE *in = fdopen(fd, "r");
    char line[1000];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    CHECK(in != NULL ? 0 : MP_ENOMEM);
    while (fgets(line, sizeof line, in) != NULL && dprintf(fd, "%d: %s", getpid(), line) > 0)
        continue;
    fclose(in);
}

static int work(void *arg)
{
    int fd;

    (void)arg;
    signal(SIGINT, SIG_IGN); /* ctrl-C is the server's affair */
    sigprocmask(SIG_UNBLOCK, &ends, NULL);
    close(loop);
    close(listener);
    close(signals);
    mp_connection_close(giving); /* so that the end comes when the server closes it */
    while ((fd = mp_connection_recv_fd(taking, MP_FOREVER)) >= 0)
        serve(fd);
    return fd != MP_EEOF;
}

static void watch(int fd, uint32_t source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};
    must(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void start(uint32_t i)
{
    CHECK(mp_process_new(&workers[i], .target = work, .daemon = MP_YES));
    CHECK(mp_process_start(workers[i]));
    watch(mp_process_sentinel(workers[i]), i);
}

static void replace(uint32_t i)
{
    CHECK(mp_process_join(workers[i], MP_FOREVER));
    fprintf(stderr, "a worker ended with %d\n", mp_process_exitcode(workers[i]));
    epoll_ctl(loop, EPOLL_CTL_DEL, mp_process_sentinel(workers[i]), NULL);
    CHECK(mp_process_free(workers[i]));
    start(i);
}

/* If all workers are busy and the pipe is full for a second, the client is turned away. */
static void hand_over(void)
{
    int fd = accept(listener, NULL, NULL);
    int rc = fd >= 0 ? mp_connection_send_fd(giving, fd, 1) : MP_ESYS(errno);

    if (fd >= 0)
        close(fd);
    if (rc < 0 && rc != MP_ESYS(EAGAIN) && rc != MP_ESYS(ECONNABORTED)) {
        fprintf(stderr, "turned away: %s\n", mp_strerror(rc));
        mp_wait(NULL, 0, 0.1); /* if descriptors are short, time helps */
    }
}

static void listen_at(in_port_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr *a = (struct sockaddr *)&address;
    socklen_t size = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), "setsockopt");
    must(bind(listener, a, size), "bind");
    must(listen(listener, SOMAXCONN), "listen");
    must(getsockname(listener, a, &size), "getsockname");
    printf("port %d\n", ntohs(address.sin_port));
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.data.u32 = LISTENER};
    char *end = NULL;
    long port = argc == 2 ? strtol(argv[1], &end, 10) : -1;

    if (port < 0 || port > 65535 || end == argv[1] || *end != '\0') {
        fprintf(stderr, "usage: connserver PORT, of 127.0.0.1; 0 takes any that is free\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* both become something to read, for the loop */
    signals = must(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd");
    loop = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    listen_at((in_port_t)port);
    watch(listener, LISTENER);
    watch(signals, SIGNALS);
    CHECK(mp_pipe(&taking, &giving, false));
    for (uint32_t i = 0; i < WORKERS; i++)
        start(i);
    while (event.data.u32 != SIGNALS) {
        if (epoll_wait(loop, &event, 1, -1) != 1)
            continue;
        if (event.data.u32 == LISTENER)
            hand_over();
        else if (event.data.u32 < WORKERS)
            replace(event.data.u32);
    }
    close(listener);
    mp_connection_free(giving); /* who has served what he has, and what is in the pipe, sees it */
    for (int i = 0; i < WORKERS; i++)
        CHECK(mp_process_join(workers[i], 2 * PATIENCE));
    mp_connection_free(taking);
    printf("ended\n");
    return 0; /* and whoever still serves is ended */
}
