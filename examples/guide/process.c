/* SPDX-License-Identifier: MIT */
/* Three children: one returns, one gives up with exit(3), one never ends and
 * is terminated. */
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

static int count(void *arg)
{
    int n = *(int *)arg;
    printf("%s counts to %d\n", mp_process_name(mp_current_process()), n);
    return 0;
}

static int give_up(void *arg)
{
    (void)arg;
    exit(3);
}

static int run_on(void *arg)
{
    (void)arg;
    return mp_wait(NULL, 0, MP_FOREVER);
}

int main(void)
{
    mp_process *process[3];
    int n = 10;
    must(mp_process_new(&process[0], .target = count, .arg = &n,
                        .arg_size = sizeof n));
    must(mp_process_new(&process[1], .target = give_up, .name = "quitter"));
    must(mp_process_new(&process[2], .target = run_on, .name = "runner",
                        .daemon = MP_YES));
    for (int i = 0; i < 3; i++)
        must(mp_process_start(process[i]));

    must(mp_process_join(process[0], MP_FOREVER));
    must(mp_process_join(process[1], MP_FOREVER));
    int rc = mp_process_join(process[2], 0.1);
    if (rc == MP_ETIMEDOUT) {
        puts("runner runs on, and is terminated");
        must(mp_process_terminate(process[2]));
        rc = mp_process_join(process[2], MP_FOREVER);
    }
    must(rc);
    for (int i = 0; i < 3; i++) {
        printf("%s: exit code %d\n", mp_process_name(process[i]),
               mp_process_exitcode(process[i]));
        must(mp_process_free(process[i]));
    }
    return 0;
}
