/* SPDX-License-Identifier: MIT */
/* The mutex of a lock, for a condition that gives it up and takes it back. */
#ifndef MPROC_SYNC_LOCK_H
#define MPROC_SYNC_LOCK_H

#include "os/mutex.h"

#include <mproc/lock.h>

/* NULL if it is no lock. */
mp__mutex *mp__lock_mutex(mp_lock *lock);

#endif
