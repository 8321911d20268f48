/* SPDX-License-Identifier: MIT */
/* A subclass of Process: its own run(), and names of its own. */
#include "support.h"

static int run(mp_process *self)
{
    printf("called run method in %s\n", mp_process_name(self));
    return 0;
}

static const mp_process_class MyProcess = {.name = "MyProcess", .run = run};

int main(void)
{
    for (int i = 0; i < 10; i++) {
        mp_process *process;
        CHECK(mp_process_new(&process, .subclass = &MyProcess));
        CHECK(mp_process_start(process));
        CHECK(mp_process_join(process, MP_FOREVER));
        mp_process_free(process);
    }
    return 0;
}
