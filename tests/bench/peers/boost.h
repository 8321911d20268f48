/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess message_queue, for C. All but the first return false if it threw. */
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue whose name is gone again when this returns; NULL: none was made. */
void *bench_boost_open(const char *name, size_t slots, size_t length);
int bench_boost_put(void *queue, const void *data, size_t length);
int bench_boost_get(void *queue, void *buffer, size_t capacity, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
