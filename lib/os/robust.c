/* SPDX-License-Identifier: MIT */
#include "os/robust.h"

#include <linux/futex.h>
#include <mproc/error.h>
#include <pthread.h>
#include <stddef.h>

_Static_assert(offsetof(mp__robust, word) == offsetof(pthread_mutex_t, __data.__lock), "layout");
_Static_assert(offsetof(mp__robust, prev) == offsetof(pthread_mutex_t, __data.__list.__prev),
               "layout");
_Static_assert(offsetof(mp__robust, next) == offsetof(pthread_mutex_t, __data.__list.__next),
               "layout");
_Static_assert(MP__WAITERS == FUTEX_WAITERS && MP__OWNER_DIED == FUTEX_OWNER_DIED &&
                   MP__TID_MASK == FUTEX_TID_MASK,
               "the kernel's bits");

/* An entry of the list points to a node's `next`; the lowest bit marks priority-inheriting mutexes
 * of the C library and is kept. */
static void **next_of(void *entry)
{
    return (void **)((uintptr_t)entry & ~(uintptr_t)1);
}

static void **prev_of(void *entry)
{
    return next_of(entry) - 1;
}

void mp__robust_announce(mp__thread *self, mp__robust *node)
{
    mp__fence_compiler();
    /* Computed, not taken: a bell has no link there. */
    self->robust->list_op_pending =
        node == NULL ? NULL : (void *)((char *)node + offsetof(mp__robust, next));
    mp__fence_compiler();
}

void mp__robust_announce_bell(mp__thread *self, _Atomic uint32_t *word)
{
    mp__robust_announce(self, (mp__robust *)(void *)word); /* of which only the word exists */
}

void mp__robust_link(mp__thread *self, mp__robust *node)
{
    void *first = self->robust->list.next;
    node->next = first;
    node->prev = &self->robust->list;
    *prev_of(first) = &node->next;
    mp__fence_compiler(); /* the node is whole before the list reaches it */
    self->robust->list.next = (void *)&node->next;
    self->held++;
}

void mp__robust_unlink(mp__thread *self, mp__robust *node)
{
    *prev_of(node->next) = node->prev;
    mp__fence_compiler();
    *next_of(node->prev) = node->next;
    mp__fence_compiler(); /* the list has left the node before its links go */
    node->prev = node->next = NULL;
    self->held--;
}

int mp__robust_check(void)
{
    mp__thread *self = mp__thread_self();
    if (self->robust == NULL)
        return MP_ESYS(ENOSYS);
    if (self->robust->futex_offset !=
        (long)offsetof(mp__robust, word) - (long)offsetof(mp__robust, next))
        return MP_ESYS(ENOSYS);

    /* A mutex of the C library must show up in the list where ours would. */
    pthread_mutex_t mutex;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_mutex_lock(&mutex);
    bool first = (void *)self->robust->list.next == (void *)&mutex.__data.__list.__next;
    bool owned = ((uint32_t)mutex.__data.__lock & MP__TID_MASK) == self->tid;
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
    return first && owned ? 0 : MP_ESYS(ENOSYS);
}
