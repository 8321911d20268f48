/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <float.h>
#include <limits.h>
#include <mproc/error.h>
#include <time.h>

int64_t mp__now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MP__NS_PER_S + t.tv_nsec;
}

int mp__deadline_in(double timeout, mp__deadline *out)
{
    if (timeout != timeout)
        return MP_EINVAL;
    bool looks = timeout > 0 && timeout <= DBL_MAX; /* at the clock, which takes its time */
    *out = mp__deadline_after(looks ? mp__now() : 0, timeout);
    return 0;
}

mp__deadline mp__deadline_in_ns(int64_t ns)
{
    return (mp__deadline){mp__now() + ns};
}

bool mp__deadline_passed(mp__deadline d)
{
    return !mp__deadline_is_never(d) && (d.ns == 0 || mp__now() >= d.ns);
}

mp__deadline mp__deadline_look_again(mp__deadline d)
{
    return mp__deadline_min(d, mp__deadline_in_ns(MP__LOOK_AGAIN_NS));
}

int mp__deadline_poll_ms(mp__deadline d)
{
    if (mp__deadline_is_never(d))
        return -1;
    int64_t left = d.ns - mp__now();
    if (left <= 0)
        return 0;
    int64_t ms = (left + MP__NS_PER_MS - 1) / MP__NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
