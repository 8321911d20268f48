/* SPDX-License-Identifier: MIT */
/* A sensor says when it is ready, and measures until SIGTERM. */
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

static mp_event *ready, *stop;

static void on_term(int signal)
{
    (void)signal;
    mp_event_set(stop); /* may be called in a handler */
}

static int sensor(void *arg)
{
    long *readings = arg;

    must(mp_event_set(ready));
    do
        ++*readings;
    while (mp_event_wait(stop, 0.01) == MP_ETIMEDOUT); /* 10 ms, or less */
    return 0;
}

int main(void)
{
    long *readings = MP_VALUE(long, 0);
    mp_process *p;

    must(mp_shared_error());
    must(mp_event_new(&ready));
    must(mp_event_new(&stop));
    signal(SIGTERM, on_term);
    must(mp_process_new(&p, .target = sensor, .arg = readings));
    printf("ready: %d\n", mp_event_is_set(ready));
    must(mp_process_start(p));
    must(mp_event_wait(ready, 60));
    printf("ready: %d\n", mp_event_is_set(ready));
    printf("in time: %d\n", mp_process_join(p, 0.1) == 0);

    raise(SIGTERM); /* as the shell's kill would */
    must(mp_process_join(p, MP_FOREVER));
    printf("stopped: %d, readings: %s\n", mp_process_exitcode(p),
           *readings > 0 ? "some" : "none");
    must(mp_process_free(p));
    mp_event_free(ready);
    mp_event_free(stop);
    mp_shared_free(readings);
    return 0;
}
