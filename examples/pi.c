/* SPDX-License-Identifier: MIT */
/* Estimates pi with darts: of those that hit a square, pi/4 hit the circle in it. The batches are a
 * stream of items; the workers' counts come back in order while the later ones are being thrown.
 * Each batch has random numbers of its own, so the result does not depend on how many workers there
 * are, which of them threw what, or whether one was killed and its batch thrown again. */
#include "support.h"

enum { DARTS = 100000, MOST = 1000000 };
static const double PI = 3.14159265358979323846;

/* SplitMix64: good enough random numbers from a counter. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* The task: throws one batch and counts the hits. */
static int throw_darts(const void *in, void *out, void *context)
{
    uint64_t seed = mix(*(const uint64_t *)in + 1);
    uint64_t hits = 0;

    (void)context;
    for (uint64_t i = 1; i <= DARTS; i++) {
        uint64_t dart = mix(seed + i * 0x9e3779b97f4a7c15);
        uint64_t x = dart >> 33, y = dart & 0x7fffffff; /* 31 bits each */
        hits += x * x + y * y < 1ULL << 62;
    }
    *(uint64_t *)out = hits;
    return 0;
}

struct batches {
    uint64_t thrown, count;
};

/* Gives the workers the next batch: its number. */
static int next_batch(void *arg, void *in)
{
    struct batches *batches = arg;

    if (batches->thrown == batches->count)
        return MP_EEOF;
    *(uint64_t *)in = batches->thrown++;
    return 0;
}

static void report(uint64_t batches, uint64_t hits)
{
    double estimate = 4.0 * (double)hits / DARTS / (double)batches;

    printf("%13.0f darts   pi = %.6f   error %+.6f\n", (double)batches * DARTS, estimate,
           estimate - PI);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long count = argc > 1 ? strtol(argv[1], &end, 10) : 1000;
    struct batches batches = {.count = (uint64_t)count};
    uint64_t hits, all = 0;
    mp_iterator *it;
    mp_pool *pool;
    int rc;

    if (argc > 2 || (end != NULL && *end != '\0') || count < 1 || count > MOST) {
        fprintf(stderr, "usage: pi [BATCHES of %d darts, 1 to %d]\n", DARTS, MOST);
        return 2;
    }
    CHECK(mp_pool_new(&pool, .retries = 3));
    CHECK(mp_pool_imap(pool, &it,
                       &(mp_imap){.size = sizeof(mp_imap),
                                  .task = throw_darts,
                                  .next = next_batch,
                                  .arg = &batches,
                                  .in_size = sizeof(uint64_t),
                                  .out_size = sizeof(uint64_t)}));
    uint64_t done = 0, tell = 1; /* at 1, 2, 4, 8, ... batches */
    while ((rc = mp_iterator_next(it, &hits, NULL, MP_FOREVER)) != MP_EEOF) {
        check(rc, "mp_iterator_next");
        all += hits;
        if (++done == tell || done == batches.count) {
            report(done, all);
            tell *= 2;
        }
    }
    mp_iterator_free(it);
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    return 0;
}
