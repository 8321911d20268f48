/* SPDX-License-Identifier: MIT */
/* The trace as a file: the JSON object form of Chrome's trace events, which Perfetto reads, too. */
#include "os/newfile.h"
#include "os/signals.h"
#include "pool/handle.h"
#include "pool/trace.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MOST 192 /* bytes of a name; one may become six */

typedef struct writer {
    mp__newfile file;
    const mp_pool *pool;
    int64_t created;
    int pid;
    bool any; /* an event is written already */
} writer;

/* ---- JSON ---- */

/* How many bytes the UTF-8 character there has; 0: it is none. */
static size_t character(const unsigned char *s)
{
    size_t length = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] >= 0xf5)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool strange = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
                   (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90);
    return strange ? 0 : length;
}

/* A string, whatever is in it. */
static void print_text(mp__newfile *f, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length;
    mp__newfile_print(f, "\"");
    for (size_t i = 0; i < TEXT_MOST && s[i] != '\0'; i += length) {
        length = s[i] < 0x80 ? 1 : character(s + i);
        if (length == 0)
            mp__newfile_print(f, "\\ufffd");
        else if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f)
            mp__newfile_print(f, "\\u%04x", s[i]);
        else
            mp__newfile_print(f, "%.*s", (int)length, text + i);
        length += length == 0;
    }
    mp__newfile_print(f, "\"");
}

/* Microseconds. */
static void print_time(mp__newfile *f, const char *name, int64_t ns)
{
    ns = ns > 0 ? ns : 0;
    mp__newfile_print(f, ",\"%s\":%" PRId64 ".%03d", name, ns / 1000, (int)(ns % 1000));
}

static void begin_event(writer *w, const char *phase, uint32_t line)
{
    mp__newfile_print(&w->file, "%s\n{\"ph\":\"%s\",\"pid\":%d,\"tid\":%u", w->any ? "," : "",
                      phase, w->pid, line);
    w->any = true;
}

/* ---- what a slot did ---- */

static void print_items(writer *w, uint32_t line, const mp__event *e)
{
    static const char *const outcomes[] = {"done", "done", "failed", "lost"};
    enum mp__event_kind kind = mp__event_kind_of(e);
    uint64_t span = mp__load_relaxed(&e->span), count = 1;
    if (kind == MP__EVENT_RUN) {
        count = span & ((UINT64_C(1) << MP__RUN_BITS) - 1);
        span >>= MP__RUN_BITS;
    }
    begin_event(w, "X", line);
    print_time(&w->file, "ts", e->start - w->created);
    print_time(&w->file, "dur", (int64_t)span);
    if (count > 1)
        mp__newfile_print(&w->file, ",\"name\":\"items %" PRIu64 "-%" PRIu64 "\"", e->index,
                          e->index + count - 1);
    else
        mp__newfile_print(&w->file, ",\"name\":\"item %" PRIu64 "\"", e->index);
    mp__newfile_print(&w->file,
                      ",\"cat\":\"work\",\"args\":{\"work\":%" PRIu64 ",\"index\":%" PRIu64
                      ",\"count\":%" PRIu64 ",\"outcome\":\"%s\"",
                      e->what >> 3, e->index, count, outcomes[kind]);
    if (e->text != NULL)
        mp__newfile_print(&w->file, ",\"reason\":\"%s\"", e->text);
    mp__newfile_print(&w->file, "}}");
}

static void print_ready(writer *w, uint32_t line, const mp__event *e)
{
    begin_event(w, "X", line);
    print_time(&w->file, "ts", e->start - w->created);
    print_time(&w->file, "dur", (int64_t)mp__load_relaxed(&e->span));
    mp__newfile_print(&w->file,
                      ",\"name\":\"start\",\"cat\":\"worker\",\"args\":{\"process\":%" PRIu64 "}}",
                      e->index);
}

static void print_instant(writer *w, uint32_t line, int64_t at, const char *name)
{
    begin_event(w, "i", line);
    print_time(&w->file, "ts", at - w->created);
    mp__newfile_print(&w->file, ",\"s\":\"t\",\"name\":\"%s\",\"cat\":\"worker\",\"args\":{", name);
}

