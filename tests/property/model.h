/* SPDX-License-Identifier: MIT */
/* What a queue is, in the plainest terms: an array of byte strings with two limits. It says for
 * each call what must come of it; nothing here is shared, and nothing is fast. */
#ifndef MPROC_TESTS_MODEL_H
#define MPROC_TESTS_MODEL_H

#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/queue.h>

typedef struct text {
    unsigned char *bytes;
    size_t length;
} text;

typedef struct model {
    text *at; /* the messages, the oldest first */
    size_t count, room;
    size_t bytes; /* as .capacity counts them */
    size_t maxsize, capacity;
    bool closed;
    size_t puts, gets, done; /* so many ever */
} model;

static inline size_t model_cost(size_t length)
{
    return length + 8;
}

/* What putting so many bytes must return now; nothing is changed. */
static inline int model_may_put(const model *m, size_t length)
{
    if (m->capacity != 0 && model_cost(length) > m->capacity)
        return MP_EMSGSIZE;
    if (m->closed)
        return MP_ECLOSED;
    if (m->maxsize != 0 && m->count >= m->maxsize)
        return MP_EFULL;
    if (m->capacity != 0 && m->bytes + model_cost(length) > m->capacity)
        return MP_EFULL;
    return 0;
}

static inline void model_put(model *m, const void *bytes, size_t length)
{
    if (m->count == m->room) {
        m->room = m->room * 2 + 16;
        m->at = realloc(m->at, m->room * sizeof *m->at);
    }
    text t = {malloc(length + 1), length};
    if (length > 0)
        memcpy(t.bytes, bytes, length);
    m->at[m->count++] = t;
    m->puts++;
    m->bytes += model_cost(length);
}

/* What getting a message into so many bytes must return now: its length, or a code. */
static inline ssize_t model_may_get(const model *m, size_t capacity)
{
    if (m->count == 0)
        return m->closed ? MP_ECLOSED : MP_EEMPTY;
    return m->at[0].length > capacity ? MP_EMSGSIZE : (ssize_t)m->at[0].length;
}

/* Whether these bytes are the next message; takes it out. */
static inline bool model_get(model *m, const void *bytes, size_t length)
{
    if (m->count == 0)
        return false;
    text t = m->at[0];
    bool same = t.length == length && (length == 0 || memcmp(t.bytes, bytes, length) == 0);
    free(t.bytes);
    m->count--;
    m->gets++;
    memmove(m->at, m->at + 1, m->count * sizeof *m->at);
    m->bytes -= model_cost(t.length);
    return same;
}

static inline void model_clear(model *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->at[i].bytes);
    free(m->at);
    *m = (model){0};
}

#endif
