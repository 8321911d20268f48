/* SPDX-License-Identifier: MIT */
/* A success, a deadline, a misuse, a failure of the system, an interrupt. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>

static void on_interrupt(int signal)
{
    (void)signal;
    mp_interrupt(); /* the call that waits, or the next one, returns MP_EINTR */
}

static int tell(const char *what, int rc)
{
    printf("%s: %s\n", what, mp_errname(rc));
    return rc;
}

int main(void)
{
    mp_semaphore *none, *permits = NULL;
    mp_shared_memory *block;
    int rc = mp_semaphore_new(&permits, 2, .bound = 2);

    if (rc < 0)
        goto out;
    tell("a semaphore of -1", mp_semaphore_new(&none, -1));
    tell("a permit", mp_semaphore_acquire(permits, MP_FOREVER));
    MP_WITH_STATUS (permits, rc) {
        tell("another", rc);
        tell("a third, within 50 ms", mp_semaphore_acquire(permits, 0.05));
        tell("a third, at once", mp_semaphore_acquire(permits, MP_NO_WAIT));
    } /* given back here */
    tell("a third, later", mp_semaphore_acquire(permits, MP_NO_WAIT));
    tell("no such block",
         mp_shared_memory_new(&block, .name = "no-such-block"));

    signal(SIGINT, on_interrupt);
    raise(SIGINT);
    tell("a wait, interrupted", mp_semaphore_acquire(permits, 60));
out:
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", mp_errname(rc), mp_strerror(rc));
    mp_semaphore_free(permits);
    return rc < 0;
}
