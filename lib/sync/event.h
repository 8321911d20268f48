/* SPDX-License-Identifier: MIT */
/* What mp_wait() needs of an event. */
#ifndef MPROC_SYNC_EVENT_H
#define MPROC_SYNC_EVENT_H

#include "sync/doorbell.h"

#include <mproc/event.h>

/* Rung when it is set; NULL: it is no event. */
mp__doorbells *mp__event_doorbells(mp_event *event);

#endif
