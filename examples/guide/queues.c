/* SPDX-License-Identifier: MIT */
/* Three workers take numbers from one queue and put their squares into
 * another. */
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

struct queues {
    mp_queue *jobs, *squares;
};

static int work(void *arg)
{
    struct queues *queues = arg;
    int rc;
    long n;
    while ((rc = MP_GET(queues->jobs, &n, MP_FOREVER)) == 0)
        must(MP_PUT(queues->squares, n * n, MP_FOREVER));
    must(rc == MP_ECLOSED ? 0 : rc);
    return 0;
}

int main(void)
{
    struct queues queues;
    mp_process *workers[3];
    must(mp_queue_new(&queues.jobs, .maxsize = 8));
    must(mp_queue_new(&queues.squares));
    for (int i = 0; i < 3; i++) {
        must(mp_process_new(&workers[i], .target = work, .arg = &queues,
                            .arg_size = sizeof queues));
        must(mp_process_start(workers[i]));
    }

    for (long n = 1; n <= 100; n++)
        must(MP_PUT(queues.jobs, n, MP_FOREVER));
    must(mp_queue_close(queues.jobs)); /* who has emptied it is told so */

    long sum = 0;
    for (int i = 1; i <= 100; i++) {
        long square;
        must(MP_GET(queues.squares, &square, MP_FOREVER));
        sum += square;
    }
    printf("the sum of 100 squares is %ld\n", sum);

    for (int i = 0; i < 3; i++) {
        must(mp_process_join(workers[i], MP_FOREVER));
        must(mp_process_free(workers[i]));
    }
    mp_queue_free(queues.jobs);
    mp_queue_free(queues.squares);
    return 0;
}
