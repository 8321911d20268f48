/* SPDX-License-Identifier: MIT */
#include "os/limits.h"

#include "base/atomic.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool got = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return got;
}

/* The calling process's path in the hierarchy of one controller; `controller` "" is version 2. */
static bool group_of(const char *controller, char *path, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (f == NULL)
        return false;
    char line[PATH_MAX];
    bool found = false;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        char *names = strchr(line, ':');
        char *where = names == NULL ? NULL : strchr(names + 1, ':');
        if (where == NULL)
            continue;
        *where++ = '\0';
        where[strcspn(where, "\n")] = '\0';
        char *rest = names + 1;
        if (*controller == '\0')
            found = *rest == '\0';
        for (char *name; !found && *controller != '\0' && (name = strsep(&rest, ",")) != NULL;)
            found = strcmp(name, controller) == 0;
        if (found)
            found = snprintf(path, size, "%s", where) < (int)size;
    }
    fclose(f);
    return found;
}

/* Reads `file` in the group and in all groups above it, and gives each line to `use`. */
static void for_each_group(const char *root, const char *controller, const char *file,
                           void (*use)(const char *line, const char *dir, void *arg), void *arg)
{
    char group[PATH_MAX], dir[2 * PATH_MAX], path[2 * PATH_MAX + 64], line[128];
    if (!group_of(controller, group, sizeof group))
        return;
    for (;;) {
        snprintf(dir, sizeof dir, "%s%s", root, group);
        snprintf(path, sizeof path, "%s/%s", dir, file);
        if (read_line(path, line, sizeof line))
            use(line, dir, arg);
        char *slash = strrchr(group, '/');
        if (slash == NULL || group[0] == '\0')
            return;
        *slash = '\0';
    }
}

static void least_bytes(const char *line, const char *dir, void *arg)
{
    (void)dir;
    uint64_t *least = arg;
    char *end;
    unsigned long long bytes = strtoull(line, &end, 10); /* "max" does not parse */
    if (end != line && bytes > 0 && bytes < *least)
        *least = bytes;
}

uint64_t mp__limits_memory(void)
{
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for_each_group("/sys/fs/cgroup", "", "memory.max", least_bytes, &least);
    for_each_group("/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", least_bytes, &least);
    return least;
}

static void least_quota(double quota, double period, void *arg)
{
    int *least = arg;
    if (quota <= 0 || period <= 0)
        return;
    double cpus = quota / period;
    int whole = cpus < 1 ? 1 : (int)(cpus + 0.999); /* a started processor counts */
    if (whole < *least)
        *least = whole;
}

static void quota_v2(const char *line, const char *dir, void *arg)
{
    (void)dir;
    double quota, period;
    if (sscanf(line, "%lf %lf", &quota, &period) == 2)
        least_quota(quota, period, arg);
}

static void quota_v1(const char *line, const char *dir, void *arg)
{
    char path[2 * PATH_MAX + 64], other[128];
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    if (read_line(path, other, sizeof other))
        least_quota(strtod(line, NULL), strtod(other, NULL), arg);
}

static int affinity(void)
{
    /* The mask of a large machine does not fit a cpu_set_t: the set grows until it does. */
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (set == NULL)
            break;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int mp__limits_cpus(void)
{
    int least = affinity();
    for_each_group("/sys/fs/cgroup", "", "cpu.max", quota_v2, &least);
    for_each_group("/sys/fs/cgroup/cpu", "cpu", "cpu.cfs_quota_us", quota_v1, &least);
    return least;
}

int mp__limits_cpus_at_first(void)
{
    static _Atomic int answer; /* 0: unknown; racing writers may differ, and both are right */
    int known = mp__load_relaxed(&answer);
    if (known == 0)
        mp__store_relaxed(&answer, known = mp__limits_cpus());
    return known;
}

void mp__limits_pin(unsigned n)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) == 0)
        return;
    unsigned skip = n % (unsigned)CPU_COUNT(&all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || skip-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}