static void print_forked(writer *w, uint32_t line, const mp__event *e)
{
    char name[TEXT_MOST + 32];
    snprintf(name, sizeof name, "%.*s-%" PRIu64, TEXT_MOST, w->pool->plan.name, e->index);
    print_instant(w, line, e->start, "started");
    mp__newfile_print(&w->file, "\"worker\":");
    print_text(&w->file, name);
    mp__newfile_print(&w->file, "}}");
}

static void print_ended(writer *w, uint32_t line, const mp__event *e)
{
    int exitcode = (int)(int64_t)mp__load_relaxed(&e->span);
    char phrase[32];
    print_instant(w, line, e->start, exitcode == 0 ? "ended" : "died");
    mp__newfile_print(&w->file, "\"process\":%" PRIu64 ",\"exitcode\":%d,\"reason\":\"", e->index,
                      exitcode);
    if (e->text != NULL)
        mp__newfile_print(&w->file, "%s", e->text);
    else if (exitcode < 0)
        mp__newfile_print(&w->file, "%s", mp__signal_phrase(phrase, sizeof phrase, -exitcode));
    else
        mp__newfile_print(&w->file, exitcode > 0 ? "exit status %d" : "in order", exitcode);
    mp__newfile_print(&w->file, "\"}}");
}

static void print_dropped(writer *w, uint32_t line, int64_t at, uint64_t dropped)
{
    print_instant(w, line, at, "events dropped");
    mp__newfile_print(&w->file, "\"count\":%" PRIu64 "}}", dropped);
}

static void print_events(writer *w, uint32_t line, const mp__slot_insight *m)
{
    uint64_t first, end, dropped = mp__trace_dropped(m);
    mp__trace_kept(m, &first, &end);
    if (dropped > 0)
        print_dropped(w, line, first < end ? mp__trace_event(m, first)->start : w->created,
                      dropped);
    for (uint64_t i = first; i < end; i++) {
        const mp__event *e = mp__trace_event(m, i);
        switch (mp__event_kind_of(e)) {
        case MP__EVENT_FORKED:
            print_forked(w, line, e);
            break;
        case MP__EVENT_READY:
            print_ready(w, line, e);
            break;
        case MP__EVENT_ENDED:
            print_ended(w, line, e);
            break;
        default:
            print_items(w, line, e);
        }
    }
}

/* ---- the file ---- */

static void print_metadata(writer *w, uint32_t line, const char *what, const char *text)
{
    begin_event(w, "M", line);
    mp__newfile_print(&w->file, ",\"name\":\"%s\",\"args\":{\"name\":", what);
    print_text(&w->file, text);
    mp__newfile_print(&w->file, "}}");
}

static void print_line(writer *w, uint32_t line, const mp__slot_insight *m)
{
    char name[TEXT_MOST + 32];
    snprintf(name, sizeof name, "%.*s-%u", TEXT_MOST, w->pool->plan.name,
             mp__load_relaxed(&m->number));
    print_metadata(w, line, "thread_name", name);
    begin_event(w, "M", line);
    mp__newfile_print(&w->file, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%u}}",
                      line);
    print_events(w, line, m);
}

int mp__trace_write(const mp_pool *pool, const char *path)
{
    const mp__pool_control *c = pool->control;
    writer w = {.pool = pool, .created = c->insight->created, .pid = pool->plan.program_pid};
    int rc = mp__newfile_begin(&w.file, path);
    if (rc < 0)
        return rc;
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        const mp__slot_insight *m = mp__load_acquire(&c->slot[i].insight);
        dropped += m != NULL ? mp__trace_dropped(m) : 0;
    }
    mp__newfile_print(&w.file,
                      "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"library\":\"libmproc\","
                      "\"dropped\":%" PRIu64 "},\n\"traceEvents\":[",
                      dropped);
    print_metadata(&w, 0, "process_name", pool->plan.program);
    for (uint32_t i = 0; i < mp__load_acquire(&c->used); i++) {
        const mp__slot_insight *m = mp__load_acquire(&c->slot[i].insight);
        if (m != NULL)
            print_line(&w, i + 1, m);
    }
    mp__newfile_print(&w.file, "\n]}\n");
    return mp__newfile_end(&w.file);
}
