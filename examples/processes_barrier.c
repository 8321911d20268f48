/* SPDX-License-Identifier: MIT */
/* Two processes meet at a barrier and take the time when they leave it; two others take it when
 * they come by. A lock keeps the lines apart. */
#include "support.h"

#include <time.h>

struct tools {
    mp_barrier *synchronizer;
    mp_lock *serializer;
};

static void print_time(const struct timespec *now)
{
    char date[32];

    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime(&now->tv_sec));
    printf("process %s ----> %s.%06ld\n", mp_process_name(mp_current_process()), date,
           now->tv_nsec / 1000);
    fflush(stdout);
}

static int test_with_barrier(void *arg)
{
    struct tools *tools = arg;
    struct timespec now;

    CHECK(mp_barrier_wait(tools->synchronizer, MP_FOREVER));
    timespec_get(&now, TIME_UTC);
    MP_WITH (tools->serializer) {
        print_time(&now);
    }
    return 0;
}

static int test_without_barrier(void *arg)
{
    struct timespec now;

    (void)arg;
    timespec_get(&now, TIME_UTC);
    print_time(&now);
    return 0;
}

int main(void)
{
    struct tools tools;
    mp_process *p[4];

    CHECK(mp_barrier_new(&tools.synchronizer, 2));
    CHECK(mp_lock_new(&tools.serializer));
    CHECK(mp_process_new(&p[0], .name = "p1 - test_with_barrier", .target = test_with_barrier,
                         .arg = &tools));
    CHECK(mp_process_new(&p[1], .name = "p2 - test_with_barrier", .target = test_with_barrier,
                         .arg = &tools));
    CHECK(
        mp_process_new(&p[2], .name = "p3 - test_without_barrier", .target = test_without_barrier));
    CHECK(
        mp_process_new(&p[3], .name = "p4 - test_without_barrier", .target = test_without_barrier));
    for (int i = 0; i < 4; i++)
        CHECK(mp_process_start(p[i]));

    for (int i = 0; i < 4; i++) {
        CHECK(mp_process_join(p[i], MP_FOREVER));
        mp_process_free(p[i]);
    }
    mp_lock_free(tools.serializer);
    mp_barrier_free(tools.synchronizer);
    return 0;
}
