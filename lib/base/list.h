/* SPDX-License-Identifier: MIT */
/* An intrusive list, for memory of one process; never for shared memory, where a death would leave
 * it half-linked. The caller locks. */
#ifndef MPROC_BASE_LIST_H
#define MPROC_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mp__link {
    struct mp__link *prev, *next; /* of a list's head: last and first; of one in no list: itself */
} mp__link;

/* clang-format off */
#define MP__LIST(name) {&(name), &(name)}
/* clang-format on */

#define mp__container(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The body may unlink `link`, but nothing else. */
#define mp__list_for_each(link, head)                                                              \
    for (mp__link *link = (head)->next, *link##_next = link->next; link != (head);                 \
         link = link##_next, link##_next = link->next)

static inline void mp__list_init(mp__link *head)
{
    head->prev = head->next = head;
}

static inline bool mp__list_empty(const mp__link *head)
{
    return head->next == head;
}

static inline void mp__list_append(mp__link *head, mp__link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Harmless for a link that is in no list but was initialised. */
static inline void mp__list_remove(mp__link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    mp__list_init(link);
}

#endif
