/* SPDX-License-Identifier: MIT */
/* The daemonic process is ended at the end of main, the other one is waited for. */
#include "support.h"

#include <string.h>

static int foo(void *arg)
{
    const char *name = mp_process_name(mp_current_process());
    int first = strcmp(name, "background_process") == 0 ? 0 : 5;

    (void)arg;
    printf("Starting %s\n", name);
    for (int i = first; i < first + 5; i++)
        printf("---> %d\n", i);
    nap(1);
    printf("Exiting %s\n", name);
    return 0;
}

int main(void)
{
    mp_process *background_process, *NO_background_process;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what the daemon printed is not to end with it */
    CHECK(mp_process_new(&background_process, .name = "background_process", .target = foo,
                         .daemon = MP_YES));
    CHECK(mp_process_new(&NO_background_process, .name = "NO_background_process", .target = foo,
                         .daemon = MP_NO));
    CHECK(mp_process_start(background_process));
    CHECK(mp_process_start(NO_background_process));
    return 0; /* which ends the one and waits for the other */
}
