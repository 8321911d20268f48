/* SPDX-License-Identifier: MIT */
/* Runs a function in six processes, one after the other. */
#include "support.h"

static int myfunc(void *arg)
{
    int i = *(int *)arg;

    printf("calling myFunc from process n°: %d\n", i);
    for (int j = 0; j < i; j++)
        printf("output from myFunc is :%d\n", j);
    return 0;
}

int main(void)
{
    for (int i = 0; i < 6; i++) {
        mp_process *process;
        CHECK(mp_process_new(&process, .target = myfunc, .arg = &i, .arg_size = sizeof i));
        CHECK(mp_process_start(process));
        CHECK(mp_process_join(process, MP_FOREVER));
        mp_process_free(process);
    }
    return 0;
}
