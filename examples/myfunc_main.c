/* SPDX-License-Identifier: MIT */
/* Runs myfunc for the number given, in a process of its own. */
#include "myfunc.h"
#include "support.h"

int main(int argc, char **argv)
{
    mp_process *process;
    char *end;
    long i = argc == 2 ? strtol(argv[1], &end, 10) : -1;

    if (i < 0 || i > INT_MAX || end == argv[1] || *end != '\0') {
        fprintf(stderr, "usage: %s NUMBER\n", argv[0]);
        return 2;
    }
    CHECK(mp_process_new(&process, .target = myfunc, .arg = &(int){(int)i}));
    CHECK(mp_process_start(process));
    CHECK(mp_process_join(process, MP_FOREVER));
    mp_process_free(process);
    return 0;
}
