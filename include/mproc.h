/* SPDX-License-Identifier: MIT */
/**
 * @file mproc.h
 * @brief All of libmproc: Python's multiprocessing for C.
 */
#ifndef MPROC_H
#define MPROC_H

#include <mproc/barrier.h>
#include <mproc/condition.h>
#include <mproc/connection.h>
#include <mproc/defs.h>
#include <mproc/error.h>
#include <mproc/event.h>
#include <mproc/insight.h>
#include <mproc/iterator.h>
#include <mproc/lock.h>
#include <mproc/pipe.h>
#include <mproc/pool.h>
#include <mproc/process.h>
#include <mproc/queue.h>
#include <mproc/result.h>
#include <mproc/rlock.h>
#include <mproc/semaphore.h>
#include <mproc/shared.h>
#include <mproc/shared_memory.h>
#include <mproc/task.h>
#include <mproc/version.h>
#include <mproc/wait.h>
#include <mproc/with.h>

#endif
