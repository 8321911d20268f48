/* SPDX-License-Identifier: MIT */
/*
 * What shared memory can do when nothing is asked of it but speed: nobody sleeps, the slots are
 * allotted beforehand, and a process that dies between claiming a slot and filling it blocks all
 * others for ever.
 *
 * Either ring is an array of slots, a power of two, that positions, which only grow (and overflow),
 * walk round. The slots lie close together, which is faster than a cache line for each. Written for
 * this benchmark from the ideas alone.
 */
#include "channel.h"
#include "peers.h"

#include <sys/mman.h>

typedef struct ring {
    _Alignas(BENCH_LINE) _Atomic uint32_t head; /* the next to be put */
    _Alignas(BENCH_LINE) _Atomic uint32_t tail; /* the next to be got */
    _Alignas(BENCH_LINE) uint32_t slots;
    size_t stride; /* bytes from slot to slot */
    _Alignas(BENCH_LINE) unsigned char memory[];
} ring;

typedef struct slot {
    _Atomic uint32_t turn; /* the ring of many has use for it */
    uint32_t length;
    unsigned char bytes[];
} slot;

static ring *rings[BENCH_CHANNELS];

static inline slot *slot_at(ring *r, uint32_t position)
{
    return (slot *)(void *)(r->memory + (position & (r->slots - 1)) * r->stride);
}

static ring *make_ring(bench_party *p)
{
    size_t slots = bench_slots(p);
    size_t stride = (sizeof(slot) + p->length + 7) / 8 * 8;
    ring *r = mmap(NULL, sizeof(ring) + slots * stride, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(p, r != MAP_FAILED);
    r->slots = (uint32_t)slots;
    r->stride = stride;
    for (uint32_t i = 0; i < slots; i++)
        atomic_init(&slot_at(r, i)->turn, i);
    return r;
}

static void open_rings(bench_party *p)
{
    for (int i = 0; i < BENCH_CHANNELS; i++)
        rings[i] = make_ring(p);
}

/* ---- One producer, one consumer. Each knows its own position, and looks at the other's, which
 * costs a cache line, only when what it last saw says that there is nothing left to do. */

static uint32_t mine[BENCH_CHANNELS], seen[BENCH_CHANNELS]; /* of this process */

#define spsc_open open_rings

static inline void spsc_put(bench_party *p, int channel, const void *data, size_t length)
{
    (void)p;
    ring *r = rings[channel];
    uint32_t position = mine[channel];
    if (position - seen[channel] == r->slots)
        BENCH_UNTIL((seen[channel] = atomic_load_explicit(&r->tail, memory_order_acquire),
                     position - seen[channel] < r->slots));
    slot *s = slot_at(r, position);
    s->length = (uint32_t)length;
    memcpy(s->bytes, data, length);
    mine[channel] = position + 1;
    atomic_store_explicit(&r->head, position + 1, memory_order_release);
}

static inline size_t spsc_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ring *r = rings[channel];
    uint32_t position = mine[channel];
    if (position == seen[channel])
        BENCH_UNTIL((seen[channel] = atomic_load_explicit(&r->head, memory_order_acquire),
                     position != seen[channel]));
    slot *s = slot_at(r, position);
    uint32_t length = s->length;
    BENCH_CHECK(p, length <= capacity);
    memcpy(buffer, s->bytes, length);
    mine[channel] = position + 1;
    atomic_store_explicit(&r->tail, position + 1, memory_order_release);
    return length;
}

BENCH_CHANNEL(spsc, bench_join_nothing, spsc_put, spsc_get)
BENCH_PEER(bench_spsc_ring, spsc);

/* ---- Any number of both. A slot's turn is the position that may be put there, one more when it
 * has been put, and a round more when it has been got. Who finds its turn claims the position. */

#define vyukov_open open_rings

/* Claims the next position whose slot's turn is `ahead` of it. */
static inline slot *claim(ring *r, _Atomic uint32_t *next, uint32_t ahead, uint32_t *position)
{
    uint32_t at = atomic_load_explicit(next, memory_order_relaxed);
    for (int looks = 0;;) {
        slot *s = slot_at(r, at);
        uint32_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);
        if (turn == at + ahead) {
            if (atomic_compare_exchange_weak_explicit(next, &at, at + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                *position = at;
                return s;
            }
            continue; /* another was faster, and `at` is the next one */
        }
        if ((int32_t)(turn - (at + ahead)) < 0) { /* full, or empty */
            if (looks++ < 500)
                bench_pause();
            else
                sched_yield();
        }
        at = atomic_load_explicit(next, memory_order_relaxed);
    }
}

static inline void vyukov_put(bench_party *p, int channel, const void *data, size_t length)
{
    (void)p;
    ring *r = rings[channel];
    uint32_t position;
    slot *s = claim(r, &r->head, 0, &position);
    s->length = (uint32_t)length;
    memcpy(s->bytes, data, length);
    atomic_store_explicit(&s->turn, position + 1, memory_order_release);
}

static inline size_t vyukov_get(bench_party *p, int channel, void *buffer, size_t capacity)
{
    ring *r = rings[channel];
    uint32_t position;
    slot *s = claim(r, &r->tail, 1, &position);
    uint32_t length = s->length;
    BENCH_CHECK(p, length <= capacity);
    memcpy(buffer, s->bytes, length);
    atomic_store_explicit(&s->turn, position + r->slots, memory_order_release);
    return length;
}

BENCH_CHANNEL(vyukov, bench_join_nothing, vyukov_put, vyukov_get)
BENCH_PEER(bench_vyukov_ring, vyukov);
