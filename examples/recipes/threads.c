/* SPDX-License-Identifier: MIT */
/* A program with threads: the pool first, the threads then; each gives the pool work of its own. */
#include <mproc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

static mp_pool *pool;

struct part {
    long number, square;
    mp_process *process;
};

static int square(const void *in, void *out, void *context)
{
    (void)context;
    *(long *)out = *(const long *)in * *(const long *)in;
    return 0;
}

/* In a child of a program with threads there is one thread; what the others had locked stays so. */
static int child(void *arg)
{
    return (int)((struct part *)arg)->number;
}

static void *run(void *arg)
{
    struct part *part = arg;
    must(mp_pool_apply(pool, square, &part->number, sizeof(long), &part->square, sizeof(long), 60));
    must(mp_process_new(&part->process, .target = child, .arg = part));
    must(mp_process_start(part->process));
    return mp_process_join(part->process, MP_FOREVER) == 0 ? arg : NULL;
}

int main(void)
{
    pthread_t threads[4];
    struct part parts[4];
    must(mp_pool_new(&pool, .processes = 2)); /* its workers are forked from one thread */
    for (int i = 0; i < 4; i++) {
        parts[i].number = i + 1;
        must(-pthread_create(&threads[i], NULL, run, &parts[i]));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        printf("thread %d: its square is %ld, its child's exit code %d\n", i + 1, parts[i].square,
               mp_process_exitcode(parts[i].process));
    }
    mp_pool_free(pool);
}
