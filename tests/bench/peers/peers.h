/* SPDX-License-Identifier: MIT */
/* The channels that ours are compared with. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "../support/bench.h"

/* The kernel's. Pipe, stream and seqpacket: a message is one write and one read (of a stream as
 * many as it takes), with no frame. The pipe has 1 MiB for large messages. */
extern const bench_peer bench_pipe, bench_unix_stream, bench_unix_seqpacket;
extern const bench_peer bench_posix_mq; /* at most 8 KiB, 10 messages: what the system allows */

/* The limits: rings in shared memory that never sleep, and are stuck when a process dies in the
 * wrong place. One producer and one consumer; any number of both (D. Vyukov's bounded queue). */
extern const bench_peer bench_spsc_ring, bench_vyukov_ring;

/* Those of libraries. */
extern const bench_peer bench_boost_mq;   /* Boost.Interprocess message_queue */
extern const bench_peer bench_libqb_ring; /* its producer looks again while it is full */
extern const bench_peer bench_zeromq;     /* PUSH and PULL over ipc, one of each */
extern const bench_peer bench_nng;        /* push and pull over ipc, one of each */

#endif
