/* SPDX-License-Identifier: MIT */
/* What each kind of thing is to mp_wait(). */
#ifndef MPROC_CHAN_ITEM_H
#define MPROC_CHAN_ITEM_H

#include "sync/doorbell.h"

#include <mproc/wait.h>

#define MP__ITEM_NO_DESCRIPTOR (-1)
#define MP__ITEM_BELLS         2 /* an item has so many at most */

/* Checks it, enters a connection. Returns 0 or a code; *fd is what to poll, if anything. */
int mp__item_begin(const mp_waitable *item, int *fd);
void mp__item_end(const mp_waitable *item);

/* MP_READ, MP_WRITE. */
int mp__item_wanted(const mp_waitable *item);

/* Whether poll() tells all there is to know of it. */
bool mp__item_is_polled(const mp_waitable *item);

/* Which of the wanted events are there that poll() does not see; or MP_ECLOSED. */
int mp__item_look(const mp_waitable *item);

/* Whether something may be about to come that no bell rings for. */
bool mp__item_is_urgent(const mp_waitable *item);

/* Its doorbells. Returns how many. */
int mp__item_bells(const mp_waitable *item, mp__doorbells *bells[MP__ITEM_BELLS]);

#endif
