/* SPDX-License-Identifier: MIT */
#include "os/loaded.h"

#include <link.h>
#include <stdint.h>
#include <stdlib.h>

struct mp__loaded {
    size_t count, room;
    uintptr_t start[]; /* of each loaded file's first segment */
};

struct search {
    uintptr_t code;
    uintptr_t start; /* 0: in no file */
};

static uintptr_t first_segment(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            return info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    return 0;
}

static int count_one(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    ++*(size_t *)arg;
    return 0;
}

static int note_one(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    mp__loaded *list = arg;
    if (list->count < list->room)
        list->start[list->count++] = first_segment(info);
    return 0;
}

mp__loaded *mp__loaded_now(void)
{
    size_t count = 0;
    dl_iterate_phdr(count_one, &count);
    mp__loaded *list = malloc(sizeof *list + count * sizeof list->start[0]);
    if (list != NULL) {
        list->count = 0;
        list->room = count;
        dl_iterate_phdr(note_one, list);
    }
    return list;
}

static int find_one(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct search *s = arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && s->code >= from &&
            s->code - from < info->dlpi_phdr[i].p_memsz) {
            s->start = first_segment(info);
            return 1;
        }
    }
    return 0;
}

bool mp__loaded_knows(const mp__loaded *then, const void *code)
{
    struct search s = {.code = (uintptr_t)code};
    if (dl_iterate_phdr(find_one, &s) == 0)
        return true;
    for (size_t i = 0; i < then->count; i++)
        if (then->start[i] == s.start)
            return true;
    return false;
}
