/* SPDX-License-Identifier: MIT */
/* Numbers go to three squarers, squares to one adder; a squarer is killed, and nothing is lost. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static mp_queue *numbers, *squares; /* made before the children, who inherit them */
static _Atomic int *tries;

static int square(void *unused)
{
    long number;
    while (MP_GET(numbers, &number, MP_FOREVER) == 0) {
        if (number == 500 && (*tries)++ == 0)
            raise(SIGKILL);
        must(MP_PUT(squares, number * number, MP_FOREVER));
        must(mp_queue_task_done(numbers)); /* a death before this brings the number back */
    }
    return unused != NULL; /* MP_ECLOSED: closed and drained */
}

static int add(void *unused)
{
    long square, count = 0, sum = 0;
    for (; MP_GET(squares, &square, MP_FOREVER) == 0; count++)
        sum += square;
    printf("%ld squares, their sum is %ld\n", count, sum);
    return unused != NULL;
}

int main(void)
{
    mp_process *children[4]; /* the adder, and the squarers */
    must(mp_queue_new(&numbers, .maxsize = 100, .on_death = MP_REDELIVER));
    must(mp_queue_new(&squares, .maxsize = 100));
    tries = MP_VALUE(_Atomic int, 0);
    must(mp_shared_error());
    for (int i = 0; i < 4; i++) {
        must(mp_process_new(&children[i], .target = i == 0 ? add : square));
        must(mp_process_start(children[i]));
    }
    for (long i = 1; i <= 1000; i++)
        must(MP_PUT(numbers, i, 60));
    must(mp_queue_close(numbers)); /* the squarers end when it is empty ... */
    for (int i = 1; i < 4; i++)
        must(mp_process_join(children[i], MP_FOREVER));
    must(mp_queue_close(squares)); /* ... and then the adder */
    must(mp_process_join(children[0], MP_FOREVER));
    printf("squarers killed: %d\n", *tries - 1);
    return mp_process_exitcode(children[0]);
}
