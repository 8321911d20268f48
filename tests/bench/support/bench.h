/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks share: contenders that do the same thing in different ways are run in turn,
 * each run in processes of its own, and reported side by side.
 *
 * A benchmark is one program. Its metrics are measured at each of their placements; there ours,
 * peer A, peer B, ours, ... take turns, so that the noise of the machine meets all alike. One run
 * of a contender:
 *
 *   host    prepares what is shared, forks the parties, says go, measure, stop
 *   party   works from go to stop, and measures itself by the monotonic clock from measure to stop
 *
 * A figure is the median of the runs; the spread is the distance between their quartiles, in
 * percent of the median. A ratio is the median of the ratios of runs that followed each other, so
 * it need not be the ratio of the two medians; it is where one has run more often, as beside
 * Python, which takes long to start. A contender that fails again and again is left alone, one
 * that never succeeds is left out with a line that says why; peers that were not there when the
 * benchmark was built are named once, at its top.
 *
 * The environment: BENCH_QUICK=1 measures for a shorter time, and less: a line says what is left
 * out; BENCH_END=SECONDS (since the epoch) is what all of it has to end by, and begins nothing
 * after that; BENCH_METRIC=TEXT measures only what has the text in its name; PYTHON=FILE is the
 * interpreter (python3); BENCH_TSV=FILE appends
 *
 *   bench <tab> peer <tab> metric <tab> value <tab> unit
 *
 * for each median, with the spread as a metric of its own, "METRIC:spread" in "%". `make bench`
 * begins the file with one line of these five names. Our figures are the peer "ours"; variants of
 * ours, which are no peers either, are "ours-...".
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PARTIES 8
#define BENCH_LINE    64 /* bytes of a cache line */

/* Where the parties run. */
enum {
    BENCH_ALONE = 1,   /* a single party, on the first processor */
    BENCH_PINNED = 2,  /* on the first two processors in turn */
    BENCH_ONE_CPU = 4, /* all on the first processor */
    BENCH_FREE = 8,    /* wherever the scheduler puts them */
};

typedef enum bench_unit {
    BENCH_NS, /* how long one takes */
    BENCH_US,
    BENCH_MS,
    BENCH_MILLIONS, /* how many a second: more is better */
    BENCH_THOUSANDS,
    BENCH_MS_PER_S, /* a plain value of the party: less is better */
    BENCH_PER_S,
    BENCH_KIB,
    BENCH_TIMES,   /* how many times something else it is */
    BENCH_PERCENT, /* of what is possible: more is better */
} bench_unit;

enum { BENCH_GATE, BENCH_WARM, BENCH_MEASURE, BENCH_STOP }; /* the phases of a run */

/* What the processes of one run share with the benchmark. */
typedef struct bench_page {
    _Alignas(BENCH_LINE) _Atomic uint32_t phase;
    _Alignas(BENCH_LINE) _Atomic uint32_t ready;
    _Alignas(BENCH_LINE) _Atomic uint64_t last;           /* see bench_lead() */
    _Alignas(BENCH_LINE) _Atomic int joined, ended, left; /* parties; see peers/channel.h */
    _Alignas(BENCH_LINE) _Atomic int64_t stamp[2];
    _Atomic int64_t forth;
    struct {
        uint64_t count; /* pieces of work from began to ended, in ns; 0: it reports nothing */
        int64_t began, ended;
        double value; /* see bench_report() */
        bool reported;
    } result[BENCH_PARTIES];
    double value; /* of the run: seconds, or a second, or a party's own */
    bool done, hung;
    _Atomic uint32_t complained;
    char why[200]; /* it failed */
} bench_page;

typedef struct bench_party {
    bench_page *page;
    void *shared; /* 64 KiB, zeroed for each run, the same for all its parties */
    int index, parties;
    int argument;  /* the metric's */
    size_t length; /* the metric's */
    unsigned placement;
    double seconds; /* of measuring */
    uint32_t phase; /* as last seen */
    uint64_t count; /* since began */
    int64_t began;
} bench_party;

/* A result that is asked for; {0}: none. */
typedef struct bench_need {
    double at_most, at_least;
    unsigned where; /* placements; 0: all */
} bench_need;

