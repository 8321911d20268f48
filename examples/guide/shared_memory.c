/* SPDX-License-Identifier: MIT */
/* A block of memory that another program finds by its name. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

/* It could be any program of this user, also one in Python. */
static int other_program(void *name)
{
    mp_shared_memory *block;

    must(mp_shared_memory_new(&block, .name = name, .length = 100));
    char *text = mp_shared_memory_buffer(block);
    printf("the other reads: %s\n", text);
    snprintf(text, 100, "thank you");
    mp_shared_memory_free(block);
    return 0;
}

int main(void)
{
    mp_shared_memory *block, *again;
    mp_process *other;

    must(mp_shared_memory_new(&block, .create = MP_YES, .length = 100));
    const char *name =
        mp_shared_memory_name(block); /* made up; .name chooses one */
    char *text = mp_shared_memory_buffer(block);
    snprintf(text, 100, "good morning");

    must(mp_process_new(&other, .target = other_program, .arg = (void *)name));
    must(mp_process_start(other));
    must(mp_process_join(other, MP_FOREVER));
    must(mp_process_free(other));
    printf("the answer: %s\n", text);

    must(mp_shared_memory_unlink(
        block)); /* else it would stay until the machine is restarted */
    if (mp_shared_memory_new(&again, .name = name) == MP_ESYS(ENOENT))
        printf("unlinked: nobody finds it any more\n");
    printf("who has it keeps it: %s\n", text);
    mp_shared_memory_free(block);
    return 0;
}
