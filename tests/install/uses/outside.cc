/* SPDX-License-Identifier: MIT */
/* The same in C++17, through the C calls and the two templates. */
#include <cstdlib>
#include <iostream>
#include <mproc.h>

static int put_answer(void *queue)
{
    return MP_PUT(static_cast<mp_queue *>(queue), 42L, MP_FOREVER) < 0;
}

static int square(const void *in, void *out, void *)
{
    int value = *static_cast<const int *>(in);
    *static_cast<int *>(out) = value * value;
    return 0;
}

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    std::cerr << what << ": " << mp_strerror(rc) << '\n';
    std::exit(1);
}

int main()
{
    mp_queue *queue;
    mp_process *process;
    mp_process_options options = {};
    long answer = 0;
    must(mp_queue_create(&queue, nullptr), "queue");
    options.size = sizeof(options);
    options.target = put_answer;
    options.arg = queue;
    must(mp_process_create(&process, &options), "process");
    must(mp_process_start(process), "start");
    must(MP_GET(queue, &answer, MP_FOREVER), "get");
    must(mp_process_join(process, MP_FOREVER), "join");
    int exitcode = mp_process_exitcode(process);
    must(mp_process_free(process), "free");
    mp_queue_free(queue);

    mp_pool *pool;
    mp_pool_options two = {};
    two.size = sizeof(two);
    two.processes = 2;
    int in[] = {1, 2, 3};
    int out[3];
    must(mp_pool_create(&pool, &two), "pool");
    must(MP_MAP(pool, square, in, out, 3), "map");
    must(mp_pool_close(pool), "close");
    must(mp_pool_join(pool, MP_FOREVER), "join");
    mp_pool_free(pool);
    std::cout << "C++ " << answer << ' ' << exitcode << ' ' << out[0] << ' ' << out[1] << ' '
              << out[2] << '\n';
}
