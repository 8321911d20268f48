/* SPDX-License-Identifier: MIT */
/* A job runner that no job can break. Each line of a file is a job: the name of a function of this
 * program, and a number. The jobs run in the workers of a pool, with a time limit; one that returns
 * an error, takes too long, crashes or ends its process is tried again, and reported with the
 * reason in the end. The exit status is 0 if all jobs have succeeded. What becomes of a job is
 * decided in its done callback, so callbacks are all that main waits for. */
#include "support.h"

#include <string.h>

enum { TRIES = 3, MOST = 1000 };

/* In shared memory: the worker looks at what the main process has written last. */
struct job {
    const struct function *function;
    int number, tries;
    bool succeeded;
    char outcome[300];
};

static mp_pool *pool;

/* What jobs do, in a worker. If one breaks, that is the worker's end and nobody else's. */
static int sum(const struct job *job, long *result)
{
    *result = (long)job->number * (job->number + 1) / 2;
    return job->number < 0 ? mp_task_fail(-1, "cannot sum up to %d", job->number) : 0;
}

static int hang(const struct job *job, long *result)
{
    *result = job->number;
    return mp_wait(NULL, 0, MP_FOREVER);
}

static int crash(const struct job *job, long *result)
{
    *result = job->number;
    abort();
}

static int leave(const struct job *job, long *result)
{
    *result = job->number;
    exit(job->number);
}

static int moody(const struct job *job, long *result)
{
    *result = job->tries;
    return job->tries > job->number ? 0 : mp_task_fail(-1, "not in the mood");
}

static const struct function {
    const char *name;
    int (*run)(const struct job *job, long *result);
} functions[] = {
    {"sum", sum}, {"hang", hang}, {"crash", crash}, {"leave", leave}, {"moody", moody}};

static int run(const void *in, void *out, void *context)
{
    (void)in;
    const struct job *job = context;
    return job->function->run(job, out);
}

static void submit(struct job *job);

/* The result is there, or the reason why there is none. */
static void on_done(mp_result *r, void *arg)
{
    struct job *job = arg;
    mp_task_error error;
    long result;
    int rc = mp_result_get(r, &result, sizeof result, MP_NO_WAIT);

    if ((job->succeeded = rc == 0))
        snprintf(job->outcome, sizeof job->outcome, "%ld", result);
    else if (mp_result_error(r, &error) == 1)
        snprintf(job->outcome, sizeof job->outcome, "%s: %s", mp_errname(rc), error.text);
    mp_result_free(r);
    if (!job->succeeded && job->tries < TRIES)
        submit(job);
}

static void submit(struct job *job)
{
    mp_result *r;

    job->tries++;
    CHECK(mp_pool_submit(pool, &r,
                         &(mp_job){.size = sizeof(mp_job),
                                   .task = run,
                                   .context = job,
                                   .out_size = sizeof(long),
                                   .count = 1,
                                   .callback = on_done,
                                   .callback_arg = job}));
}

/* Returns how many jobs there are. */
static int read_jobs(FILE *file, struct job *jobs)
{
    char line[256], name[16];
    int count = 0, number;

    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
            if (sscanf(line, "%15s %d", name, &number) == 2 && strcmp(name, functions[i].name) == 0)
                jobs[count].function = &functions[i];
        if (jobs[count].function == NULL || count == MOST) {
            fprintf(stderr, "jobrunner: no job, or too many: %s", line);
            exit(2);
        }
        jobs[count++].number = number;
    }
    return count;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[1], "r") : NULL;
    double limit = argc == 3 ? atof(argv[2]) : 0;
    struct job *jobs = MP_ARRAY(struct job, MOST + 1);
    int rc, failed = 0;

    if (file == NULL || !(limit > 0)) {
        fprintf(stderr, "usage: jobrunner FILE SECONDS\n");
        return 2;
    }
    CHECK(mp_shared_error());
    int count = read_jobs(file, jobs);
    fclose(file);
    CHECK(mp_pool_new(&pool, .task_timeout = limit));
    for (int i = 0; i < count; i++)
        submit(&jobs[i]);
    while ((rc = mp_pool_dispatch(pool, MP_FOREVER)) > 0)
        continue;
    CHECK(rc);
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    for (int i = 0; i < count; i++) {
        failed += !jobs[i].succeeded;
        printf("%-6s %6d   tries: %d   %s\n", jobs[i].function->name, jobs[i].number, jobs[i].tries,
               jobs[i].outcome);
    }
    mp_shared_free(jobs);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
