/* SPDX-License-Identifier: MIT */
#include "pool/trace.h"

#include "os/step.h"

#include <mproc/shared.h>

#define GROWS   UINT64_C(1)
#define COUNT   ((UINT64_C(1) << MP__RUN_BITS) - 1)
#define KIND(e) mp__event_kind_of(e)

static mp__event *place_of(const mp__slot_insight *m, uint64_t number)
{
    mp__event *chunk = m->chunk[number / MP__TRACE_CHUNK % m->chunks];
    return chunk != NULL ? &chunk[number % MP__TRACE_CHUNK] : NULL;
}

/* A death between the two costs the block. */
static mp__event *make_place(mp__slot_insight *m, uint64_t number)
{
    mp__event **chunk = &m->chunk[number / MP__TRACE_CHUNK % m->chunks];
    if (*chunk == NULL)
        *chunk = mp_shared_alloc(MP__TRACE_CHUNK * sizeof **chunk);
    MP_STEP("trace.add.chunk_allocated");
    return place_of(m, number);
}

void mp__trace_close(mp__slot_insight *m)
{
    uint64_t events = mp__load_relaxed(&m->events);
    if (events & GROWS)
        mp__store_release(&m->events, events + 1);
}

/* Writes an event behind those that are counted. */
static bool write_event(mp__slot_insight *m, const mp__event *e)
{
    mp__trace_close(m);
    mp__event *to = make_place(m, mp__load_relaxed(&m->events) >> 1);
    if (to == NULL) {
        mp__store_relaxed(&m->unrecorded, mp__load_relaxed(&m->unrecorded) + 1);
        return false;
    }
    to->start = e->start;
    mp__store_relaxed(&to->span, mp__load_relaxed(&e->span));
    MP_STEP("trace.add.half_written");
    to->index = e->index;
    to->what = e->what;
    to->text = e->text;
    return true;
}

void mp__trace_add(mp__slot_insight *m, const mp__event *e)
{
    if (m->chunks == 0 || !write_event(m, e))
        return;
    /* Publishes it to who counts on after our death. */
    mp__store_release(&m->events, mp__load_relaxed(&m->events) + 2);
    MP_STEP("trace.add.counted");
}

/* The run that grows, if the item continues it. */
static mp__event *find_run(const mp__slot_insight *m, const mp__event *item, int64_t ended)
{
    uint64_t events = mp__load_relaxed(&m->events);
    if (!(events & GROWS))
        return NULL;
    mp__event *run = place_of(m, events >> 1);
    if (run == NULL)
        return NULL;
    uint64_t span = mp__load_relaxed(&run->span);
    int64_t end = run->start + (int64_t)(span >> MP__RUN_BITS);
    bool continues = run->what == item->what && item->index == run->index + (span & COUNT) &&
                     item->start - end < MP__TRACE_SHORT && ended - run->start < MP__TRACE_RUN;
    return continues ? run : NULL;
}

void mp__trace_item(mp__slot_insight *m, const mp__event *item, int64_t ended)
{
    if (m->chunks == 0)
        return;
    mp__event e = *item;
    uint64_t took = (uint64_t)(ended - e.start);
    if (KIND(item) != MP__EVENT_ITEM || took >= MP__TRACE_SHORT) {
        mp__store_relaxed(&e.span, took);
        mp__trace_add(m, &e);
        return;
    }
    e.what ^= MP__EVENT_ITEM ^ MP__EVENT_RUN;
    mp__event *run = find_run(m, &e, ended);
    if (run != NULL) {
        uint64_t count = mp__load_relaxed(&run->span) & COUNT;
        mp__store_relaxed(&run->span, (uint64_t)(ended - run->start) << MP__RUN_BITS | (count + 1));
        return;
    }
    mp__store_relaxed(&e.span, took << MP__RUN_BITS | 1);
    if (write_event(m, &e)) {
        mp__store_release(&m->events, mp__load_relaxed(&m->events) | GROWS);
        MP_STEP("trace.item.run_begun");
    }
}

void mp__trace_kept(const mp__slot_insight *m, uint64_t *first, uint64_t *end)
{
    uint64_t events = mp__load_acquire(&m->events); /* pairs with its stores */
    uint64_t places = (uint64_t)m->chunks * MP__TRACE_CHUNK;
    *end = (events >> 1) + (events & GROWS);
    *first = *end >= places ? *end - places + 1 : 0; /* one less: the oldest may be spoiled */
    if (places == 0)
        *first = *end = 0;
}

const mp__event *mp__trace_event(const mp__slot_insight *m, uint64_t number)
{
    return place_of(m, number);
}

uint64_t mp__trace_dropped(const mp__slot_insight *m)
{
    uint64_t first, end;
    mp__trace_kept(m, &first, &end);
    return first + mp__load_relaxed(&m->unrecorded);
}
