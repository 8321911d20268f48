/* SPDX-License-Identifier: MIT */
/* The addresses are kept, and become names where somebody asks for them: workers are forked, so the
 * program has the same files at the same places. */
#include "pool/crash.h"

#include "os/symbol.h"

#include <mproc/shared.h>
#include <stdio.h>
#include <string.h>

#define LINE_MOST 512

mp__failure *mp__crash_keep(mp__failure *f, const mp__slot *s)
{
    const mp__crash *crash = &s->crash;
    uint32_t count = mp__load_acquire(&crash->count);
    if (f == NULL || count == 0 || count > MP__FRAMES_MOST || !mp__backtrace_covers(f->signal))
        return f;
    mp__failure *traced = mp_shared_alloc(sizeof *f + count * sizeof f->frame[0]);
    if (traced == NULL)
        return f;
    *traced = *f;
    traced->frames = count;
    memcpy(traced->frame, crash->frame, count * sizeof f->frame[0]);
    mp_shared_free(f);
    return traced;
}

void mp__crash_print(const mp__failure *f, char *text, size_t size)
{
    size_t end = 0;
    char place[LINE_MOST];
    text[0] = '\0';
    for (uint32_t i = 0; i < f->frames; i++) {
        if (i < 2 || f->frame[i] != f->frame[i - 1]) /* a recursion is looked up once */
            mp__symbol_describe((const void *)f->frame[i], i > 0, place, sizeof place);
        int n = snprintf(text + end, size - end, "#%u %s\n", i, place);
        if (n < 0 || (size_t)n >= size - end) {
            text[end] = '\0';
            return;
        }
        end += (size_t)n;
    }
}
