/* SPDX-License-Identifier: MIT */
/* The life of a process: before its start, running, terminated, joined. */
#include "support.h"

static int foo(void *arg)
{
    (void)arg;
    printf("Starting function\n");
    for (int i = 0; i < 10; i++) {
        printf("-->%d\n", i);
        nap(1);
    }
    printf("Finished function\n");
    return 0;
}

static void report(const char *state, const mp_process *p)
{
    char repr[128];
    bool alive;

    do { /* it may end between the two looks */
        alive = mp_process_is_alive(p);
        mp_process_repr(p, repr, sizeof repr);
    } while (alive != mp_process_is_alive(p));
    printf("Process %s: %s %s\n", state, repr, alive ? "True" : "False");
}

int main(void)
{
    mp_process *p;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what foo printed is not to end with it */
    CHECK(mp_process_new(&p, .target = foo));
    report("before execution", p);
    CHECK(mp_process_start(p));
    report("running", p);
    CHECK(mp_process_terminate(p));
    report("terminated", p);
    CHECK(mp_process_join(p, MP_FOREVER));
    report("joined", p);
    printf("Process exit code: %d\n", mp_process_exitcode(p));
    mp_process_free(p);
    return 0;
}
