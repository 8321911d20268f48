/* SPDX-License-Identifier: MIT */
/* The monotonic clock. */
#ifndef MPROC_OS_CLOCK_H
#define MPROC_OS_CLOCK_H

#include "base/deadline.h"

/* However long a sleep may last, it looks again after so long: what a wake-up that died with its
 * sender costs at most. */
#define MP__LOOK_AGAIN_NS (100 * MP__NS_PER_MS)

int64_t mp__now(void);

/* The deadline of a public call. Returns 0, or MP_EINVAL for a NaN. */
int mp__deadline_in(double timeout, mp__deadline *out);

/* So many nanoseconds from now. */
mp__deadline mp__deadline_in_ns(int64_t ns);

bool mp__deadline_passed(mp__deadline d);

/* The deadline, or the next moment to look again, whichever comes first. */
mp__deadline mp__deadline_look_again(mp__deadline d);

/* How long until then in milliseconds, rounded up, for poll: -1 for never. */
int mp__deadline_poll_ms(mp__deadline d);

#endif