/* A channel for messages that somebody else made; see peers/channel.h. All NULL: it was not there
 * when this was built. */
typedef struct bench_peer {
    void (*prepare)(bench_party *p);
    void (*one_way)(bench_party *p); /* as party */
    void (*round_trip)(bench_party *p);
} bench_peer;

/* One way to do what is measured. */
typedef struct bench_contender {
    const char *name;                /* "ours" for the library, "ours-..." for a variant */
    void (*prepare)(bench_party *p); /* in the host, before the parties are forked; or NULL */
    void (*party)(bench_party *p);   /* in each party */
    const char *python;              /* instead of the two: words for python.py */
    const bench_peer *peer;          /* instead of the two: what it does there and back, or */
    bool one_way;                    /* one way */
    const bool *built;               /* NULL, or whether what it needs was there at build time */
    bench_need need;                 /* of our ratio to it */
    bool thorough;                   /* left out by BENCH_QUICK */
} bench_contender;

typedef struct bench_metric {
    const char *name;
    const bench_contender *contenders; /* ends with one without name */
    int parties;
    unsigned placements;
    bench_unit unit;
    int argument;
    size_t length;     /* bytes of a message */
    bench_need need;   /* of our figure itself, in the unit */
    double seconds;    /* of a run; 0: the usual */
    int runs;          /* 0: the usual */
    unsigned thorough; /* placements that are left out by BENCH_QUICK */
} bench_metric;

/* Measures, and prints; the exit status says whether ours could be measured. */
int bench_main(const char *bench, const bench_metric *metrics, int count);

int64_t bench_now(void); /* ns */

/* For prepare and party: ends the run, which then counts for nothing. */
_Noreturn void bench_fail(bench_party *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fails unless rc >= 0, for calls of the library. */
#define BENCH_OURS(p, call)                                                                        \
    do {                                                                                           \
        int bench_rc = (call);                                                                     \
        if (__builtin_expect(bench_rc < 0, 0))                                                     \
            bench_fail(p, "%s: %s", #call, mp_errname(bench_rc));                                  \
    } while (0)

/* Fails unless `ok`. */
#define BENCH_CHECK(p, ok)                                                                         \
    do {                                                                                           \
        if (__builtin_expect(!(ok), 0))                                                            \
            bench_fail(p, "not so: %s", #ok);                                                      \
    } while (0)

bool bench_next_phase(bench_party *p, uint32_t phase);

/* A party calls it after every `done` pieces of work, until it is false. */
static inline bool bench_go_on(bench_party *p, uint64_t done)
{
    p->count += done;
    uint32_t phase = atomic_load_explicit(&p->page->phase, memory_order_relaxed);
    return phase == p->phase || bench_next_phase(p, phase);
}

/*
 * Parties that meet in rounds 1, 2, ... must agree which is the last. Each calls bench_lead()
 * before meeting number `round`, and leaves if bench_last() after it. Party 0, which alone counts
 * the rounds, names round + 1 before it comes to `round`, so nobody can have passed that one.
 */
static inline void bench_lead(bench_party *p, uint64_t round)
{
    if (p->index == 0 && p->phase != BENCH_STOP && !bench_go_on(p, 1))
        atomic_store(&p->page->last, round + 1);
}

static inline bool bench_last(bench_party *p, uint64_t round)
{
    return atomic_load_explicit(&p->page->last, memory_order_relaxed) == round;
}

/* A figure of the party's own, instead of what it counted. */
void bench_report(bench_party *p, double value);

/* Instead of all that it counted, the median of many times, each taken for so many pieces of work
 * while it is measured. What interrupts a party now and then does not touch it. */
void bench_sample(bench_party *p, int64_t ns);
void bench_report_samples(bench_party *p, int pieces);

/* Party 0 of those that meet in rounds samples each 16 of them, and reports that. */
#define BENCH_ROUNDS 16
void bench_time_rounds(bench_party *p);

static inline void bench_begin_round(bench_party *p, uint64_t round)
{
    bench_lead(p, round);
    if (p->index == 0 && round % BENCH_ROUNDS == 0)
        bench_time_rounds(p);
}

static inline void bench_end_rounds(bench_party *p)
{
    if (p->index == 0)
        bench_report_samples(p, BENCH_ROUNDS);
}

#endif
