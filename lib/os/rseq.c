/* SPDX-License-Identifier: MIT */
#include "os/rseq.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(SYS_rseq) && defined(__has_include) && defined(__has_builtin)
#if __has_include(<sys/rseq.h>) && __has_builtin(__builtin_thread_pointer)
#include <sys/rseq.h>
#endif
#endif

#ifdef RSEQ_SIG

#define LENGTH_LEAST 32u /* what the kernel asks for, whatever of it is in use */

/* The C library has these since 2.35. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

bool mp__rseq_renewable(void)
{
    return &__rseq_size != NULL && &__rseq_offset != NULL && __rseq_size > 0;
}

void mp__rseq_renew(void)
{
    struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    unsigned length = (__rseq_size + LENGTH_LEAST - 1) / LENGTH_LEAST * LENGTH_LEAST;
    if (syscall(SYS_rseq, area, length, 0, RSEQ_SIG) == 0)
        return;
    /* As the C library does where it cannot be arranged: who reads this asks the kernel instead. */
    area->cpu_id_start = 0;
    area->cpu_id = (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED;
}

#else

bool mp__rseq_renewable(void)
{
    return false;
}

void mp__rseq_renew(void)
{
}

#endif
