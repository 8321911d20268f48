/* SPDX-License-Identifier: MIT */
/* late LIBRARY: a program that is not linked with the library loads it late, in a thread, and uses
 * a queue, a process and a pool by names. After dlclose() what it has made goes on. */
#include <dlfcn.h>
#include <mproc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What other libraries of a large program may keep for each thread. */
static _Thread_local char ours[4000] = "ours";

static struct {
    int (*queue_create)(mp_queue **, const mp_queue_options *);
    int (*queue_put)(mp_queue *, const void *, size_t, double);
    ssize_t (*queue_get)(mp_queue *, void *, size_t, double);
    void (*queue_free)(mp_queue *);
    int (*process_create)(mp_process **, const mp_process_options *);
    int (*process_start)(mp_process *);
    int (*process_join)(mp_process *, double);
    int (*process_free)(mp_process *);
    int (*pool_create)(mp_pool **, const mp_pool_options *);
    int (*pool_map)(mp_pool *, mp_task, const void *, size_t, void *, size_t, size_t);
    int (*pool_close)(mp_pool *);
    int (*pool_join)(mp_pool *, double);
    void (*pool_free)(mp_pool *);
    const char *(*text_of)(int);
} mp;

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, mp.text_of(rc));
    exit(1);
}

static void load(void *library)
{
    static const char *const names[] = {"mp_queue_create", "mp_queue_put",      "mp_queue_get",
                                        "mp_queue_free",   "mp_process_create", "mp_process_start",
                                        "mp_process_join", "mp_process_free",   "mp_pool_create",
                                        "mp_pool_map",     "mp_pool_close",     "mp_pool_join",
                                        "mp_pool_free",    "mp_strerror"};
    void **slot = (void **)(void *)&mp;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        slot[i] = dlsym(library, names[i]);
        if (slot[i] == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            exit(1);
        }
    }
}

static int put_answer(void *queue)
{
    long answer = 42;
    return mp.queue_put(queue, &answer, sizeof answer, MP_FOREVER) < 0;
}

static int square(const void *in, void *out, void *context)
{
    (void)context;
    int value = *(const int *)in;
    *(int *)out = value * value;
    return 0;
}

static void *use(void *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    load(library);
    mp_queue *queue;
    mp_process *process;
    mp_pool *pool;
    long answer = 0;
    must(mp.queue_create(&queue, NULL), "queue");
    mp_process_options options = {.size = sizeof options, .target = put_answer, .arg = queue};
    must(mp.process_create(&process, &options), "process");
    must(mp.process_start(process), "start");
    mp_pool_options two = {.size = sizeof two, .processes = 2};
    must(mp.pool_create(&pool, &two), "pool");
    if (dlclose(library) != 0)
        exit(1);

    must((int)mp.queue_get(queue, &answer, sizeof answer, MP_FOREVER), "get");
    must(mp.process_join(process, MP_FOREVER), "join");
    must(mp.process_free(process), "free");
    mp.queue_free(queue);
    int in[] = {1, 2, 3};
    int out[3];
    must(mp.pool_map(pool, square, in, sizeof *in, out, sizeof *out, 3), "map");
    must(mp.pool_close(pool), "close");
    must(mp.pool_join(pool, MP_FOREVER), "join");
    mp.pool_free(pool);
    printf("late %ld %d %d %d %s\n", answer, out[0], out[1], out[2], ours);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 2 || pthread_create(&thread, NULL, use, argv[1]) != 0)
        return 1;
    return pthread_join(thread, NULL);
}
