/* SPDX-License-Identifier: MIT */
/* Many small messages in few calls: put_many puts a list, get_many takes
 * what is there. */
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

enum { COUNT = 1000, BATCH = 64 };

static int measure(void *arg)
{
    mp_queue *samples = arg;
    int values[COUNT];
    mp_bytes messages[COUNT];
    for (int i = 0; i < COUNT; i++) {
        values[i] = i;
        messages[i] =
            (mp_bytes){.data = &values[i], .length = sizeof values[i]};
    }
    for (int done = 0; done < COUNT;)
        done += (int)must(mp_queue_put_many(samples, messages + done,
                                            COUNT - done, MP_FOREVER));
    must(mp_queue_close(samples));
    return 0;
}

int main(void)
{
    mp_queue *samples;
    mp_process *sensor;
    must(mp_queue_new(&samples, .maxsize = 256));
    must(mp_process_new(&sensor, .target = measure, .arg = samples));
    must(mp_process_start(sensor));

    int values[BATCH] = {0}, got;
    mp_bytes messages[BATCH];
    for (int i = 0; i < BATCH; i++)
        messages[i] =
            (mp_bytes){.data = &values[i], .capacity = sizeof values[i]};
    long count = 0, sum = 0;
    while ((got = mp_queue_get_many(samples, messages, BATCH, MP_FOREVER)) >
           0) {
        for (int i = 0; i < got; i++)
            sum += values[i];
        count += got;
    }
    must(got == MP_ECLOSED ? 0 : got);
    printf("%ld samples, their sum is %ld\n", count, sum);

    must(mp_process_join(sensor, MP_FOREVER));
    must(mp_process_free(sensor));
    mp_queue_free(samples);
    return 0;
}
