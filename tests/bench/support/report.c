/* SPDX-License-Identifier: MIT */
/* The table for people and the file for programs. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    double factor;
    bool more_is_better;
} units[] = {
    [BENCH_NS] = {"ns", 1e9, false},        [BENCH_US] = {"us", 1e6, false},
    [BENCH_MILLIONS] = {"M/s", 1e-6, true}, [BENCH_THOUSANDS] = {"k/s", 1e-3, true},
    [BENCH_MS_PER_S] = {"ms/s", 1, false},  [BENCH_PER_S] = {"1/s", 1, false},
    [BENCH_KIB] = {"KiB", 1, false},        [BENCH_TIMES] = {"x", 1, false},
    [BENCH_MS] = {"ms", 1e3, false},        [BENCH_PERCENT] = {"%", 1, true},
};

static const char *name_of(unsigned placement)
{
    switch (placement) {
    case BENCH_PINNED:
        return "pinned";
    case BENCH_ONE_CPU:
        return "one-cpu";
    case BENCH_FREE:
        return "unpinned";
    default:
        return "";
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of n sorted figures. */
static double quantile(const double *sorted, int n, double q)
{
    double at = q * (n - 1);
    int i = (int)at;
    double next = i + 1 < n ? sorted[i + 1] : sorted[i];
    return sorted[i] + (at - i) * (next - sorted[i]);
}

/* The median of the figures that are some, NAN if there is none; *spread in percent of it. */
static double median(const double *values, double *spread)
{
    double some[BENCH_RUNS];
    int n = 0;
    for (int r = 0; r < BENCH_RUNS; r++)
        if (!isnan(values[r]))
            some[n++] = values[r];
    if (n == 0)
        return NAN;
    qsort(some, (size_t)n, sizeof *some, ascending);
    double middle = quantile(some, n, 0.5);
    if (spread != NULL)
        *spread = n < 2 || middle == 0
                      ? 0
                      : 100 * (quantile(some, n, 0.75) - quantile(some, n, 0.25)) / middle;
    return middle;
}

static double ratio(const bench_group *g, int ours, int peer)
{
    double ratios[BENCH_RUNS];
    for (int r = 0; r < BENCH_RUNS; r++) {
        if (isnan(g->value[ours][r]) != isnan(g->value[peer][r]))
            return median(g->value[ours], NULL) / median(g->value[peer], NULL);
        ratios[r] = g->value[ours][r] / g->value[peer][r]; /* or both are NAN */
    }
    return median(ratios, NULL);
}

/* Three digits that mean something. */
static const char *figure(double x, char text[32])
{
    if (isnan(x))
        return "-";
    int decimals = x >= 100 ? 0 : x >= 10 ? 1 : x >= 1 ? 2 : 3;
    snprintf(text, 32, "%.*f", decimals, x);
    return text;
}

static void print_need(const bench_need *need, unsigned placement, double value, const char *unit)
{
    if (need->where != 0 && !(need->where & placement))
        return;
    if (isnan(value) || (placement == BENCH_FREE && bench_processors() < 2))
        return;
    const char *space = unit[0] != '\0' ? " " : "";
    if (need->at_most != 0)
        printf("   needs <= %.2f%s%s: %s", need->at_most, space, unit,
               value <= need->at_most ? "ok" : "MISSED");
    if (need->at_least != 0)
        printf("   needs >= %.2f%s%s: %s", need->at_least, space, unit,
               value >= need->at_least ? "ok" : "MISSED");
}

static void write_tsv(const bench_group *g, int i, double value, double spread)
{
    const char *path = getenv("BENCH_TSV");
    FILE *f = path == NULL || path[0] == '\0' ? NULL : fopen(path, "ae");
    if (f == NULL) {
        if (path != NULL && path[0] != '\0')
            perror(path);
        return;
    }
    const char *peer = g->metric->contenders[i].name, *where = name_of(g->placement);
    const char *dot = where[0] != '\0' ? "." : "";
    fprintf(f, "%s\t%s\t%s%s%s\t%.6g\t%s\n", g->bench, peer, g->metric->name, dot, where, value,
            units[g->metric->unit].name);
    fprintf(f, "%s\t%s\t%s%s%s:spread\t%.3g\t%%\n", g->bench, peer, g->metric->name, dot, where,
            spread);
    fclose(f);
}

