/* SPDX-License-Identifier: MIT */
/* The report of blocks that nobody has freed. The tags stand in the blocks, so a tag that its
 * user wrote over is told as such; a block whose maker died before the tag was written, too. */
#include "shm/shared_leaks.h"

#include "os/symbol.h"
#include "os/thread.h"
#include "shm/chunk.h"
#include "shm/shared_block.h"
#include "shm/span.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int founder; /* the process that founded the arena, in it and its children */

static uint32_t check_word(const mp__tag *tag)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)tag ^ (uint64_t)(uintptr_t)tag->caller) + tag->size;
    return (uint32_t)(mixed * UINT64_C(0x9e3779b97f4a7c15) >> 32) ^ (uint32_t)tag->pid;
}

void mp__leaks_tag(void *block, size_t whole, size_t size, const void *caller)
{
    mp__tag *tag = (mp__tag *)(void *)((char *)block + whole - sizeof *tag);
    *tag = (mp__tag){.caller = caller, .size = size, .pid = mp__process_id()};
    tag->check = check_word(tag);
}

static void at_exit(void)
{
    if (mp__process_id() == founder)
        mp_shared_report_leaks(2);
}

int mp__leaks_begin(mp__arena *a)
{
    const char *words = getenv("MPROC_DEBUG");
    bool wanted = false;
    for (const char *word = words; word != NULL && *word != '\0';) {
        size_t length = strcspn(word, ",");
        if (length == 5 && memcmp(word, "leaks", 5) == 0)
            wanted = true;
        else if (length > 0)
            fprintf(stderr, "mproc: MPROC_DEBUG: \"%.*s\" is not known; \"leaks\" is\n",
                    (int)length, word);
        word += length + (word[length] == ',');
    }
    if (!wanted)
        return 0;
    a->tag = sizeof(mp__tag);
    founder = mp__process_id();
    return atexit(at_exit) == 0 ? 0 : MP_ENOMEM;
}

/* The library's own, which live as long as the family does. */
static bool is_permanent(const mp__arena *a, const void *block)
{
    for (int i = 0; i < MP__LIFE_BLOCKS; i++)
        if (mp__load_relaxed(&a->lives[i]) == (uintptr_t)block)
            return true;
    return false;
}

typedef struct report {
    int fd, blocks;
    size_t bytes;
} report;

static void tell(report *r, const mp__arena *a, const char *block, size_t whole, bool backed)
{
    if (is_permanent(a, block))
        return;
    const mp__tag *tag = (const mp__tag *)(const void *)(block + whole - sizeof *tag);
    bool good = backed && tag->check == check_word(tag);
    r->blocks++;
    r->bytes += good ? tag->size : whole;
    if (good) {
        char where[256];
        mp__symbol_name(tag->caller, where, sizeof where);
        dprintf(r->fd, "mproc: leak: %p, %zu bytes, by process %d at %s\n", (const void *)block,
                tag->size, tag->pid, where);
    } else {
        dprintf(r->fd, "mproc: leak: %p, a block of %zu bytes; its end is written over\n",
                (const void *)block, whole);
    }
}

static void tell_span(report *r, const mp__arena *a, const mp__span *span)
{
    for (uint32_t b = 0; b < mp__load_relaxed(&span->blocks); b++) {
        const char *block = span->start + (size_t)b * span->block_size;
        size_t page = ((b + 1) * (size_t)span->block_size - 1) / MP__CHUNK_PAGE;
        bool backed = (mp__load_relaxed(&span->backed[page / 64]) >> page % 64 & 1) != 0;
        if (mp__span_holds(span, block))
            tell(r, a, block, span->block_size, backed);
    }
}

int mp_shared_report_leaks(int fd)
{
    mp__arena *a = mp__arena_get();
    if (a == NULL || a->tag == 0)
        return MP_ESTATE;
    report r = {.fd = fd};
    mp__chunk_lock(a); /* repairs; not held while writing, which may block */
    mp__chunk_unlock(a);
    for (uint32_t i = 0; i < mp__load_relaxed(&a->top);) {
        uint32_t d = mp__load_relaxed(&a->table[i]);
        enum mp__chunk_kind kind = mp__chunk_kind_of(d);
        if (kind == MP__CHUNK_SPAN)
            tell_span(&r, a, &a->spans[mp__chunk_value(d)]);
        else if (kind == MP__CHUNK_RUN && !(d & (MP__CHUNK_MARK | MP__CHUNK_SHELVED)))
            tell(&r, a, mp__chunk_address(a, i), mp__chunk_value(d) * MP__CHUNK_SIZE, true);
        i += kind == MP__CHUNK_SPAN || kind == MP__CHUNK_RUN ? mp__chunk_length(a, d) : 1;
    }
    dprintf(fd, "mproc: leaks: %d blocks, %zu bytes\n", r.blocks, r.bytes);
    return r.blocks;
}
