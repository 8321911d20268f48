/* SPDX-License-Identifier: MIT */
/* Counts the lines of the files that it is given, some at a time, and prints them in order. */
#include <errno.h>
#include <mproc.h>
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

/* The input is a pointer: what it points to was there before the pool, so a worker has it, too. */
static int count_lines(const void *in, void *out, void *context)
{
    (void)context;
    const char *name = *(char *const *)in;
    FILE *file = fopen(name, "r");
    if (file == NULL)
        return mp_task_fail(-errno, "%s: %s", name, strerror(errno));
    long lines = 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    *(long *)out = lines;
    return fclose(file);
}

int main(int argc, char **argv)
{
    size_t count = (size_t)argc - 1;
    long *lines = calloc(count + 1, sizeof *lines);
    mp_task_error *errors = calloc(count + 1, sizeof *errors);
    mp_pool *pool;
    must(lines != NULL && errors != NULL ? 0 : MP_ENOMEM);
    must(mp_pool_new(&pool));
    mp_job job = {.size = sizeof job,
                  .task = count_lines,
                  .in = argv + 1,
                  .in_size = sizeof *argv,
                  .out = lines,
                  .out_size = sizeof *lines,
                  .count = count,
                  .errors = errors};
    int rc = mp_pool_run(pool, &job, MP_FOREVER); /* the good ones are delivered all the same */
    for (size_t i = 0; i < count; i++)
        if (errors[i].code == 0)
            printf("%7ld %s\n", lines[i], argv[i + 1]);
        else
            fprintf(stderr, "%s\n", errors[i].text);
    mp_pool_free(pool);
    free(errors);
    free(lines);
    return rc < 0;
}
