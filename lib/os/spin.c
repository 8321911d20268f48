/* SPDX-License-Identifier: MIT */
#include "os/spin.h"

#include "base/atomic.h"
#include "os/clock.h"

#include <unistd.h>

#define MOST_NS  (50 * MP__NS_PER_MS / 1000)
#define MEASURED 100 /* pauses */

uint32_t mp__spin_most(void)
{
    static _Atomic uint32_t answer; /* 0: unknown; racing writers may differ, and both are right */
    uint32_t most = mp__load_relaxed(&answer);
    if (most == 0) {
        int64_t began = mp__now();
        for (int i = 0; i < MEASURED; i++)
            mp__pause();
        int64_t took = mp__now() - began;
        most = (uint32_t)(MOST_NS * MEASURED / (took > MEASURED ? took : MEASURED));
        most = most > 4 * MP__SPIN_LEAST ? most : 4 * MP__SPIN_LEAST;
        mp__store_relaxed(&answer, most);
    }
    return most;
}

bool mp__may_spin(void)
{
    static _Atomic int answer; /* 0 unknown, 1 no, 2 yes; racing writers agree */
    int known = mp__load_relaxed(&answer);
    if (known == 0) {
        /* What this thread may run on says nothing: its partner may run elsewhere. */
        known = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
        mp__store_relaxed(&answer, known);
    }
    return known == 2;
}
