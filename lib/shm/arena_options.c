/* SPDX-License-Identifier: MIT */
#include "shm/arena_options.h"

#include "base/bits.h"
#include "base/options.h"
#include "os/limits.h"
#include "shm/arena.h"

#include <ctype.h>
#include <errno.h>
#include <mproc/error.h>
#include <stdlib.h>

/* More than 2^28 chunks a descriptor cannot count; 16 TiB. */
#define LARGEST (MP__CHUNK_SIZE << 28)

static size_t configured; /* 0: not */

int mp__arena_set_options(const mp_arena_options *options)
{
    mp_arena_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0)
        return rc;
    if (o.limit != 0 && (o.limit < MP__ARENA_SMALLEST || o.limit > LARGEST))
        return MP_EINVAL;
    configured = o.limit;
    return 0;
}

static size_t suffix(const char *text)
{
    static const char letters[] = "KMG";
    for (size_t i = 0; letters[i] != '\0'; i++)
        if (toupper((unsigned char)text[0]) == letters[i] && text[1] == '\0')
            return (size_t)1 << 10 * (i + 1);
    return text[0] == '\0' ? 1 : 0;
}

/* A whole number of bytes, with K, M or G behind it. */
static int parse(const char *text, size_t *bytes)
{
    if (!isdigit((unsigned char)text[0]))
        return MP_EINVAL;
    char *end;
    int saved = errno;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool fits = errno == 0 && number <= SIZE_MAX;
    errno = saved;
    if (!fits || !mp__multiply((size_t)number, suffix(end), bytes))
        return MP_EINVAL;
    return *bytes >= MP__ARENA_SMALLEST && *bytes <= LARGEST ? 0 : MP_EINVAL;
}

int mp__arena_limit(size_t *limit)
{
    *limit = configured;
    if (configured != 0)
        return 0;
    const char *text = getenv("MPROC_ARENA_LIMIT");
    if (text != NULL && text[0] != '\0')
        return parse(text, limit);
    uint64_t half = mp__limits_memory() / 2;
    *limit = half > LARGEST ? LARGEST : mp__max_size((size_t)half, MP__ARENA_SMALLEST);
    return 0;
}
