/* SPDX-License-Identifier: MIT */
/* The arena: the region that all processes of a family share, and its table of chunks. */
#ifndef MPROC_SHM_ARENA_H
#define MPROC_SHM_ARENA_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/mutex.h"

#include <stddef.h>

#define MP__ARENA_MAGIC  UINT64_C(0x6d70726f63617265)
#define MP__ARENA_LAYOUT 3

#define MP__CHUNK_SIZE   ((size_t)64 << 10)
#define MP__CHUNK_PAGE   ((size_t)4096) /* unit in which we note what is populated */
#define MP__CHUNK_PAGES  ((unsigned)(MP__CHUNK_SIZE / MP__CHUNK_PAGE))
#define MP__CHUNK_FULL   ((1u << MP__CHUNK_PAGES) - 1)
#define MP__SIZE_CLASSES 40 /* see shm/span.c */
#define MP__SHARDS       16 /* at most so many spans per class are allocated from at once */
#define MP__LIFE_BLOCKS  14 /* see sync/life.c */
#define MP__SHELVES      36 /* see shm/shelf.c */
#define MP__SHELF_PLACES 15

/*
 * What a chunk is. Only the holder of `lock` changes descriptors, but for SHELVED (shelf.c).
 *
 * | kind | value                                      | may become                            |
 * | FREE | one bit for each of its pages: populated   | TAIL, then SPAN or RUN at its head    |
 * | TAIL | distance to the head                       | FREE                                  |
 * | SPAN | number of its record in `spans`            | FREE                                  |
 * | RUN  | length in chunks; marked: being discarded; | FREE                                  |
 * |      | shelved: nobody's, and all populated       |                                       |
 */
enum mp__chunk_kind { MP__CHUNK_FREE, MP__CHUNK_TAIL, MP__CHUNK_SPAN, MP__CHUNK_RUN };
#define MP__CHUNK_MARK    4u
#define MP__CHUNK_SHELVED 8u
#define MP__CHUNK_LONGEST ((UINT32_C(1) << 28) - 1) /* value */

static inline uint32_t mp__chunk_make(enum mp__chunk_kind kind, size_t value)
{
    return (uint32_t)kind | (uint32_t)value << 4;
}

static inline enum mp__chunk_kind mp__chunk_kind_of(uint32_t descriptor)
{
    return (enum mp__chunk_kind)(descriptor & 3u);
}

static inline size_t mp__chunk_value(uint32_t descriptor)
{
    return descriptor >> 4;
}

struct mp__span;

/* Where some of the runs are that nobody uses, of one length or a few. */
typedef struct mp__shelf {
    _Alignas(MP__CACHE_LINE) _Atomic uint32_t room; /* so many places are used */
    _Atomic uint32_t place[MP__SHELF_PLACES];       /* a head's number + 1, or 0; hints */
} mp__shelf;

/* What is written often does not share a cache line with what every call reads. */
typedef struct mp__arena {
    uint64_t magic;
    uint32_t layout;          /* version of this structure */
    uint32_t chunks;          /* how many there are */
    size_t size;              /* bytes of the region */
    char *data;               /* chunk 0 */
    _Atomic uint32_t *table;  /* one descriptor per chunk */
    struct mp__span *spans;   /* their records, which are never anything else */
    _Atomic uint8_t *classes; /* of each record: its size class + 1, MP__SPAN_FULL; 0: unused */
    uint32_t shards;          /* of small blocks: 4 for each processor, at most MP__SHARDS */
    uint32_t tag;             /* bytes at the end of each block that name who made it, or 0 */

    _Alignas(MP__CACHE_LINE) mp__mutex lock; /* guards the descriptors and what follows */
    _Atomic uint32_t top;                    /* chunks from here on were never used */
    uint32_t table_backed;                   /* descriptors whose page is populated */
    _Atomic uint32_t spans_top;              /* records from here on were never used */
    uint32_t record_search;                  /* no free record below; a hint */
    _Atomic uint32_t search;                 /* no free chunk below; a hint */
    _Atomic uint32_t trim_search;            /* no populated free chunk from here on; a hint */
    _Atomic uint32_t retained;               /* populated pages of free chunks */
    uint32_t used, peak;                     /* chunks in spans and runs: now, and at most */
    uint32_t retiring;                       /* the span that is being closed, + 1; or 0 */
    _Atomic uint32_t trimming;               /* the run that is being discarded, + 1; or 0 */
    _Atomic uint32_t shelf_room;  /* pages of as many runs as the shelves have room for */
    _Atomic uint32_t reserve;     /* populated pages that may be idle; see reserve.c */
    uint32_t given;               /* pages that were given back lately */
    uint32_t idle_least;          /* the fewest that were idle since idle_since */
    int64_t given_at, idle_since; /* on the monotonic clock */
    mp__mutex trim_lock;          /* held while discarding; taken before `lock` */

    /* No room in this class below; a hint. */
    _Alignas(MP__CACHE_LINE) _Atomic uint32_t class_search[MP__SIZE_CLASSES];
    /* The span that a shard allocates from: its number, and its generation shifted by 32. */
    _Alignas(MP__CACHE_LINE) _Atomic uint64_t current[MP__SHARDS][MP__SIZE_CLASSES];

    mp__shelf shelves[MP__SHELVES];

    /* The life words of all threads, which belong to sync/life.c. */
    mp__mutex lives_lock;
    _Atomic uintptr_t lives[MP__LIFE_BLOCKS];
} mp__arena;

_Static_assert(sizeof(mp__arena) <= (size_t)2 * 4096, "a hardly used arena takes few pages");

/* The family's arena; NULL before it is founded. Written once; see mp__arena_get(). */
extern _Atomic(mp__arena *) mp__arena_here;

static inline mp__arena *mp__arena_get(void)
{
    return mp__load_acquire(&mp__arena_here); /* pairs with the store in mp_init() */
}

/* Whether [p, p + length) lies in the arena, so that every process sees it. */
bool mp__arena_contains(const void *p, size_t length);

/* Whether the header says of the region what it said when the arena was founded. */
bool mp__arena_is_laid_out(const mp__arena *a);

static inline char *mp__chunk_address(const mp__arena *a, uint32_t chunk)
{
    return a->data + (size_t)chunk * MP__CHUNK_SIZE;
}

#endif
