/* SPDX-License-Identifier: MIT */
/* Runs a function from another file in six processes, one after the other. */
#include "myfunc.h"
#include "support.h"

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
