/* SPDX-License-Identifier: MIT */
/* A worker is killed with a job in its hands; another gets that job, and
 * join sees all done. */
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

static int die_at_work(void *jobs)
{
    int job;
    must(MP_GET(jobs, &job, MP_FOREVER));
    printf("the first worker gets job %d, and dies\n", job);
    fflush(stdout);
    return raise(SIGKILL);
}

static int work(void *jobs)
{
    int rc, job, sum = 0;
    while ((rc = MP_GET(jobs, &job, MP_FOREVER)) == 0) {
        sum += job;
        must(mp_queue_task_done(jobs));
    }
    must(rc == MP_ECLOSED ? 0 : rc);
    printf("the second worker has done jobs that make %d\n", sum);
    return 0;
}

static mp_process *start(mp_target target, mp_queue *jobs)
{
    mp_process *worker;
    must(mp_process_new(&worker, .target = target, .arg = jobs));
    must(mp_process_start(worker));
    return worker;
}

int main(void)
{
    mp_queue *jobs;
    must(mp_queue_new(&jobs, .on_death = MP_REDELIVER));
    for (int job = 1; job <= 5; job++)
        must(MP_PUT(jobs, job, MP_FOREVER));

    mp_process *first = start(die_at_work, jobs);
    must(mp_process_join(first, MP_FOREVER));

    mp_process *second = start(work, jobs);
    must(mp_queue_join(jobs, MP_FOREVER));
    puts("all jobs are done");
    fflush(stdout);
    must(mp_queue_close(jobs));
    must(mp_process_join(second, MP_FOREVER));

    must(mp_process_free(first));
    must(mp_process_free(second));
    mp_queue_free(jobs);
    return 0;
}
