/* SPDX-License-Identifier: MIT */
/* Four processes pay into an account, while a fifth is killed in the middle
 * of its change. */
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

struct account {
    mp_lock lock;
    long deposits, total; /* how many, of 5 each; and their sum */
};

static void deposit(struct account *account, int times)
{
    int rc = 0;
    while (times-- > 0 && must(rc) >= 0)
        MP_WITH_STATUS (&account->lock, rc) {
            if (rc == MP_OWNERDEAD) { /* told once, to the next owner */
                puts("The owner died between two steps: the first is undone.");
                account->deposits = account->total / 5;
            }
            account->deposits++;
            account->total += 5;
        }
}

static int pay(void *account)
{
    deposit(account, 1000);
    return 0;
}

static int die_midway(void *arg)
{
    struct account *account = arg;
    must(mp_lock_acquire(&account->lock, MP_FOREVER));
    account->deposits++;
    return raise(SIGKILL);
}

int main(void)
{
    mp_process *process[5];
    struct account *account = MP_VALUE(struct account, {.total = 0});
    must(mp_shared_error());
    must(mp_lock_init(&account->lock));
    for (int i = 0; i < 5; i++) {
        must(mp_process_new(&process[i], .target = i ? pay : die_midway,
                            .arg = account));
        must(mp_process_start(process[i]));
    }
    for (int i = 0; i < 5; i++) {
        must(mp_process_join(process[i], MP_FOREVER));
        must(mp_process_free(process[i]));
    }
    deposit(account, 1);
    printf("%ld deposits, %ld in all\n", account->deposits, account->total);
    mp_lock_fini(&account->lock);
    mp_shared_free(account);
    return 0;
}
