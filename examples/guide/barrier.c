/* SPDX-License-Identifier: MIT */
/* Three meet round after round, until one is killed while it waits. */
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

static mp_barrier *barrier;

static int announce(void *arg)
{
    int *round = arg; /* shared: the last to arrive may be any of the three */

    printf("round %d: all are here\n", ++*round);
    return (int)must(fflush(stdout));
}

static int party(void *arg)
{
    int rc = 0;

    (void)arg;
    while (rc >= 0)
        rc = mp_barrier_wait(barrier, MP_FOREVER);
    return rc == MP_EBROKEN ? 0 : 1;
}

int main(void)
{
    mp_process *workers[2];
    int *round = MP_VALUE(int, 0);

    must(mp_shared_error());
    must(mp_barrier_new(&barrier, 3, .action = announce, .action_arg = round));
    for (int i = 0; i < 2; i++) {
        must(mp_process_new(&workers[i], .target = party));
        must(mp_process_start(workers[i]));
    }
    must(mp_barrier_wait(barrier, MP_FOREVER));
    must(mp_barrier_wait(barrier, MP_FOREVER));

    while (must(mp_barrier_waiting(barrier)) < 2) /* for main, again */
        mp_wait(NULL, 0, 0.001);
    must(mp_process_kill(workers[0]));
    must(mp_process_join(workers[0], MP_FOREVER));
    printf("round 3: worker 0 is killed\n");
    must(mp_process_join(workers[1], MP_FOREVER)); /* it was told */
    printf("round 3: worker 1 has ended, too\n");
    if (mp_barrier_broken(barrier))
        printf("round 3: broken off\n");

    must(mp_process_free(workers[0]));
    must(mp_process_free(workers[1]));
    mp_barrier_free(barrier);
    mp_shared_free(round);
    return 0;
}
