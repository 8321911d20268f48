/* SPDX-License-Identifier: MIT */
/* Atomic operations with the memory order in the name; the only user of <stdatomic.h>. The objects
 * are C11 atomics, so that ThreadSanitizer sees them. */
#ifndef MPROC_BASE_ATOMIC_H
#define MPROC_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define mp__load_relaxed(p)     atomic_load_explicit((p), memory_order_relaxed)
#define mp__load_acquire(p)     atomic_load_explicit((p), memory_order_acquire)
#define mp__load_seq(p)         atomic_load_explicit((p), memory_order_seq_cst)
#define mp__store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define mp__store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define mp__store_seq(p, v)     atomic_store_explicit((p), (v), memory_order_seq_cst)

/* A full barrier on both sides where the hardware has one for an exchange; seq_cst by contract. */
#define mp__exchange_seq(p, v)     atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define mp__exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)

/* *expected is refreshed on failure, as in C11; never fails spuriously. */
#define mp__cas_acquire(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,            \
                                            memory_order_relaxed)
#define mp__cas_release(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release,            \
                                            memory_order_relaxed)
#define mp__cas_relaxed(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,            \
                                            memory_order_relaxed)
#define mp__cas_seq(p, expected, v)                                                                \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,            \
                                            memory_order_seq_cst)

#define mp__add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define mp__sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define mp__add_seq(p, v)     atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define mp__or_relaxed(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define mp__or_release(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_release)
#define mp__or_seq(p, v)      atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define mp__xor_seq(p, v)     atomic_fetch_xor_explicit((p), (v), memory_order_seq_cst)
#define mp__and_release(p, v) atomic_fetch_and_explicit((p), (v), memory_order_release)
#define mp__and_seq(p, v)     atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)

#define mp__fence_seq()     atomic_thread_fence(memory_order_seq_cst)
#define mp__fence_acquire() atomic_thread_fence(memory_order_acquire)

/* The same behind a read-modify-write of this thread, which on x86 is one already. */
#if defined(__x86_64__) || defined(__i386__)
#define mp__fence_after_change() atomic_signal_fence(memory_order_seq_cst)
#else
#define mp__fence_after_change() mp__fence_seq()
#endif

/* Orders for the kernel's eyes only: it reads a dead thread's memory after its last instruction, so
 * program order is all that counts. */
#define mp__fence_compiler() atomic_signal_fence(memory_order_seq_cst)

/* One beat of a spin loop. */
static inline void mp__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