/* `label` is the contender's name, or what is measured. */
static void print_line(const bench_group *g, const char *label, int i, int ours, int best)
{
    const bench_metric *m = g->metric;
    const bench_contender *c = &m->contenders[i];
    char text[32];
    double spread = 0, value = median(g->value[i], &spread) * units[m->unit].factor;
    if (isnan(value)) {
        if (g->why[i][0] != '\0') /* else it was not tried */
            printf("%-30s left out: %s\n", label, g->why[i]);
        return;
    }
    printf("%-30s %9s %-4s %5.0f%%", label, figure(value, text), units[m->unit].name, spread);
    if (i == ours) {
        if (best >= 0)
            printf(" %8s x %s, the best peer", figure(ratio(g, ours, best), text),
                   m->contenders[best].name);
        print_need(&m->need, g->placement, value, units[m->unit].name);
    } else if (ours >= 0) {
        printf(" %8s", figure(ratio(g, ours, i), text));
        print_need(&c->need, g->placement, ratio(g, ours, i), "");
    }
    if (g->failed[i] > 0)
        printf("   %d failed: %s", g->failed[i], g->why[i]);
    putchar('\n');
    write_tsv(g, i, value, spread);
}

static int best_peer(const bench_group *g)
{
    const bench_metric *m = g->metric;
    int best = -1;
    double most = 0;
    for (int i = 0; m->contenders[i].name != NULL; i++) {
        double value = median(g->value[i], NULL);
        bool better = units[m->unit].more_is_better ? value > most : value < most;
        if (strncmp(m->contenders[i].name, "ours", 4) != 0 && !isnan(value) &&
            (best < 0 || better)) {
            best = i;
            most = value;
        }
    }
    return best;
}

void bench_print_group(const bench_group *g)
{
    const bench_contender *c = g->metric->contenders;
    int ours = -1, best = best_peer(g);
    for (int i = 0; c[i].name != NULL; i++)
        if (strcmp(c[i].name, "ours") == 0)
            ours = i;
    char label[64];
    snprintf(label, sizeof label, "%s %s %s", g->bench, g->metric->name, name_of(g->placement));
    bool alone = c[1].name == NULL;
    if (!alone)
        printf("\n%-36s %-9s %4s  %7s\n", label, "median", "spread", "ours/it");
    for (int i = 0; c[i].name != NULL; i++) {
        if (!alone)
            snprintf(label, sizeof label, "  %s", c[i].name);
        print_line(g, label, i, ours, best);
    }
    fflush(stdout);
}

/* The contenders of which it is true, each once. Returns how many there are. */
static int print_names(const bench_metric *metrics, int count,
                       bool (*is_so)(const bench_contender *c), const char *before)
{
    const char *named[BENCH_CONTENDERS];
    int n = 0;
    for (int i = 0; i < count; i++)
        for (const bench_contender *c = metrics[i].contenders; c->name != NULL; c++) {
            int j = 0;
            while (j < n && strcmp(named[j], c->name) != 0)
                j++;
            if (!is_so(c) || j < n || n == BENCH_CONTENDERS)
                continue;
            printf("%s%s", n == 0 ? before : ", ", c->name);
            named[n++] = c->name;
        }
    return n;
}

static bool is_thorough(const bench_contender *c)
{
    return c->thorough;
}

void bench_print_quick(const bench_metric *metrics, int count, int tables, int all)
{
    if (all > tables)
        printf("quick, left out: %d of %d tables", all - tables, all);
    if (print_names(metrics, count, is_thorough, all > tables ? "; " : "quick, left out: ") > 0 ||
        all > tables)
        putchar('\n');
}

/* Ticks of all processors since the system started, and how many of them were idle. */
static bool read_ticks(double *all, double *idle)
{
    FILE *f = fopen("/proc/stat", "re");
    double ticks[8] = {0}; /* user nice system idle iowait irq softirq steal */
    int n = f == NULL ? 0
                      : fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1],
                               &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
    if (f != NULL)
        fclose(f);
    *all = 0;
    for (int i = 0; i < 8; i++)
        *all += ticks[i];
    *idle = ticks[3] + ticks[4];
    return n == 8;
}

/* How busy the processors are while nothing is measured, in percent: with what others do. */
static int busy(void)
{
    double all[2], idle[2];
    bool known = read_ticks(&all[0], &idle[0]);
    nanosleep(&(struct timespec){0, 150000000}, NULL);
    if (!known || !read_ticks(&all[1], &idle[1]) || all[1] <= all[0])
        return 0;
    return (int)(100 * (1 - (idle[1] - idle[0]) / (all[1] - all[0])));
}

void bench_print_heading(const bench_metric *metrics, int count)
{
    int others = busy();
    printf("\n%d processor%s%s%s\n", bench_processors(), bench_processors() == 1 ? "" : "s",
           bench_python() != NULL ? ", " : "; no python3",
           bench_python() != NULL ? bench_python() : "");
    if (others > 10)
        printf(
            "others keep the processors %d%% busy: expect noise, and rings far below what they can "
            "do\n",
            others);
    if (print_names(metrics, count, bench_is_missing, "built without ") > 0)
        printf(" (make deps-bench installs what is missing)\n");
}
