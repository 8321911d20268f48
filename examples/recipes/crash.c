/* SPDX-License-Identifier: MIT */
/* Four ways to fail in a task, and what the program learns of each. */
#include <mproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static __attribute__((noinline)) int parse_record(const volatile char *record)
{
    return *record == '#' ? -1 : 0; /* the fourth record is at no address */
}

static int task(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    int i = *(const int *)in;
    if (i == 1)
        return mp_task_fail(-22, "record %d is malformed", i); /* fails, and says why */
    if (i == 2)
        exit(3); /* leaves with its process */
    return parse_record(i == 3 ? (const char *)16 : "a record");
}

int main(void)
{
    int items[] = {0, 1, 2, 3, 4};
    mp_task_error errors[5];
    mp_pool *pool;
    must(mp_pool_new(&pool, .processes = 2));
    mp_job job = {.size = sizeof job,
                  .task = task,
                  .in = items,
                  .in_size = sizeof *items,
                  .count = 5,
                  .errors = errors};
    int rc = mp_pool_run(pool, &job, MP_FOREVER);
    printf("the job: %s\n", mp_errname(rc));
    for (mp_task_error *e = errors; e < errors + 5; e++) {
        printf("item %d: %s", (int)(e - errors), e->code == 0 ? "done" : e->text);
        if (strstr(e->backtrace, " parse_record+") != NULL)
            printf(", in parse_record()");
        printf("\n");
    }
    mp_pool_free(pool);
    return 0;
}
