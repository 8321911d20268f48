/* SPDX-License-Identifier: MIT */
/* A process is killed while it holds one of two permits: owned permits come
 * back. */
#include <mproc.h>
#include <signal.h>
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

static int die_with_permit(void *printers)
{
    must(mp_semaphore_acquire(printers, MP_FOREVER));
    return raise(SIGKILL);
}

int main(void)
{
    mp_semaphore *printers;
    mp_process *child;
    must(mp_semaphore_new(&printers, 2, .owned = MP_YES));
    must(mp_process_new(&child, .target = die_with_permit, .arg = printers));
    must(mp_process_start(child));
    must(mp_process_join(child, MP_FOREVER));
    printf("exit code %d\n", mp_process_exitcode(child));
    must(mp_process_free(child));

    must(mp_semaphore_acquire(printers, MP_FOREVER));
    must(mp_semaphore_acquire(printers, MP_FOREVER));
    puts("both permits are mine");
    must(mp_semaphore_release(printers, 2));
    printf("%d are free\n", mp_semaphore_value(printers));
    mp_semaphore_free(printers);
    return 0;
}
