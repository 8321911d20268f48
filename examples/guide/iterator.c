/* SPDX-License-Identifier: MIT */
/* Looks for primes in an endless stream of numbers, and stops at the fifth. */
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

/* The stream: called in this process, whenever the window has room. */
static int next_number(void *arg, void *in)
{
    long *taken = arg;

    *(long *)in = 100000000 + (*taken)++;
    return 0; /* or MP_EEOF at its end */
}

/* The task: from a number to whether it is a prime. */
static int is_prime(const void *in, void *out, void *context)
{
    long n = *(const long *)in, divisor = 2;

    (void)context;
    while (divisor * divisor <= n && n % divisor != 0)
        divisor++;
    *(bool *)out = divisor * divisor > n;
    return 0;
}

int main(void)
{
    long taken = 0, most = 0; /* most: that were taken and not yet returned */
    size_t index;
    bool prime;
    mp_pool *pool;
    mp_iterator *it;

    must(mp_pool_new(&pool, .processes = 2));
    must(mp_pool_imap(pool, &it,
                      &(mp_imap){.size = sizeof(mp_imap),
                                 .task = is_prime,
                                 .next = next_number,
                                 .arg = &taken,
                                 .in_size = sizeof(long),
                                 .out_size = sizeof(bool),
                                 .window = 8}));
    for (int found = 0; found < 5; found += prime) {
        must(mp_iterator_next(it, &prime, &index, MP_FOREVER));
        most = taken - (long)index - 1 > most ? taken - (long)index - 1 : most;
        if (prime)
            printf("10^8 + %zu\n", index);
    }
    printf("taken ahead: %ld\n", most);
    mp_iterator_free(it); /* what is under way is dropped */
    must(mp_pool_close(pool));
    must(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    return 0;
}
