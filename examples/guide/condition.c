/* SPDX-License-Identifier: MIT */
/* One process waits until there is enough money, another one pays it in. */
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

struct account {
    mp_condition changed; /* its lock guards what follows */
    long balance;
};

static bool enough(void *arg)
{
    return ((struct account *)arg)->balance >= 100;
}

/* Asks again after MP_OWNERDEAD: one number is never half changed. */
static void wait_for_money(struct account *a)
{
    while (must(mp_condition_wait_for(&a->changed, enough, a, 60)) > 0)
        continue;
}

static int buy(void *arg)
{
    struct account *account = arg;

    MP_WITH (&account->changed) {
        wait_for_money(account);
        account->balance -= 100;
        printf("bought, %ld left\n", account->balance);
    }
    return 0;
}

int main(void)
{
    struct account *account = mp_shared_calloc(1, sizeof *account);
    mp_process *buyer;

    must(mp_shared_error());
    must(mp_condition_init(&account->changed, NULL));
    must(mp_process_new(&buyer, .target = buy, .arg = account));
    must(mp_process_start(buyer));
    for (int paid = 30; paid <= 50; paid += 10)
        MP_WITH (&account->changed) {
            account->balance += paid;
            printf("paid %d\n", paid);
            must(fflush(stdout)); /* before the buyer prints */
            must(mp_condition_notify_all(&account->changed));
        }
    must(mp_process_join(buyer, MP_FOREVER));
    must(mp_process_free(buyer));
    must(mp_condition_fini(&account->changed));
    mp_shared_free(account);
    return 0;
}
