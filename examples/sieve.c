/* SPDX-License-Identifier: MIT */
/* Counts primes. The numbers are cut into segments, and the workers of a pool sieve one each at a
 * time. What every segment needs, the primes up to the square root, is made before the pool, so
 * that the workers have it for nothing: they are forked. A worker that is killed costs no more than
 * its segment's time. */
#include "support.h"

#include <string.h>

enum { SEGMENT = 1000000 };
static const int64_t MOST = 1000000000000;

struct segment {
    int64_t first, last;
};

struct primes {
    int64_t *list;
    size_t count;
};

/* The primes up to the square root of a limit, by the sieve of Eratosthenes. */
static struct primes find_primes(int64_t limit)
{
    int64_t root = 1;
    while ((root + 1) * (root + 1) <= limit)
        root++;
    struct primes primes = {malloc((size_t)root * sizeof(int64_t)), 0};
    bool *composite = calloc((size_t)root + 1, sizeof *composite);

    if (primes.list == NULL || composite == NULL)
        CHECK(MP_ENOMEM);
    for (int64_t p = 2; p <= root; p++) {
        if (composite[p])
            continue;
        primes.list[primes.count++] = p;
        for (int64_t n = p * p; n <= root; n += p)
            composite[n] = true;
    }
    free(composite);
    return primes;
}

/* The task: from a segment to the number of its primes. */
static int count_primes(const void *in, void *out, void *context)
{
    static bool composite[SEGMENT]; /* each worker has its own */
    const struct segment *segment = in;
    const struct primes *primes = context;
    int64_t first = segment->first, last = segment->last, count = 0;

    memset(composite, 0, sizeof composite);
    for (size_t i = 0; i < primes->count && primes->list[i] * primes->list[i] <= last; i++) {
        int64_t p = primes->list[i], n = (first + p - 1) / p * p;
        for (n = n < p * p ? p * p : n; n <= last; n += p)
            composite[n - first] = true;
    }
    for (int64_t n = first; n <= last; n++)
        count += !composite[n - first];
    *(int64_t *)out = count;
    return 0;
}

/* Cuts 2 to limit into segments that end at each power of ten; with NULL it only counts them. */
static size_t cut(int64_t limit, struct segment *segments)
{
    int64_t power = 10;
    size_t count = 0;

    for (int64_t first = 2, last; first <= limit; first = last + 1) {
        last = first + SEGMENT - 1 < limit ? first + SEGMENT - 1 : limit;
        if (last >= power) {
            last = power;
            power *= 10;
        }
        if (segments != NULL)
            segments[count] = (struct segment){first, last};
        count++;
    }
    return count;
}

static void print_counts(const struct segment *segments, const int64_t *counts, size_t n)
{
    int64_t power = 10, all = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t last = segments[i].last;
        all += counts[i];
        if (last == power || i == n - 1)
            printf("%13lld primes up to %13lld: one in %.3f\n", (long long)all, (long long)last,
                   (double)last / (double)all);
        if (last == power)
            power *= 10;
    }
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long long limit = argc > 1 ? strtoll(argv[1], &end, 10) : 10000000;
    mp_pool *pool;

    if (argc > 2 || (end != NULL && *end != '\0') || limit < 2 || limit > MOST) {
        fprintf(stderr, "usage: sieve [LIMIT, 2 to %lld]\n", (long long)MOST);
        return 2;
    }
    size_t n = cut(limit, NULL);
    struct segment *segments = MP_ARRAY(struct segment, n);
    CHECK(mp_shared_error());
    int64_t *counts = MP_ARRAY(int64_t, n);
    CHECK(mp_shared_error());
    struct primes primes = find_primes(limit);
    cut(limit, segments);

    CHECK(mp_pool_new(&pool, .retries = 3, .progress = MP_PROGRESS_BAR));
    CHECK(mp_pool_run(pool,
                      &(mp_job){.size = sizeof(mp_job),
                                .task = count_primes,
                                .context = &primes,
                                .in = segments,
                                .in_size = sizeof *segments,
                                .out = counts,
                                .out_size = sizeof *counts,
                                .count = n},
                      MP_FOREVER));
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    print_counts(segments, counts, n);
    free(primes.list);
    mp_shared_free(segments);
    mp_shared_free(counts);
    return 0;
}
