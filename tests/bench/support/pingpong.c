/* SPDX-License-Identifier: MIT */
#include "pingpong.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_NS 100000 /* the library spins for a tenth of it at most */

void bench_let_sleep(bench_party *p)
{
    if (p->placement != BENCH_PINNED) {
        nanosleep(&(struct timespec){0, SLEEP_NS}, NULL);
        return;
    }
    int64_t end = bench_now() + SLEEP_NS;
    while (bench_now() < end)
        ;
}

void bench_futex_send(bench_futex *f, int to)
{
    atomic_store(&f->word[to], 1);
    syscall(SYS_futex, &f->word[to], FUTEX_WAKE, 1, NULL, NULL, 0);
}

void bench_futex_receive(bench_futex *f, int to)
{
    while (atomic_load(&f->word[to]) == 0)
        syscall(SYS_futex, &f->word[to], FUTEX_WAIT, 0, NULL, NULL, 0);
    atomic_store(&f->word[to], 0);
}
