/* SPDX-License-Identifier: MIT */
/* A random history of a queue beside its model: what it is, what a failure tells, and lengths,
 * places and timeouts such as may show something. */
#ifndef MPROC_TESTS_RANDOM_H
#define MPROC_TESTS_RANDOM_H

#include "property/model.h"

#include <stdarg.h>

enum {
    LARGE = 200000,  /* bytes of one message */
    CANARY = 16,     /* bytes behind a place that nobody may touch */
    HELD = 24,       /* loans, and takes, at a time */
    UNDONE = 100,    /* tasks, which keep memory in a queue that redelivers */
    TRAIL = 12,      /* steps that a failure tells */
    ENOUGH = 4 << 20 /* bytes in a queue, beyond which we rather get */
};

/* A loan that is not published, or what was taken and is not released. */
typedef struct held {
    void *block;
    size_t length;
    unsigned char *bytes; /* a copy */
} held;

typedef struct history {
    mp_queue *q;
    model m;
    held loan[HELD], taken[HELD];
    uint32_t loans, takes;
    bool redelivers;
    random_state r;
    uint64_t seed;
    int step;
    bool scarce; /* memory is: a put may find none */
    char trail[TRAIL][100];
} history;

static unsigned char source[LARGE + 8]; /* random bytes: a message is a piece of them */

#define EXPECT(h, condition) ((condition) ? (void)0 : broken((h), __LINE__, #condition))

static _Noreturn void broken(const history *h, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", __FILE__, line, what);
    fprintf(stderr, "repeat with SEED=%llu ROUNDS=1%s; maxsize %zu, capacity %zu, step %d:\n",
            (unsigned long long)h->seed, h->scarce ? " (scarce)" : "", h->m.maxsize, h->m.capacity,
            h->step);
    for (int i = h->step < TRAIL ? 0 : h->step - TRAIL + 1; i <= h->step; i++)
        fprintf(stderr, "    %d: %s\n", i, h->trail[i % TRAIL]);
    _exit(1);
}

__attribute__((format(printf, 2, 3))) static void trail(history *h, const char *format, ...)
{
    va_list arguments;
    char *line = h->trail[h->step % TRAIL];
    size_t used = strlen(line);
    va_start(arguments, format);
    vsnprintf(line + used, sizeof h->trail[0] - used, format, arguments);
    va_end(arguments);
}

static uint32_t below(history *h, uint32_t n)
{
    return random_below(&h->r, n);
}

/* Lengths where something changes: none, a unit, what goes inline, what the limit allows. */
static size_t any_length(history *h)
{
    size_t border = below(h, 2) || h->m.capacity < 10 ? 4096 : h->m.capacity - 8;
    switch (below(h, 32)) {
    case 0:
        return below(h, 4) == 0 ? 4097 + below(h, LARGE - 4096) : 4097 + below(h, 4096);
    case 1:
        return border - 1 + below(h, 3) < LARGE ? border - 1 + below(h, 3) : LARGE;
    case 2:
    case 3:
    case 4:
        return below(h, 4097);
    case 5:
        return 0;
    default:
        return below(h, 65);
    }
}

static unsigned char *any_bytes(history *h, size_t length)
{
    return source + below(h, (uint32_t)(sizeof source - length));
}

/* A timeout for a call that must return at once, one way or the other: any will do. */
static double any_timeout(history *h)
{
    static const double timeouts[] = {0, 0, 0, -1, 1e-9, 30, MP_FOREVER};
    return timeouts[below(h, sizeof timeouts / sizeof *timeouts)];
}

/* One for a call that waits for what does not come. */
static double vain_timeout(history *h)
{
    return below(h, 400) == 0 ? 0.0005 : below(h, 8) == 0 ? -1 : 0;
}

static double timeout_for(history *h, ssize_t expected)
{
    return expected == MP_EFULL || expected == MP_EEMPTY ? vain_timeout(h) : any_timeout(h);
}

/* A place of `capacity` bytes, and a canary behind it. */
static unsigned char *new_place(size_t capacity)
{
    unsigned char *place = malloc(capacity + CANARY);
    memset(place, 0xa5, capacity + CANARY);
    return place;
}

static bool is_intact(const unsigned char *place, size_t capacity)
{
    for (int i = 0; i < CANARY; i++)
        if (place[capacity + (size_t)i] != 0xa5)
            return false;
    return true;
}

/* How large a place is for the next message: exactly, a little too small, ample, anything. */
static size_t any_capacity(history *h, size_t next)
{
    switch (below(h, 8)) {
    case 0:
        return next;
    case 1:
        return next > 0 ? next - 1 : 0;
    case 2:
        return below(h, (uint32_t)next + 1);
    default:
        return next + below(h, 100);
    }
}

static size_t next_length(const history *h)
{
    return h->m.count > 0 ? h->m.at[0].length : 0;
}

/* Memory may be short, but not for a little message in a queue that holds nothing. */
static bool may_lack_memory(const history *h, size_t length)
{
    return h->scarce && (h->m.bytes > 0 || length > 4096);
}

#endif
