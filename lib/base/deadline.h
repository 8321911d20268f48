/* SPDX-License-Identifier: MIT */
/* Points in time on the monotonic clock: a type of its own, so that no timeout passes for one. */
#ifndef MPROC_BASE_DEADLINE_H
#define MPROC_BASE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mp__deadline {
    int64_t ns; /* nanoseconds of the monotonic clock; 0: already passed; INT64_MAX: never */
} mp__deadline;

#define MP__NEVER   ((mp__deadline){INT64_MAX})
#define MP__AT_ONCE ((mp__deadline){0})

#define MP__NS_PER_S  INT64_C(1000000000)
#define MP__NS_PER_MS INT64_C(1000000)

static inline bool mp__deadline_is_never(mp__deadline d)
{
    return d.ns == INT64_MAX;
}

static inline mp__deadline mp__deadline_min(mp__deadline a, mp__deadline b)
{
    return a.ns < b.ns ? a : b;
}

/* From a point in time and a timeout in seconds that is no NaN. */
static inline mp__deadline mp__deadline_after(int64_t now, double timeout)
{
    if (timeout <= 0)
        return MP__AT_ONCE;
    if (timeout > 9e8) /* 28 years: beyond any clock, and safe from overflow */
        return MP__NEVER;
    return (mp__deadline){now + (int64_t)(timeout * 1e9)};
}

#endif
