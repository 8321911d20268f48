/* SPDX-License-Identifier: MIT */
/* transfer() locks, and calls withdraw() and deposit(), which lock as well. */
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

struct bank {
    mp_rlock lock;
    long account[2];
};

static void deposit(struct bank *bank, int i, long amount)
{
    MP_WITH (&bank->lock)
        bank->account[i] += amount;
}

static bool withdraw(struct bank *bank, int i, long amount)
{
    MP_WITH (&bank->lock) {
        if (bank->account[i] < amount)
            return false; /* releases the lock */
        bank->account[i] -= amount;
    }
    return true;
}

static int transfer(void *arg)
{
    struct bank *bank = arg;
    for (int i = 0; i < 1000; i++)
        MP_WITH (&bank->lock) /* nobody sees the money that is on its way */
            if (withdraw(bank, 0, 1))
                deposit(bank, 1, 1);
    return 0;
}

int main(void)
{
    mp_process *process[3];
    struct bank *bank = MP_VALUE(struct bank, {.account = {2500, 0}});
    must(mp_shared_error());
    must(mp_rlock_init(&bank->lock));
    for (int i = 0; i < 3; i++) {
        must(mp_process_new(&process[i], .target = transfer, .arg = bank));
        must(mp_process_start(process[i]));
    }
    for (int i = 0; i < 3; i++) {
        must(mp_process_join(process[i], MP_FOREVER));
        must(mp_process_free(process[i]));
    }
    printf("%ld here, %ld there\n", bank->account[0], bank->account[1]);
    must(mp_rlock_fini(&bank->lock));
    mp_shared_free(bank);
    return 0;
}
