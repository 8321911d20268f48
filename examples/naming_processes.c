/* SPDX-License-Identifier: MIT */
/* A process has the name that it was given, or one that counts. */
#include "support.h"

static int myfunc(void *arg)
{
    const char *name = mp_process_name(mp_current_process());

    (void)arg;
    printf("Starting process name = %s\n", name);
    nap(3);
    printf("Exiting process name = %s\n", name);
    return 0;
}

int main(void)
{
    mp_process *process_with_name, *process_with_default_name;

    CHECK(mp_process_new(&process_with_name, .name = "myFunc process", .target = myfunc));
    CHECK(mp_process_new(&process_with_default_name, .target = myfunc));
    CHECK(mp_process_start(process_with_name));
    CHECK(mp_process_start(process_with_default_name));
    CHECK(mp_process_join(process_with_name, MP_FOREVER));
    CHECK(mp_process_join(process_with_default_name, MP_FOREVER));
    mp_process_free(process_with_name);
    mp_process_free(process_with_default_name);
    return 0;
}
