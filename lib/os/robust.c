/* SPDX-License-Identifier: MIT */
#include "os/robust.h"

#include <mproc/error.h>
#include <pthread.h>

_Static_assert(offsetof(mp__robust, word) == offsetof(pthread_mutex_t, __data.__lock), "layout");
_Static_assert(offsetof(mp__robust, prev) == offsetof(pthread_mutex_t, __data.__list.__prev),
               "layout");
_Static_assert(offsetof(mp__robust, next) == offsetof(pthread_mutex_t, __data.__list.__next),
               "layout");
_Static_assert(MP__WAITERS == FUTEX_WAITERS && MP__OWNER_DIED == FUTEX_OWNER_DIED &&
                   MP__TID_MASK == FUTEX_TID_MASK,
               "the kernel's bits");

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
