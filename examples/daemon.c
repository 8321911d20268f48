/* SPDX-License-Identifier: MIT */
/* A daemonic process ends with its parent; any other one is waited for at the end of main. */
#include "support.h"

struct range {
    int first, last;
};

static int count(void *arg)
{
    struct range *range = arg;
    const char *name = mp_process_name(mp_current_process());

    printf("Starting %s\n", name);
    for (int i = range->first; i <= range->last; i++) {
        printf("%s ---> %d\n", name, i);
        nap(1);
    }
    printf("Exiting %s\n", name);
    return 0;
}

int main(void)
{
    struct range low = {0, 9}, high = {10, 14};
    mp_process *background, *foreground;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what the daemon printed is not to end with it */
    CHECK(mp_process_new(&background, .name = "background_process", .daemon = MP_YES,
                         .target = count, .arg = &low));
    CHECK(mp_process_new(&foreground, .name = "NO_background_process", .daemon = MP_NO,
                         .target = count, .arg = &high));
    CHECK(mp_process_start(background));
    CHECK(mp_process_start(foreground));

    nap(2.5);
    printf("Exiting main\n");
    return 0;
}
