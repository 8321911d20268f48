/* SPDX-License-Identifier: MIT */
/* Six processes print pages, on two printers. */
#include <mproc.h>
#include <stdatomic.h>
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

struct office {
    mp_semaphore printers;
    atomic_int pages, printing;
    atomic_bool crowded;
};

static int print_pages(void *arg)
{
    struct office *office = arg;
    for (int page = 0; page < 50; page++)
        MP_WITH (&office->printers) {
            if (++office->printing > 2)
                office->crowded = true;
            office->pages++;
            office->printing--;
        }
    return 0;
}

int main(void)
{
    mp_process *process[6];
    struct office *office = MP_VALUE(struct office, {.pages = 0});
    must(mp_shared_error());
    must(mp_semaphore_init(&office->printers, 2, NULL));
    for (int i = 0; i < 6; i++) {
        must(mp_process_new(&process[i], .target = print_pages, .arg = office));
        must(mp_process_start(process[i]));
    }
    for (int i = 0; i < 6; i++) {
        must(mp_process_join(process[i], MP_FOREVER));
        must(mp_process_free(process[i]));
    }
    printf("%d pages, %s two at a time\n", office->pages,
           office->crowded ? "more than" : "at most");
    must(mp_semaphore_fini(&office->printers));
    mp_shared_free(office);
    return 0;
}
