/* SPDX-License-Identifier: MIT */
/* Iterators: what all kinds of them have in common. */
#ifndef MPROC_POOL_ITERATOR_H
#define MPROC_POOL_ITERATOR_H

#include "base/deadline.h"

#include <mproc/iterator.h>

/* What next has found. */
typedef struct mp__item {
    size_t index;      /* SIZE_MAX: there is none */
    mp_result *result; /* where it lies until the next one */
    uint64_t place;    /* in that */
    bool whole;        /* it is all of that */
} mp__item;

typedef struct mp__iterator_kind {
    /* 0: the item is found, well or not; MP_EEOF; or a code. */
    int (*next)(mp_iterator *it, mp__item *item, mp__deadline until);
    void (*free)(mp_iterator *it);
    /* In a forked child: frees the copy alone. */
    void (*drop)(mp_iterator *it);
} mp__iterator_kind;

struct mp_iterator {
    uint64_t magic;
    uint64_t generation;
    const mp__iterator_kind *kind;
    mp__item item; /* the one that next returned last */
    int state;     /* MP_ESTATE: it has none; or what became of it */
};

void mp__iterator_init(mp_iterator *it, const mp__iterator_kind *kind);

#endif
